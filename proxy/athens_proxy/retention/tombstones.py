"""Versions that were purged: what says so, and how that is read; pure.

Two sources count alike: a record of the store, which `athens-proxy purge` writes, and a file that people or the
operator keep. A version is purged as long as one of them names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from athens_proxy.errors import InvalidPath, InvalidVersion
from athens_proxy.modules import ModulePath, ModuleVersion

RECORD: Final = "retention/purged"
ANNOUNCED: Final = "retention/announced"  # its own record: a proxy that notes it must not bring a tombstone back
MAX_FILE_BYTES: Final = 256 * 1024
MAX_FILE_ENTRIES: Final = 1_000
MAX_REASON: Final = 200
_KEYS: Final = frozenset({"module", "version", "reason"})


class BadPurgeList(ValueError):
    """The text is no list of purged versions; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One purged version.

    Attributes:
        module: its path.
        version: canonical.
        reason: for clients, "" if none was given.
        at: when, in RFC 3339; "" where nobody noted it.
        by: who, for people.
    """

    module: str
    version: str
    reason: str = ""
    at: str = ""
    by: str = ""

    @property
    def wanted(self) -> ModuleVersion:
        """The version."""
        return ModuleVersion(ModulePath(self.module), self.version)

    @property
    def text(self) -> str:
        """The line that clients see."""
        why = f": {self.reason}" if self.reason else ""
        return f"purged: {self.module}@{self.version} was removed from this proxy and is not served{why}"


def purgeable(module: str, version: str) -> ModuleVersion:
    """The version that this names.

    Raises:
        BadPurgeList: it names none, or not exactly one.
    """
    try:
        wanted = ModuleVersion.parse(ModulePath.parse(module), version)
    except (InvalidPath, InvalidVersion) as error:
        raise BadPurgeList(str(error)) from error
    if not wanted.is_canonical:
        raise BadPurgeList(f"{wanted}: not a canonical version; name one such as v1.2.3")
    return wanted


def from_record(record: bytes) -> dict[ModuleVersion, Tombstone]:
    """The tombstones of the store's record; entries that are none are left out."""
    found: dict[ModuleVersion, Tombstone] = {}
    for entry in json.loads(record or b"{}").get("purged", []):
        try:
            wanted = purgeable(str(entry["module"]), str(entry["version"]))
            texts = {name: str(entry.get(name, "")) for name in ("reason", "at", "by")}
        except (BadPurgeList, KeyError, TypeError, AttributeError):
            continue
        found[wanted] = Tombstone(wanted.path.text, wanted.version, **texts)
    return found


def to_record(tombstones: Iterable[Tombstone]) -> bytes:
    """The record of these."""
    ordered = sorted(tombstones, key=lambda tombstone: (tombstone.module, tombstone.version))
    return json.dumps({"purged": [asdict(tombstone) for tombstone in ordered]}, indent=1).encode()


def announcement(tombstone: Tombstone) -> str:
    """What is noted once others were told of a purge; another purge of the same version is told of again."""
    return f"{tombstone.module}@{tombstone.version} {tombstone.at}"


def from_file(data: bytes, *, by: str) -> dict[ModuleVersion, Tombstone]:
    """The tombstones of a list that people keep: `[{"module": …, "version": …, "reason": …}]`; empty means none.

    Args:
        data: the file, at most one byte more than it may have.
        by: who is told to have purged them.

    Raises:
        BadPurgeList: it is something else; nothing of it counts then.
    """
    if len(data) > MAX_FILE_BYTES:
        raise BadPurgeList(f"it is larger than {MAX_FILE_BYTES} bytes")
    try:
        entries = json.loads(data.decode()) if data.strip() else []
    except (ValueError, RecursionError) as error:
        raise BadPurgeList(f"it is no JSON: {error}") from error
    if not isinstance(entries, list) or len(entries) > MAX_FILE_ENTRIES:
        raise BadPurgeList(f"it must be a list of at most {MAX_FILE_ENTRIES} objects with module and version")
    found = {}
    for number, entry in enumerate(entries):
        try:
            tombstone = _entry(entry, by)
        except BadPurgeList as error:
            raise BadPurgeList(f"entry {number}: {error}") from error
        found[tombstone.wanted] = tombstone
    return found


def _entry(entry: Any, by: str) -> Tombstone:
    if not isinstance(entry, dict) or not {"module", "version"} <= entry.keys() <= _KEYS:
        raise BadPurgeList("it must have module and version, may have reason, and nothing else")
    if not all(isinstance(value, str) for value in entry.values()):
        raise BadPurgeList("module, version and reason must be texts")
    reason = entry.get("reason", "")
    if len(reason) > MAX_REASON or not reason.isprintable():
        raise BadPurgeList(f"its reason must be one printable line of at most {MAX_REASON} characters")
    wanted = purgeable(entry["module"], entry["version"])
    return Tombstone(wanted.path.text, wanted.version, reason=reason, by=by)
