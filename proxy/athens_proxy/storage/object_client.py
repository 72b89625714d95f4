"""What an object layout needs of a bucket: seven small operations, and the three outcomes that are no failure.

One client per kind of service stands behind this contract (`obstore_client.py` for S3 and Azure Blob, `gcs_client.py`);
`object_store.py` builds a `Storage` on it and knows nothing of any service.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class ObjectAbsent(Exception):
    """The bucket answers, and has no object of that key."""


class ObjectExists(Exception):
    """A create-only write found an object; it is unchanged."""


class ObjectChanged(Exception):
    """A conditional read or write found another revision of the object than the one named."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of an object.

    Attributes:
        size_bytes: its size.
        tag: what a condition compares: the ETag, or the generation. Equal content may have equal tags.
        written: the service's time of the last write, as an opaque mark: it differs after each write a second apart.
    """

    size_bytes: int
    tag: str
    written: str


class OpenObject(Protocol):
    """An object whose bytes are on their way."""

    @property
    def revision(self) -> Revision:
        """The whole object's state, also when only a range of it was asked for."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, once, in chunks of any size.

        Raises:
            StorageError: the service failed on the way.
        """

    async def close(self) -> None:
        """Give the connection back; the rest is not read."""


class ObjectClient(Protocol):
    """One bucket. Every method raises `StorageError` when the service fails, naming bucket, key and what to do next."""

    @property
    def name(self) -> str:
        """The bucket for messages, as in `s3 bucket modules`."""

    @property
    def seeks(self) -> bool:
        """Whether a listing can start behind a key without asking for what lies before it."""

    async def read(self, key: str) -> bytes:
        """A small object.

        Raises:
            ObjectAbsent: there is none.
        """

    async def open(self, key: str, *, offset: int = 0, length: int | None = None, tag: str = "") -> OpenObject:
        """An object or a part of it, streamed.

        Args:
            key: its key.
            offset: the first byte, less than the object's size.
            length: how many bytes, at least one; None reads to the end.
            tag: the only acceptable revision, "" for any.

        Raises:
            ObjectAbsent: there is none.
            ObjectChanged: its revision is another one.
        """

    async def revision(self, key: str) -> Revision:
        """An object's state without its bytes; raises `ObjectAbsent`."""

    async def write(self, key: str, data: bytes, *, content_type: str, create: bool = False, replaces: str = "") -> str:
        """Write a small object atomically; returns the tag of the new revision.

        Args:
            key: its key.
            data: its bytes.
            content_type: its media type.
            create: only if there is none yet.
            replaces: only if this is the tag of the present revision, "" for any.

        Raises:
            ObjectExists: `create`, and there is one.
            ObjectChanged: `replaces` is not the present revision, or there is none.
        """

    async def upload(self, key: str, path: Path, *, content_type: str) -> None:
        """Write a local file of any size in bounded parts; nobody sees the object before it is whole."""

    def keys(self, folder: str, *, after: str = "") -> AsyncIterator[str]:
        """Keys below a folder ("" for all) in byte order, from the first one behind `after`; reads pages as needed."""

    async def delete(self, key: str) -> None:
        """Remove an object; one that is absent already is fine."""

    async def check(self, key: str) -> None:
        """Succeed when the bucket answers; one cheap request about a key that need not exist."""

    async def close(self) -> None:
        """Release connections."""
