"""Writes the status of our own objects, only when it changed, and tells what a change is worth telling."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from athens_operator.cache import Cache, uid_of
from athens_operator.cluster import Cluster, Conflict, NotFound
from athens_operator.events import Announcement, Announcer, announcements
from athens_operator.manifests import Manifest, ref_of

Status = Mapping[str, Any]
IDENTITY = ("namespace", "name", "uid", "resourceVersion")
"""Of the object that was judged. The API server ignores a wrong uid on `/status`, a stale version it refuses."""


class Publisher:
    """The one writer of `/status`.

    Args:
        cluster: where to.
        cache: learns what was written.
        announcer: writes Events.
    """

    def __init__(self, cluster: Cluster, cache: Cache, announcer: Announcer) -> None:
        self._cluster = cluster
        self._cache = cache
        self._announcer = announcer
        self._sent: dict[str, tuple[Status, Status]] = {}  # uid -> what was sent, what else the server made of it

    async def publish(self, body: Manifest, status: dict[str, Any], *, also: Iterable[Announcement] = ()) -> bool:
        """Write the status unless it is there already; whether it was written.

        Args:
            body: the object that the status was judged for; a namesake of it is never written.
            status: the whole new status.
            also: Events beyond those that follow from the change.
        """
        before = body.get("status") or {}
        for announcement in also:
            await self._announcer.tell(body, announcement)
        if status == before or self._sent.get(uid_of(body)) == (status, before):
            return False
        metadata = {name: body["metadata"][name] for name in IDENTITY if name in body["metadata"]}
        manifest = {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": metadata, "status": status}
        try:
            after = await self._cluster.apply(manifest, subresource="status")
        except NotFound:  # deleted meanwhile; the watch will say so
            return False
        except Conflict:  # edited since, or a namesake: look again, judge again
            with contextlib.suppress(NotFound):
                self._cache.put(await self._cluster.get(ref_of(body)))
            raise
        self._cache.put(after)
        stored = after.get("status") or {}
        self._sent.pop(uid_of(body), None)
        if stored != status:
            self._sent[uid_of(body)] = (status, stored)
        for announcement in announcements(before, status):
            await self._announcer.tell(body, announcement)
        return True

    async def tell(self, body: Manifest, announcement: Announcement) -> None:
        """Write one Event about an object, if it was not told lately."""
        await self._announcer.tell(body, announcement)

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._sent.pop(uid, None)
