"""Says who changed which of our fields in a child, and notices when somebody keeps doing it. Pure but for the clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from athens_operator.cache import version_of
from athens_operator.cluster import FIELD_MANAGER
from athens_operator.manifests import Manifest, Ref, ref_of

PATHS_AT_MOST = 5
FIGHT_COUNT = 5
FIGHT_WINDOW_S = 600.0
FIGHT_PAUSE_S = 300.0


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
    """What was repaired, or None when the live object had every desired value already."""
    if before is None:
        return Drift(ref_of(desired), (), "")
    if version_of(before) == version_of(after):
        return None
    paths = tuple(path.lstrip(".") for path in _differences(desired, before, ""))
    return Drift(ref_of(desired), paths[:PATHS_AT_MOST], _last_writer(before)) if paths else None


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


class Fights:
    """Counts corrections per child; too many in a while mean that somebody else insists, and we pause."""

    def __init__(self) -> None:
        self._corrections: dict[Ref, deque[float]] = {}
        self._pause_until: dict[Ref, float] = {}

    def note(self, ref: Ref) -> bool:
        """Count one correction; True when it starts a pause."""
        now = asyncio.get_running_loop().time()
        recent = self._corrections.setdefault(ref, deque())
        recent.append(now)
        while recent and now - recent[0] > FIGHT_WINDOW_S:
            recent.popleft()
        if len(recent) <= FIGHT_COUNT:
            return False
        recent.clear()
        self._pause_until[ref] = now + FIGHT_PAUSE_S
        return True

    def is_backing_off(self, ref: Ref) -> bool:
        """Whether the child is left alone for now."""
        return self._pause_until.get(ref, 0.0) > asyncio.get_running_loop().time()
