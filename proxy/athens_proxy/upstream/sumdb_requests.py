"""What may be asked of a checksum database: the grammar of the paths below its name; pure.

Source: https://go.dev/ref/mod#checksum-database; golang.org/x/mod/sumdb/tlog (ParseTilePath)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion, grammar

HASH_BYTES: Final = 32
MAX_LOOKUP_BYTES: Final = 64 * 1024
MAX_DATA_TILE_BYTES: Final = 16 * 1024 * 1024

_TILE: Final = re.compile(
    r"tile/8/(?P<level>0|[1-9]\d?|data)/(?P<number>(?:x\d{3}/)*\d{3})(?:\.p/(?P<width>[1-9]\d{0,2}))?\Z", re.ASCII
)
_LAST_LEVEL: Final = 63
_FULL_WIDTH: Final = 256


@dataclass(frozen=True, slots=True)
class Supported:
    """Whether the database can be reached through this proxy."""


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest signed tree."""

    path = "latest"


@dataclass(frozen=True, slots=True)
class Lookup:
    """The record of one module version with a signed tree that holds it."""

    wanted: ModuleVersion

    @property
    def path(self) -> str:
        """The path below the database's address."""
        return f"lookup/{self.wanted.path.escaped}@{self.wanted.escaped_version}"


@dataclass(frozen=True, slots=True)
class Tile:
    """A piece of the tree.

    Attributes:
        path: the path below the database's address.
        width: number of hashes, 256 in a full tile.
        is_data: it holds records instead of hashes.
    """

    path: str
    width: int
    is_data: bool

    @property
    def is_full(self) -> bool:
        """Whether the tree's growth can no longer add to it."""
        return self.width == _FULL_WIDTH


SumdbRequest = Supported | Latest | Lookup | Tile


def parse_request(rest: str) -> SumdbRequest:
    """The request in the decoded text after the database's name and a slash.

    Raises:
        ModuleNotFound: the text is no canonical path of a checksum database.
    """
    if rest == "supported":
        return Supported()
    if rest == "latest":
        return Latest()
    if rest.startswith("lookup/"):
        return Lookup(_looked_up(rest.removeprefix("lookup/")))
    return _tile(rest)


def _looked_up(text: str) -> ModuleVersion:
    path, separator, version = text.partition("@")
    if not separator:
        raise ModuleNotFound(f"not found: checksum lookup of {grammar.quoted(text)}: no version")
    return ModuleVersion.from_escaped(ModulePath.from_escaped(path), version)


def _tile(rest: str) -> Tile:
    match = _TILE.match(rest)
    numbered_level = match is not None and match["level"] != "data"
    if (
        match is None
        or not _is_canonical_number(match["number"])
        or (numbered_level and int(match["level"]) > _LAST_LEVEL)
    ):
        raise ModuleNotFound(f"not found: {grammar.quoted(rest)} is no path of a checksum database")
    width = int(match["width"] or _FULL_WIDTH)
    if match["width"] and width >= _FULL_WIDTH:
        raise ModuleNotFound(f"not found: {grammar.quoted(rest)}: a partial tile has at most 255 hashes")
    return Tile(rest, width, is_data=not numbered_level)


def _is_canonical_number(number: str) -> bool:
    """Groups of three digits, none of which is only a leading zero: `x001/234`, never `x000/234`."""
    return not number.startswith("x000/")
