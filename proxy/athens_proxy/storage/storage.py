"""The contract of every store, and the values that cross it.

A version exists once its `.info` is stored: every backend writes it last and readers treat it as the commit mark, so a
killed save leaves nothing visible. Layouts are Athens', byte for byte; our own records live under `.athens/`, where no
Athens listing can mistake them for a module.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from athens_proxy.modules import ModulePath, ModuleVersion

CHUNK_BYTES = 64 * 1024
LEFTOVER_AGE_S = 24 * 3600.0  # what an uncommitted save left is swept after that


@dataclass(frozen=True, slots=True)
class FetchedModule:
    """One complete, checked module version, ready to be saved.

    Attributes:
        wanted: the canonical version.
        info: bytes of the `.info` file.
        mod: bytes of the `.mod` file.
        zip_path: a local temporary file that holds the zip; a store on the same file system may move it away.
        zip_size_bytes: size of that file.
        zip_h1: `h1:` sum of the zip.
        mod_h1: `h1:` sum of the go.mod.
        source: for people: which upstream it came from, without credentials; "" if nobody knows.
    """

    wanted: ModuleVersion
    info: bytes
    mod: bytes
    zip_path: Path
    zip_size_bytes: int
    zip_h1: str
    mod_h1: str
    source: str = ""


class StoredZip(Protocol):
    """An open zip; use it as an async context manager, so that it is closed however the request ends."""

    @property
    def size_bytes(self) -> int:
        """Size of the whole zip."""

    def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a range in chunks of at most `CHUNK_BYTES`.

        Raises:
            StorageError: the store ended or changed under the reader.
        """

    async def __aenter__(self) -> StoredZip:
        """Return itself."""

    async def __aexit__(self, *exc: object) -> None:
        """Close the zip."""


@dataclass(frozen=True, slots=True)
class CatalogPage:
    """One page of the catalogue: entries in the order of the store, and the token of the next page ("" on the last)."""

    entries: tuple[ModuleVersion, ...]
    next_token: str


@dataclass(frozen=True, slots=True)
class StoredSizes:
    """How large the files of a stored version are.

    Attributes:
        zip_bytes: size of the zip, None where it was evicted.
        small_bytes: size of `.info` and `.mod` together.
    """

    zip_bytes: int | None
    small_bytes: int


class Storage(Protocol):
    """Where module versions are kept.

    Every method raises `StorageError` when the backend cannot answer, and never shows a partial save.
    """

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` file.

        Raises:
            ModuleNotFound: no complete version is stored.
        """

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` file; raises as `info`."""

    async def open_zip(self, wanted: ModuleVersion) -> StoredZip:
        """The zip, opened for streaming; raises as `info`."""

    async def versions(self, path: ModulePath) -> list[str]:
        """Canonical versions stored for a module path, in any order; empty for an unknown module."""

    async def save(self, fetched: FetchedModule) -> None:
        """Store a version completely or not at all; saving the same bytes again changes nothing.

        Raises:
            ChecksumMismatch: other bytes are stored for this version; they are kept.
            StorageFull: no space is left.
        """

    async def delete(self, wanted: ModuleVersion) -> None:
        """Remove a version, its commit mark first.

        Raises:
            ModuleNotFound: it is not stored.
        """

    async def delete_zip(self, wanted: ModuleVersion) -> None:
        """Remove the zip of a version and keep all the rest of it; without a zip nothing happens.

        The version stays listed, its `.info`, `.mod` and `h1:` sums stay; `save` puts the same zip back and refuses
        any other.

        Raises:
            ModuleNotFound: no complete version is stored.
            NotSupported: whoever keeps the store cannot do this.
        """

    async def sizes(self, wanted: ModuleVersion) -> StoredSizes:
        """How large the files of a version are, without reading its zip; raises as `info`."""

    async def catalog(self, *, token: str, limit: int) -> CatalogPage:
        """At most `limit` stored versions after `token` (Athens' shape; "" starts), none lost or doubled between pages.

        Raises:
            InvalidToken: the token is not one of ours.
        """

    async def read_record(self, name: str) -> bytes:
        """One of our own records below `.athens/`.

        Raises:
            ModuleNotFound: there is no such record.
        """

    async def write_record(self, name: str, data: bytes) -> None:
        """Replace one of our own records atomically."""

    async def check(self) -> None:
        """Succeed when the store can serve; a cheap probe for readiness."""

    async def close(self) -> None:
        """Release connections and files."""


class InvalidToken(ValueError):
    """A catalogue token that no page of this store has handed out."""
