"""A `Storage` in a bucket, whatever the service and whichever of Athens' layouts.

Reads are direct: one GET for an `.info`, two side by side for what the commit mark covers; only listings list. The
catalogue's token is the key of the last entry, as with Athens on S3 and MinIO; on GCS and Azure Blob, where Athens
hands out the service's own opaque mark, it is the key as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from athens_policy import semver
from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.modules.names import canonical_version
from athens_proxy.storage import layout
from athens_proxy.storage.object_claim import LEASE_S
from athens_proxy.storage.object_client import ObjectAbsent, ObjectClient, OpenObject, Revision
from athens_proxy.storage.object_cursors import Cursors
from athens_proxy.storage.object_layout import ObjectLayout, behind_records, record_key
from athens_proxy.storage.object_save import ObjectSaver
from athens_proxy.storage.object_zip import ObjectZip, WholeZips
from athens_proxy.storage.storage import LEFTOVER_AGE_S, CatalogPage, FetchedModule, InvalidToken, StoredSizes
from athens_proxy.storage.sums import Sums

RECORD_TYPE = "application/octet-stream"
_LOG = logging.getLogger(__name__)


class ObjectStorage:
    """A store in one bucket.

    Args:
        client: the bucket; closed with the store.
        keys: its layout, with the prefix if there is one.
        sums: how stored files are compared with fetched ones.
        lease_s: after how long a silent saver of other content is taken for dead.
    """

    def __init__(self, client: ObjectClient, keys: ObjectLayout, *, sums: Sums, lease_s: float = LEASE_S) -> None:
        self._client = client
        self._keys = keys
        self._whole_zips = WholeZips(client)
        self._saver = ObjectSaver(client, keys, sums, self._whole_zips, lease_s=lease_s)
        self._cursors: Cursors[ModuleVersion] = Cursors()

    @property
    def bucket(self) -> ObjectClient:
        """The bucket itself, for locks beside the store."""
        return self._client

    def record_key(self, name: str) -> str:
        """The key of a record; raises `StorageError` for a name that could leave the records' folder."""
        return record_key(self._keys.root, name)

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` file; see `Storage.info`."""
        try:
            return await self._client.read(self._keys.info(wanted))
        except ObjectAbsent:
            raise _not_stored(wanted) from None

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` file; see `Storage.mod`."""
        try:
            _, data = await asyncio.gather(self._mark(wanted), self._client.read(self._keys.mod(wanted)))
        except ObjectAbsent:
            raise _not_stored(wanted) from None
        return data

    async def open_zip(self, wanted: ModuleVersion) -> ObjectZip:
        """The zip, opened; see `Storage.open_zip`."""
        key = self._keys.zip(wanted)
        mark, opened = await asyncio.gather(self._mark(wanted), self._client.open(key), return_exceptions=True)
        if isinstance(mark, BaseException) or isinstance(opened, BaseException):
            if not isinstance(opened, BaseException):
                await opened.close()
            raise _first_failure(wanted, mark, opened)
        try:
            await self._require_whole(wanted, key, opened)
        except BaseException:
            await opened.close()
            raise
        return ObjectZip(self._client, key, opened, name=str(wanted))

    async def versions(self, path: ModulePath) -> list[str]:
        """Complete canonical versions in semver order; see `Storage.versions`."""
        span = self._keys.versions(path)
        found = []
        async for key in self._client.keys(span.folder, after=span.after):
            if span.until and key >= span.until:
                break
            entry = self._keys.entry(key)
            if entry and entry.path == path and canonical_version(entry.version) == entry.version:
                found.append(entry.version)
        return sorted(found, key=semver.sort_key)

    async def save(self, fetched: FetchedModule) -> None:
        """Commit a version; see `Storage.save`."""
        await self._saver.save(fetched)

    async def sweep(self, *, older_than_s: float = LEFTOVER_AGE_S) -> int:
        """Remove what saves left whose process died so long ago; returns of how many versions.

        Raises:
            StorageError: the bucket fails.
        """
        return await self._saver.sweep(older_than_s=older_than_s)

    async def delete(self, wanted: ModuleVersion) -> None:
        """Remove a version, its `.info` first; see `Storage.delete`."""
        try:
            await self._mark(wanted)
        except ObjectAbsent:
            raise _not_stored(wanted) from None
        await self._client.delete(self._keys.info(wanted))
        await self._client.delete(record_key(self._keys.root, layout.h1_record(wanted)))
        await asyncio.gather(
            self._client.delete(self._keys.zip(wanted)),
            self._client.delete(self._keys.mod(wanted)),
        )

    async def delete_zip(self, wanted: ModuleVersion) -> None:
        """Remove a version's zip; see `Storage.delete_zip`."""
        try:
            await self._mark(wanted)
        except ObjectAbsent:
            raise _not_stored(wanted) from None
        await self._client.delete(self._keys.zip(wanted))

    async def sizes(self, wanted: ModuleVersion) -> StoredSizes:
        """How large the files of a version are; see `Storage.sizes`."""
        info, mod, zip_revision = await asyncio.gather(
            self._mark(wanted),
            self._client.revision(self._keys.mod(wanted)),
            self._client.revision(self._keys.zip(wanted)),
            return_exceptions=True,
        )
        if isinstance(info, ObjectAbsent):
            raise _not_stored(wanted)
        failures = [result for result in (info, mod, zip_revision) if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, ObjectAbsent):
                raise failure
        mod_bytes = mod.size_bytes if isinstance(mod, Revision) else 0
        zip_bytes = zip_revision.size_bytes if isinstance(zip_revision, Revision) else None
        return StoredSizes(zip_bytes, mod_bytes + (len(info) if isinstance(info, bytes) else 0))

    async def catalog(self, *, token: str, limit: int) -> CatalogPage:
        """One page in the order of keys; see `Storage.catalog`."""
        root = self._keys.root
        if token and self._keys.entry(root + token) is None:
            raise InvalidToken(f"token {token!r}: it is not the key of an .info file of this store")
        found = self._cursors.resumed(token) or self._entries(after=root + token if token else behind_records(root))
        entries: list[ModuleVersion] = []
        async for entry in found:
            if len(entries) == limit:
                next_token = self._keys.info(entries[-1]).removeprefix(root)
                if not self._client.seeks:
                    self._cursors.keep(next_token, entry, found)
                return CatalogPage(tuple(entries), next_token)
            entries.append(entry)
        return CatalogPage(tuple(entries), "")

    async def read_record(self, name: str) -> bytes:
        """One of our own records; see `Storage.read_record`."""
        try:
            return await self._client.read(record_key(self._keys.root, name))
        except ObjectAbsent:
            raise ModuleNotFound(f"not found: record {name} is not stored") from None

    async def write_record(self, name: str, data: bytes) -> None:
        """Replace one of our own records; see `Storage.write_record`."""
        await self._client.write(record_key(self._keys.root, name), data, content_type=RECORD_TYPE)

    async def check(self) -> None:
        """Ask the bucket one cheap thing; see `Storage.check`."""
        await self._client.check(record_key(self._keys.root, "probe"))

    async def close(self) -> None:
        """Release connections."""
        await self._client.close()

    async def _require_whole(self, wanted: ModuleVersion, key: str, opened: OpenObject) -> None:
        """A zip that is cut off counts as evicted: it is fetched again under its `h1:`, and replaced then."""
        if await self._whole_zips.has(key, opened.revision):
            return
        _LOG.warning("%s: the stored zip %s is damaged and will be fetched again", self._client.name, key)
        raise ModuleNotFound(f"not found: the stored zip of {wanted} is damaged")

    async def _mark(self, wanted: ModuleVersion) -> bytes:
        """The commit mark; a GET, since the answer to a HEAD has no body to say why it is none."""
        return await self._client.read(self._keys.info(wanted))

    async def _entries(self, *, after: str) -> AsyncIterator[ModuleVersion]:
        async for key in self._client.keys(self._keys.root.rstrip("/"), after=after):
            entry = self._keys.entry(key)
            if entry is not None:
                yield entry


def _not_stored(wanted: ModuleVersion) -> ModuleNotFound:
    return ModuleNotFound(f"not found: {wanted} is not stored")


def _first_failure(wanted: ModuleVersion, *results: bytes | OpenObject | BaseException) -> BaseException:
    """Absence of either file is absence of the version; but a bucket that fails tells nothing about absence."""
    failures = [result for result in results if isinstance(result, BaseException)]
    other = [failure for failure in failures if not isinstance(failure, ObjectAbsent)]
    return other[0] if other else _not_stored(wanted)
