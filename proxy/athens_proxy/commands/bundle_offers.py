"""A bundle as what can be imported: its checksum records first, then its versions in order; blocks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from athens_proxy.bundle.archive import InvalidBundle, Member
from athens_proxy.bundle.contents import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    DatabaseFile,
    Manifest,
    ModuleFile,
    meaning_of,
)
from athens_proxy.commands.importing import Offer
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.disk_save import storage_errors
from athens_proxy.upstream.sumdb_requests import MAX_LOOKUP_BYTES
from athens_proxy.upstream.zipcheck import MAX_GO_MOD_BYTES, MAX_ZIP_BYTES

_MAX_SMALL_BYTES: Final = MAX_GO_MOD_BYTES


@dataclass(slots=True)
class BundleContent:
    """A bundle that is being read.

    Attributes:
        manifest: its list of contents.
        answers: what it has of checksum databases, by database and path.
        rest: the members that follow, the first of which is `first`.
    """

    manifest: Manifest
    answers: dict[str, dict[str, bytes]]
    rest: Iterator[Member]
    first: Member | None = field(default=None)

    @classmethod
    def begun(cls, members: Iterator[Member]) -> BundleContent:
        """Read up to the first version.

        Raises:
            InvalidBundle: it is not what `athens-proxy export` writes.
        """
        head = next(members, None)
        if head is None or head.name != MANIFEST:
            raise InvalidBundle("its manifest is missing")
        manifest = Manifest.parse(head.content.all(at_most_bytes=MAX_MANIFEST_BYTES))
        content = cls(manifest, {name: {} for name in manifest.databases}, members)
        for member in members:
            meaning = meaning_of(member.name, list(manifest.databases))
            if isinstance(meaning, ModuleFile):
                content.first = member
                break
            content._add(meaning, member)
        return content

    def offers(self, folder: Path) -> Iterator[Offer]:
        """The versions, each zip in a new file of the folder.

        Raises:
            InvalidBundle: a version is missing or incomplete, or one is there that the manifest does not name.
            StorageError: the folder cannot be written.
        """
        waiting = iter(self.manifest.versions)
        small: dict[str, bytes] = {}
        for member in self._members():
            meaning = meaning_of(member.name, [])
            if not isinstance(meaning, ModuleFile):
                raise InvalidBundle("its members are in no order")
            if meaning.extension != "zip":
                small[member.name] = member.content.all(at_most_bytes=_MAX_SMALL_BYTES)
                continue
            wanted = meaning.wanted
            if next(waiting, None) != wanted:
                raise InvalidBundle(f"{wanted} is not where its manifest says")
            zip_path = folder / uuid.uuid4().hex
            _unpack(member, zip_path)
            yield _offer(wanted, small, member.name, zip_path)
            small = {}
        if next(waiting, None) is not None or small:
            raise InvalidBundle("versions that its manifest names are missing")

    def _members(self) -> Iterator[Member]:
        if self.first is not None:
            yield self.first
            yield from self.rest

    def _add(self, meaning: DatabaseFile, member: Member) -> None:
        self.answers[meaning.database][meaning.path] = member.content.all(at_most_bytes=MAX_LOOKUP_BYTES)


def _offer(wanted: ModuleVersion, small: dict[str, bytes], zip_name: str, zip_path: Path) -> Offer:
    base = zip_name.removesuffix("zip")
    try:
        info, mod, sum_ = (small.pop(base + extension) for extension in ("info", "mod", "ziphash"))
    except KeyError as error:
        raise InvalidBundle(f"{wanted} is incomplete") from error
    if small:
        raise InvalidBundle(f"something stands before {wanted} that belongs to no version")
    return Offer(wanted, info, mod, sum_.decode("ascii", "replace"), zip_path, may_be_moved=True)


def _unpack(member: Member, into: Path) -> None:
    if member.size_bytes > MAX_ZIP_BYTES:
        raise InvalidBundle(f"{member.name} is larger than a module zip may be")
    with storage_errors(f"write a temporary file in {into.parent}"), into.open("xb") as file:
        while chunk := member.content.read():
            file.write(chunk)
