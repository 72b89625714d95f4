"""The fields of a live object that one writer owns, as the API server keeps count of them, and other values for them.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managedfields-updates
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from athens_operator.manifests import Manifest

OTHER_WORD = {
    "TCP": "UDP",
    "ClusterIP": "NodePort",
    "NodePort": "ClusterIP",
    "IfNotPresent": "Always",
    "FallbackToLogsOnError": "File",
    "OnRootMismatch": "Always",
    "RuntimeDefault": "Unconfined",
    "RollingUpdate": "Recreate",
    "Recreate": "RollingUpdate",
    "ScheduleAnyway": "DoNotSchedule",
    "HTTP": "HTTPS",
    "Prefix": "Exact",
    "Utilization": "AverageValue",
}
QUANTITY = re.compile(r"\d+(m|[KMGT]i)?")


class OwnedField(NamedTuple):
    """One leaf.

    Args:
        path: steps as the API server writes them; entries of lists by their key, so that order does not matter.
        pointer: where it stands now, as JSON patches want it.
        value: what it holds.
    """

    path: tuple[str, ...]
    pointer: str
    value: Any

    @property
    def other(self) -> Any:
        """Another value of the same kind; None where only its absence is another."""
        value = self.value
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return value + 1
        if not isinstance(value, str):
            return None
        return OTHER_WORD.get(value) or ("7" if QUANTITY.fullmatch(value) else f"{value}x")

    @property
    def operation(self) -> dict[str, Any]:
        """The JSON patch operation that changes it."""
        if self.other is None:
            return {"op": "remove", "path": self.pointer}
        return {"op": "replace", "path": self.pointer, "value": self.other}


def owned_fields(live: Manifest, manager: str) -> dict[tuple[str, ...], OwnedField]:
    """Every leaf that the manager owns, but keys of list entries: another key is another entry, no changed one."""
    found: dict[tuple[str, ...], OwnedField] = {}
    for entry in live["metadata"]["managedFields"]:
        if entry["manager"] == manager and not entry.get("subresource"):
            found |= {field.path: field for field in _leaves(entry["fieldsV1"], live, (), "", frozenset())}
    return found


def changeable(fields: Sequence[OwnedField], is_taken: Callable[[Sequence[OwnedField]], bool]) -> list[OwnedField]:
    """Those that may be changed together; what is refused is found by halving."""
    if not fields or is_taken(fields):
        return list(fields)
    if len(fields) == 1:
        return []
    middle = len(fields) // 2
    first, second = changeable(fields[:middle], is_taken), changeable(fields[middle:], is_taken)
    return first + second if is_taken(first + second) else max(first, second, key=len)


def _leaves(
    owned: dict[str, Any], live: Any, path: tuple[str, ...], pointer: str, keys: frozenset[str]
) -> Iterator[OwnedField]:
    for step, below in owned.items():
        kind, _, name = step.partition(":")
        if kind == "f" and isinstance(live, dict) and name in live and name not in keys:
            where = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            if set(below) - {"."}:
                yield from _leaves(below, live[name], (*path, step), where, frozenset())
            else:
                yield OwnedField((*path, step), where, live[name])
        elif kind == "k" and isinstance(live, list):
            wanted = json.loads(name)
            for index, item in enumerate(live):
                if all(item.get(key) == value for key, value in wanted.items()):
                    yield from _leaves(below, item, (*path, step), f"{pointer}/{index}", frozenset(wanted))
