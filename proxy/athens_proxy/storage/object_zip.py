"""A zip in a bucket: the bytes are on their way when it is opened, so a delete meanwhile does not cut it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from athens_proxy.errors import StorageError
from athens_proxy.storage.object_client import ObjectAbsent, ObjectChanged, ObjectClient, OpenObject, Revision
from athens_proxy.storage.storage import CHUNK_BYTES
from athens_proxy.storage.zip_end import LONG_END_BYTES, SHORT_END_BYTES, ends_as_zip

_MAX_KNOWN = 100_000


class WholeZips:
    """Tells zips that were cut off by their last bytes; what was found whole is not looked at again.

    Args:
        client: the bucket.
    """

    def __init__(self, client: ObjectClient) -> None:
        self._client = client
        self._known: dict[tuple[str, Revision], None] = {}

    async def has(self, key: str, revision: Revision) -> bool:
        """Whether this revision ends as a zip does.

        Raises:
            StorageError: the service failed.
        """
        if (key, revision) in self._known:
            return True
        try:
            for tail_bytes in (SHORT_END_BYTES, LONG_END_BYTES):
                if ends_as_zip(await self._tail(key, revision, tail_bytes), revision.size_bytes):
                    if len(self._known) >= _MAX_KNOWN:
                        del self._known[next(iter(self._known))]
                    self._known[key, revision] = None
                    return True
        except (ObjectAbsent, ObjectChanged):
            return True  # there is nothing left to judge
        return False

    async def _tail(self, key: str, revision: Revision, tail_bytes: int) -> bytes:
        offset = max(0, revision.size_bytes - tail_bytes)
        if offset == revision.size_bytes:
            return b""
        length = revision.size_bytes - offset
        opened = await self._client.open(key, offset=offset, length=length, tag=revision.tag)
        try:
            return b"".join([chunk async for chunk in opened.chunks()])
        finally:
            await opened.close()


class ObjectZip:
    """One open zip.

    Args:
        client: the bucket, for ranges.
        key: the zip's key.
        opened: the zip from its first byte.
        name: the module version, for messages.
    """

    def __init__(self, client: ObjectClient, key: str, opened: OpenObject, *, name: str) -> None:
        self._client = client
        self._key = key
        self._revision = opened.revision
        self._from_start: OpenObject | None = opened
        self._name = name

    @property
    def size_bytes(self) -> int:
        """Size of the whole zip."""
        return self._revision.size_bytes

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a range in chunks of at most `CHUNK_BYTES`.

        Raises:
            StorageError: the service failed, or the zip was replaced or cut meanwhile.
        """
        end = self.size_bytes if length is None else min(self.size_bytes, offset + length)
        if offset >= end:
            return
        source = await self._source(offset, end)
        missing = end - offset
        try:
            async for data in source.chunks():
                missing -= len(data)
                view = memoryview(data)
                for start in range(0, len(data), CHUNK_BYTES):
                    yield bytes(view[start : start + CHUNK_BYTES])
        finally:
            await source.close()
        if missing:
            raise StorageError(
                f"{self._client.name}: read the zip of {self._name}: {missing} bytes are missing or too many;"
                f" delete {self._key} and what belongs to it if this happens again"
            )

    async def _source(self, offset: int, end: int) -> OpenObject:
        if offset == 0 and end == self.size_bytes and self._from_start is not None:
            source, self._from_start = self._from_start, None
            return source
        try:
            return await self._client.open(self._key, offset=offset, length=end - offset, tag=self._revision.tag)
        except (ObjectAbsent, ObjectChanged) as error:
            raise StorageError(
                f"{self._client.name}: read the zip of {self._name}: it was deleted or replaced meanwhile; ask again"
            ) from error

    async def __aenter__(self) -> ObjectZip:
        """Return itself."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close what was not read."""
        if self._from_start is not None:
            await self._from_start.close()
