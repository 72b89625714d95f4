"""Runs a command in its own process group, with a deadline and bounded output, and leaves nothing of it behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_STDOUT_BYTES: Final = 64 * 1024 * 1024
MAX_STDERR_BYTES: Final = 64 * 1024
_CHUNK_BYTES: Final = 64 * 1024
_STRAGGLERS_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended: its exit code, the start of its output and the start of its error output."""

    exit_code: int
    stdout: bytes
    stderr: bytes


async def run(argv: Sequence[str], *, environment: Mapping[str, str], directory: Path, timeout_s: float) -> Finished:
    """Run a command to its end; its whole group is gone when this returns or raises.

    Raises:
        TimeoutError: it ran longer than `timeout_s`.
        OSError: it cannot be started.
    """
    process = await _started(argv, environment, directory)
    if process.stdout is None or process.stderr is None:
        raise AssertionError("both pipes were asked for")
    outputs = [
        asyncio.create_task(_bounded(process.stdout, MAX_STDOUT_BYTES)),
        asyncio.create_task(_bounded(process.stderr, MAX_STDERR_BYTES)),
    ]
    try:
        async with asyncio.timeout(timeout_s):
            exit_code = await process.wait()
        # A descendant that left the group may still hold the pipes; what it might say is not waited for.
        await asyncio.wait(outputs, timeout=_STRAGGLERS_S)
    finally:
        _kill_group(process.pid)
        await asyncio.shield(process.wait())
        for output in outputs:
            output.cancel()
        said = await asyncio.gather(*outputs, return_exceptions=True)
    stdout, stderr = (part if isinstance(part, bytes) else b"" for part in said)
    return Finished(exit_code, stdout, stderr)


async def _started(argv: Sequence[str], environment: Mapping[str, str], directory: Path) -> asyncio.subprocess.Process:
    """The running command.

    A start that is cancelled is waited for: asyncio would end the first process alone, and then wait for as long as its
    children hold the pipes.
    """
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *argv,
            env=dict(environment),
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait((starting,))
        if starting.exception() is None:
            _kill_group(starting.result().pid)
            await asyncio.shield(starting.result().wait())
        raise


async def _bounded(stream: asyncio.StreamReader, at_most_bytes: int) -> bytes:
    """The start of a stream, which is read to its end so that the writer never blocks."""
    kept = bytearray()
    while chunk := await stream.read(_CHUNK_BYTES):
        kept += chunk[: at_most_bytes - len(kept)]
    return bytes(kept)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
