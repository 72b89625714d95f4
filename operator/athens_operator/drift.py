"""Says who changed which of our fields in a child, and notices when somebody keeps doing it. Pure but for the clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from athens_operator.cache import version_of
from athens_operator.cluster import FIELD_MANAGER
from athens_operator.manifests import Manifest, Ref, ref_of

PATHS_AT_MOST = 5
DELETED = ""  # stands for the whole object among the paths
FIGHT_COUNT = 5
FIGHT_WINDOW_S = 600.0
FIGHT_PAUSE_S = 300.0
CALM_S = 90.0  # longer than the look that a stalled proxy gets every minute


@dataclass(frozen=True, slots=True)
class Drift:
    """A child that somebody else had changed and that is as desired again.

    Args:
        paths: our fields that were different; empty when the whole object was gone.
        manager: who changed it last, as Kubernetes names writers; empty when unknown.
    """

    ref: Ref
    paths: tuple[str, ...]
    manager: str

    def __str__(self) -> str:
        if not self.paths:
            return f"{self.ref} had been deleted and is back"
        return f"{self.ref}: {', '.join(self.paths)} changed by {self.manager or 'somebody'} and restored"


def drift_of(desired: Manifest, before: Manifest | None, after: Manifest) -> Drift | None:
    """What was repaired, or None when nothing was, because the live object had every value that it can have."""
    if before is None:
        return Drift(ref_of(desired), (), "")
    if version_of(before) == version_of(after):
        return None
    others = set(_differences(desired, after, ""))  # an admission rule sets these at every write
    paths = tuple(path.lstrip(".") for path in _differences(desired, before, "") if path not in others)
    return Drift(ref_of(desired), paths[:PATHS_AT_MOST], _last_writer(before)) if paths else None


def is_as_desired(desired: Manifest, live: Manifest) -> bool:
    """Whether the live object has every desired value."""
    return next(_differences(desired, live, ""), None) is None


def _differences(desired: object, live: object, path: str) -> Iterator[str]:
    if isinstance(desired, Mapping):
        if not isinstance(live, Mapping):
            if not (_is_empty(desired) and _is_empty(live)):
                yield path
            return
        for name, value in desired.items():
            yield from _differences(value, live.get(name), f"{path}.{name}")
    elif isinstance(desired, list) and isinstance(live, list) and _is_keyed(desired):
        named = {item["name"]: item for item in live if isinstance(item, Mapping) and "name" in item}
        for item in desired:
            yield from _differences(item, named.get(item["name"]), f"{path}[{item['name']}]")
    elif desired != live and not (_is_empty(desired) and _is_empty(live)):
        yield path


def _is_empty(value: object) -> bool:
    """Whether the API server may leave it out: it stores no empty texts, lists and maps where a field is optional."""
    return value is None or value in ("", [], {})


def _is_keyed(items: Sequence[object]) -> bool:
    return bool(items) and all(isinstance(item, Mapping) and "name" in item for item in items)


def _last_writer(live: Manifest) -> str:
    entries: list[Mapping[str, Any]] = [
        entry
        for entry in live["metadata"].get("managedFields") or ()
        if entry.get("manager") != FIELD_MANAGER and entry.get("subresource") != "status"
    ]
    entries.sort(key=lambda entry: str(entry.get("time", "")))
    return str(entries[-1].get("manager", "")) if entries else ""


@dataclass(frozen=True, slots=True)
class Fight:
    """A child that somebody keeps changing, and that is left alone for a while.

    Args:
        drift: the correction that was one too many.
        until: when it is corrected again, on the loop's clock.
    """

    drift: Drift
    until: float

    def __str__(self) -> str:
        who = self.drift.manager or "somebody"
        what = f"changing {', '.join(self.drift.paths)}" if self.drift.paths else "deleting it"
        return (
            f"{self.drift.ref}: {who} keeps {what}; it is left alone for five minutes at a time, make that writer "
            "leave it alone"
        )


class Fights:
    """Counts corrections per field; too many in a while mean that somebody else insists, and we leave the child alone.

    After a pause the child is corrected; a further change within `CALM_S` starts the next pause at once, so that the
    status does not say every five minutes that all is well.
    """

    def __init__(self) -> None:
        self._corrections: dict[Ref, dict[str, deque[float]]] = {}
        self._fights: dict[Ref, Fight] = {}

    def note(self, drift: Drift) -> bool:
        """Count one correction; True when it starts a pause."""
        now = asyncio.get_running_loop().time()
        allowed = FIGHT_COUNT if self.going_on(drift.ref) is None else 1
        counted = self._corrections.setdefault(drift.ref, {})
        contested = [path for path in drift.paths or (DELETED,) if _count(counted, path, now) > allowed]
        if not contested:
            return False
        counted.clear()
        paths = tuple(path for path in contested if path != DELETED)
        self._fights[drift.ref] = Fight(replace(drift, paths=paths), now + FIGHT_PAUSE_S)
        return True

    def going_on(self, ref: Ref) -> Fight | None:
        """The fight over a child, until it has been left as desired for a while; None when there is peace."""
        fight = self._fights.get(ref)
        if fight is not None and asyncio.get_running_loop().time() > fight.until + CALM_S:
            del self._fights[ref]
            return None
        return fight

    def is_backing_off(self, ref: Ref) -> bool:
        """Whether the child is left alone for now."""
        fight = self._fights.get(ref)
        return fight is not None and fight.until > asyncio.get_running_loop().time()

    def forget(self, ref: Ref) -> None:
        """The child belongs to a proxy that is gone."""
        self._corrections.pop(ref, None)
        self._fights.pop(ref, None)


def _count(counted: dict[str, deque[float]], path: str, now: float) -> int:
    """Corrections of one field within the window, with the present one."""
    recent = counted.setdefault(path, deque())
    recent.append(now)
    while now - recent[0] > FIGHT_WINDOW_S:
        recent.popleft()
    return len(recent)
