"""What the endpoints behind the page answer, as plain documents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from athens_policy import semver
from athens_policy.decide import Decision, Denied, verdict_of
from athens_proxy.download.rules import Rules
from athens_proxy.download.stored_or_fetched import denied_text
from athens_proxy.errors import ModuleNotFound
from athens_proxy.events.events import Events
from athens_proxy.events.kinds import EventKind
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.page.module_list import ModuleList
from athens_proxy.page.origins import Origins
from athens_proxy.policy.enforced import EnforcedPolicy
from athens_proxy.storage.storage import Storage

RECENT: Final = 20
REFUSALS: Final = 50
LOOKED_THROUGH: Final = 4_000
MAX_MODULES: Final = 200
MAX_VERSIONS: Final = 100
_ASKED_AT_ONCE: Final = 8

LastUsed = Callable[[ModuleVersion], datetime | None]


@dataclass(frozen=True, slots=True)
class Sources:
    """What the facts are taken from.

    Attributes:
        storage: sizes and versions.
        modules: what is stored.
        origins: where it came from.
        events: what happened lately.
        rules: what is enforced.
        policy: the same as a whole.
        lookups: stored and not stored files that this process was asked for.
        following: what is known of the proxy that is followed; empty for none.
        last_used: when a version was last asked for, as far as anybody counts that.
    """

    storage: Storage
    modules: ModuleList
    origins: Origins
    events: Events
    rules: Rules
    policy: EnforcedPolicy
    lookups: Callable[[], tuple[int, int]]
    following: Callable[[], dict[str, Any]]
    last_used: LastUsed


class Facts:
    """Answers the page's questions; each costs as much as one page of it, whatever the store holds."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def modules(self, query: str, *, after: str, limit: int) -> dict[str, Any]:
        """Stored modules whose path holds every word of the query."""
        sources = self._sources
        found = await sources.modules.search(query, after=after, limit=min(limit, MAX_MODULES))
        return {
            "modules": [
                {"module": path, **_verdict(sources.rules.about_module(ModulePath(path)))} for path in found.paths
            ],
            "next": found.after,
            "total": len(sources.modules),
            "complete": sources.modules.is_complete,
        }

    async def versions(self, path: ModulePath, *, after: str, limit: int) -> dict[str, Any]:
        """The stored versions of a module, newest first.

        Raises:
            ModuleNotFound: none is stored.
            StorageError: the store cannot answer.
        """
        stored = sorted(await self._sources.storage.versions(path), key=semver.sort_key, reverse=True)
        if not stored:
            raise ModuleNotFound(f"not found: nothing of {path} is stored")
        if after:
            stored = [version for version in stored if semver.sort_key(version) < semver.sort_key(after)]
        shown = stored[: min(limit, MAX_VERSIONS)]
        slots = asyncio.Semaphore(_ASKED_AT_ONCE)
        asked = await asyncio.gather(*(self._version(ModuleVersion(path, version), slots) for version in shown))
        rows = [row for row in asked if row is not None]
        return {"module": path.text, "versions": rows, "next": shown[-1] if len(stored) > len(shown) else ""}

    def summary(self) -> dict[str, Any]:
        """The state of the proxy and what happened lately."""
        sources = self._sources
        hits, misses = sources.lookups()
        loaded, events = sources.policy.loaded, sources.events.newest(LOOKED_THROUGH)
        refusals = [event for event in events if event.kind is EventKind.REFUSED]
        others = [event for event in events if event.kind is not EventKind.REFUSED]
        return {
            "modules": len(sources.modules),
            "complete": sources.modules.is_complete,
            "hits": hits,
            "misses": misses,
            "hitRatio": round(hits / (hits + misses), 4) if hits + misses else None,
            "policy": {
                "defaultMode": str(loaded.file.mode),
                "rules": len(loaded.file.blocks),
                "digest": loaded.digest,
                "source": loaded.source,
            },
            "refusals": [event.fields() for event in refusals[:REFUSALS]],
            "recent": [event.fields() for event in others[:RECENT]],
            "following": sources.following(),
        }

    async def _version(self, wanted: ModuleVersion, slots: asyncio.Semaphore) -> dict[str, Any] | None:
        sources = self._sources
        try:
            async with slots:
                sizes, origin = await sources.storage.sizes(wanted), await sources.origins.of(wanted)
                decision = await sources.rules.about(wanted)
        except ModuleNotFound:  # gone while we looked
            return None
        used = sources.last_used(wanted)
        return {
            "version": wanted.version,
            "zipBytes": sizes.zip_bytes,
            "smallBytes": sizes.small_bytes,
            "storedAt": origin.at,
            "source": origin.source,
            "storedBy": " at ".join(filter(None, (origin.user, origin.host))),
            "lastUse": f"{used:%Y-%m-%dT%H:%M:%SZ}" if used else "",
            **_verdict(decision),
        }


def _verdict(decision: Decision) -> dict[str, str]:
    reason = denied_text(decision.effect) if isinstance(decision.effect, Denied) else ""
    return {"verdict": str(verdict_of(decision.effect)), "reason": reason}
