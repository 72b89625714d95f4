"""A port-forward that is ready when its context begins and gone when it ends."""

from __future__ import annotations

import queue
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Final

from demonstration.errors import DemoError

_READY: Final = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
_DEADLINE_S: Final = 15


@contextmanager
def forwarded(command: Sequence[str]) -> Iterator[int]:
    """Run `kubectl port-forward`; the local port it chose.

    Raises:
        DemoError: It ended, or said nothing in time.
    """
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=_drain, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        yield _local_port(lines)
    finally:
        process.terminate()
        process.wait(timeout=10)
        reader.join(timeout=10)
        process.stdout.close()


def _drain(stream: IO[str], lines: queue.SimpleQueue[str]) -> None:
    """Keep reading, or kubectl would block once the pipe is full."""
    for line in stream:
        lines.put(line)
    lines.put("")


def _local_port(lines: queue.SimpleQueue[str]) -> int:
    try:
        line = lines.get(timeout=_DEADLINE_S)
    except queue.Empty as silent:
        raise DemoError(f"kubectl port-forward said nothing for {_DEADLINE_S} s") from silent
    ready = _READY.match(line)
    if ready is None:
        raise DemoError(f"kubectl port-forward: {line.strip() or 'it ended at once'}")
    return int(ready[1])
