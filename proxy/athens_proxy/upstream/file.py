"""A module proxy that is a directory tree, such as another machine's module cache; a `ProxyTransport`.

Source: https://go.dev/ref/mod#goproxy-protocol ("file URL")
"""

from __future__ import annotations

import asyncio
import errno
import shutil
from pathlib import Path
from typing import Final

from athens_proxy.errors import BadUpstreamAnswer, ModuleNotFound, ProxyError, UpstreamError
from athens_proxy.upstream.transport import scratch_failure

_ABSENT: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FileTransport:
    """Reads the files below a directory; paths come from checked names and cannot leave it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def read(self, path: str, *, at_most_bytes: int) -> bytes:
        """The whole of a small file; see `ProxyTransport.read`."""
        try:
            return await asyncio.to_thread(self._bounded, path, at_most_bytes)
        except OSError as error:
            raise self._failure(path, error) from error

    async def download(self, path: str, into: Path, *, at_most_bytes: int) -> int:
        """Copy a large file; see `ProxyTransport.download`."""
        try:
            return await asyncio.to_thread(self._copy, path, into, at_most_bytes)
        except OSError as error:
            raise self._failure(path, error) from error

    def _bounded(self, path: str, at_most_bytes: int) -> bytes:
        with (self._root / path).open("rb") as file:
            data = file.read(at_most_bytes + 1)
        self._check_size(path, len(data), at_most_bytes)
        return data

    def _copy(self, path: str, into: Path, at_most_bytes: int) -> int:
        with (self._root / path).open("rb") as source:
            size_bytes = source.seek(0, 2)
            self._check_size(path, size_bytes, at_most_bytes)
            source.seek(0)
            try:
                with into.open("xb") as target:
                    shutil.copyfileobj(source, target, 1024 * 1024)
            except OSError as error:
                raise scratch_failure(error, into) from error
            return size_bytes

    def _check_size(self, path: str, size_bytes: int, at_most_bytes: int) -> None:
        if size_bytes > at_most_bytes:
            raise BadUpstreamAnswer(f"reading {path} from file://{self._root}: more than {at_most_bytes} bytes")

    def _failure(self, path: str, error: OSError) -> ProxyError:
        attempt = f"reading {path} from file://{self._root}"
        if isinstance(error, _ABSENT) or error.errno == errno.ENAMETOOLONG:
            return ModuleNotFound(f"not found: {attempt}: no such file")
        return UpstreamError(f"{attempt}: {error.strerror or type(error).__name__}")
