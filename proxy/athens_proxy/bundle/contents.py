"""What is in a bundle, by name: the tree of a module cache's `cache/download`, behind a manifest; pure.

Unpacked, a bundle is a `file://` GOPROXY as it is. The order is: manifest, checksum databases, versions by path and
version, each as `.info`, `.mod`, `.ziphash`, `.zip`.

Source: cmd/go/internal/modfetch/cache.go (names below cache/download), sumdb.go (names below sumdb).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from athens_proxy.bundle.archive import InvalidBundle
from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion

MANIFEST: Final = "athens-bundle.json"
MAX_MANIFEST_BYTES: Final = 64 * 1024 * 1024
ROOT: Final = "cache/download"
EXTENSIONS: Final = ("info", "mod", "ziphash", "zip")
_FORMAT: Final = "athens-bundle/1"


@dataclass(frozen=True, slots=True)
class DatabasePart:
    """What a bundle has of one checksum database.

    Attributes:
        tree_size: records in the signed tree.
        earlier: sizes of trees that it proves to continue.
    """

    tree_size: int
    earlier: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """The list of contents."""

    versions: Sequence[ModuleVersion]
    databases: Mapping[str, DatabasePart] = field(default_factory=dict)

    def encode(self) -> bytes:
        """As JSON, one version a line."""
        document = {
            "format": _FORMAT,
            "databases": {
                name: {"tree": part.tree_size, "continues": list(part.earlier)}
                for name, part in sorted(self.databases.items())
            },
            "versions": [str(version) for version in self.versions],
        }
        return json.dumps(document, indent=0, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """The inverse; raises `InvalidBundle`."""
        try:
            document = json.loads(data)
            if document["format"] != _FORMAT:
                raise InvalidBundle(
                    "it has a format of another release; import it with that release or export it again"
                )
            databases = {
                str(name): DatabasePart(int(part["tree"]), tuple(int(size) for size in part["continues"]))
                for name, part in document["databases"].items()
            }
            versions = [version_of(text) for text in document["versions"]]
        except InvalidBundle:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InvalidBundle("its manifest cannot be read") from error
        return cls(versions, databases)


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """One file of a version."""

    wanted: ModuleVersion
    extension: str


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """One answer of a checksum database."""

    database: str
    path: str


def version_of(text: str) -> ModuleVersion:
    """The canonical version in `module@version`; raises `InvalidBundle`."""
    path, _, version = text.partition("@")
    try:
        wanted = ModuleVersion.parse(ModulePath.parse(path), version)
    except ModuleNotFound as error:
        raise InvalidBundle(f"it names something that is no module version: {error}") from error
    if not wanted.is_canonical:
        raise InvalidBundle(f"it names {wanted}, which is no canonical version")
    return wanted


def name_of_module_file(wanted: ModuleVersion, extension: str) -> str:
    """The member that holds a file of a version."""
    return f"{ROOT}/{wanted.path.escaped}/@v/{wanted.escaped_version}.{extension}"


def name_of_database_file(database: str, path: str) -> str:
    """The member that holds an answer of a checksum database."""
    return f"{ROOT}/sumdb/{database}/{path}"


def meaning_of(name: str, databases: Sequence[str]) -> ModuleFile | DatabaseFile:
    """What a member is.

    Args:
        name: of the member.
        databases: that the manifest names.

    Raises:
        InvalidBundle: nothing of a bundle.
    """
    below = name.removeprefix(f"{ROOT}/")
    for database in databases:
        if below.startswith(f"sumdb/{database}/"):
            return DatabaseFile(database, below.removeprefix(f"sumdb/{database}/"))
    folder, at, file = below.rpartition("/@v/")
    version, _, extension = file.rpartition(".")
    if below == name or not at or extension not in EXTENSIONS:
        raise InvalidBundle("it holds files that are no part of a bundle")
    try:
        wanted = ModuleVersion.from_escaped(ModulePath.from_escaped(folder), version)
    except ModuleNotFound as error:
        raise InvalidBundle(f"it names something that is no module version: {error}") from error
    return ModuleFile(wanted, extension)
