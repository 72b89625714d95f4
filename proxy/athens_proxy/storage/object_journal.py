"""Which saves into a bucket are under way, so that what dead savers left can be found without listing the bucket.

A save that puts files notes its version in one object below `.athens/saves/`, named by the time, and removes the note
when the version is committed. A note that is older than a day is of a saver that died; its files are removed only under
the version's claim, so never beside another saver, and never once the version is committed.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from contextlib import suppress
from typing import Final

from athens_proxy.errors import InvalidPath, InvalidVersion, StorageError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage import layout
from athens_proxy.storage.object_claim import CONTENT_TYPE, Claim
from athens_proxy.storage.object_client import ObjectAbsent, ObjectClient
from athens_proxy.storage.object_layout import ObjectLayout, record_key

_FOLDER: Final = "saves"
_SWEEPING: Final = b"swept\n"  # the content of a claim that no save has
_LOG = logging.getLogger(__name__)


class Journal:
    """The notes in one bucket.

    Args:
        client: the bucket.
        keys: its layout.
        lease_s: of claims; see `Claim`.
    """

    def __init__(self, client: ObjectClient, keys: ObjectLayout, *, lease_s: float) -> None:
        self._client = client
        self._keys = keys
        self._lease_s = lease_s

    async def begin(self, wanted: ModuleVersion) -> str:
        """Note that files of a version are about to be put; returns the note's key."""
        key = record_key(self._keys.root, f"{_FOLDER}/{_stamp(time.time())}-{uuid.uuid4().hex[:12]}")
        await self._client.write(key, str(wanted).encode(), content_type=CONTENT_TYPE)
        return key

    async def end(self, key: str) -> None:
        """Remove the note of a version that is committed; one that stays is removed by a sweep."""
        with suppress(StorageError):
            await self._client.delete(key)

    async def sweep(self, *, older_than_s: float) -> int:
        """Remove what savers left that died so long ago; returns of how many versions.

        Raises:
            StorageError: the bucket fails.
        """
        swept, oldest = 0, _stamp(time.time() - older_than_s)
        async for key in self._client.keys(record_key(self._keys.root, _FOLDER)):
            if key.rpartition("/")[2] >= oldest:
                break
            swept += await self._settle(key)
        return swept

    async def _settle(self, key: str) -> bool:
        wanted = await self._noted(key)
        if wanted is None or await self._is_committed(wanted):
            await self._client.delete(key)
            return False
        record = record_key(self._keys.root, layout.h1_record(wanted))
        claim = Claim(self._client, record, _SWEEPING, lease_s=self._lease_s)
        if not await self._claimed(claim, wanted):
            return False
        await claim.work(self._remove_files(wanted))
        await claim.confirm()
        await self._client.delete(record)
        await self._client.delete(key)
        _LOG.info("removed what a save left that never ended", extra={"wanted": str(wanted)})
        return True

    async def _claimed(self, claim: Claim, wanted: ModuleVersion) -> bool:
        """The claim, unless somebody who is alive has it; a live saver cannot commit without renewing it."""
        give_up_at = asyncio.get_running_loop().time() + 2 * self._lease_s
        while not await self._is_committed(wanted):
            if await claim.taken():
                return True
            if asyncio.get_running_loop().time() > give_up_at:
                break
        return False

    async def _remove_files(self, wanted: ModuleVersion) -> None:
        await asyncio.gather(
            self._client.delete(self._keys.zip(wanted)),
            self._client.delete(self._keys.mod(wanted)),
        )

    async def _noted(self, key: str) -> ModuleVersion | None:
        try:
            path, _, version = (await self._client.read(key)).decode().partition("@")
            return ModuleVersion.parse(ModulePath.parse(path), version)
        except (ObjectAbsent, UnicodeDecodeError, InvalidPath, InvalidVersion):
            return None

    async def _is_committed(self, wanted: ModuleVersion) -> bool:
        try:
            await self._client.read(self._keys.info(wanted))
        except ObjectAbsent:
            return False
        return True


def _stamp(seconds: float) -> str:
    """A time as a name that sorts by it."""
    return f"{int(seconds):012d}"
