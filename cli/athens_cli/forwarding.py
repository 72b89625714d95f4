"""A way to a Service of a cluster through `kubectl port-forward`.

The API server's own way (`kubectl get --raw`) takes the Authorization header for itself, so nobody can log in there.
"""

from __future__ import annotations

import queue
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Final

from athens_cli.errors import ClusterUnavailable

_READY: Final = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
_DEADLINE_S: Final = 30.0
_END_S: Final = 10.0


@contextmanager
def forwarded(command: Sequence[str]) -> Iterator[int]:
    """The local port that a `kubectl port-forward` chose, which runs while the context lasts.

    Raises:
        ClusterUnavailable: it ended, or said nothing in time.
    """
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError as error:
        raise ClusterUnavailable(f"{command[0]} is not installed; install it") from error
    assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=_drain, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        yield _local_port(lines)
    finally:
        process.terminate()
        process.wait(timeout=_END_S)
        reader.join(timeout=_END_S)
        process.stdout.close()


def _drain(stream: IO[str], lines: queue.SimpleQueue[str]) -> None:
    """Keep reading, or kubectl would block once the pipe is full."""
    for line in stream:
        lines.put(line)
    lines.put("")


def _local_port(lines: queue.SimpleQueue[str]) -> int:
    """The port that kubectl tells; what else it has to say, such as a warning, comes first."""
    end_s, said = time.monotonic() + _DEADLINE_S, "it ended at once"
    try:
        while line := lines.get(timeout=max(0.0, end_s - time.monotonic())):
            if ready := _READY.match(line):
                return int(ready[1])
            said = line.strip() or said
    except queue.Empty as silent:
        raise ClusterUnavailable(
            f"kubectl port-forward: no answer in {_DEADLINE_S:g} s; check that the cluster is reachable"
        ) from silent
    said = said.removeprefix("Error from server ").removeprefix("error: ")
    raise ClusterUnavailable(
        f"kubectl port-forward: {said}; check that a pod is ready, and that you may create pods/portforward"
    )
