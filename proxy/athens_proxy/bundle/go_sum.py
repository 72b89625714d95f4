"""What a go.sum file names: module versions with the sums they must have; pure.

Source: https://go.dev/ref/mod#go-sum-files; cmd/go/internal/modfetch/fetch.go (readGoSum)
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion, grammar

MAX_BYTES: Final = 64 * 1024 * 1024
_MOD_SUFFIX: Final = "/go.mod"


class InvalidGoSum(ValueError):
    """The text is no usable go.sum; the message names the lines."""


@dataclass(slots=True)
class GoSumEntry:
    """What go.sum says of one version.

    Attributes:
        zip_h1: sum of the zip, "" when only the go.mod is needed.
        mod_h1: sum of the go.mod, "" when there is no such line.
    """

    zip_h1: str = ""
    mod_h1: str = ""


def parse_go_sum(text: str, *, name: str) -> dict[ModuleVersion, GoSumEntry]:
    """The entries in the order of the file.

    Args:
        text: the content.
        name: of the file, for messages.

    Raises:
        InvalidGoSum: a line has not three fields, names no canonical version, or differs from an earlier one.
    """
    entries: dict[ModuleVersion, GoSumEntry] = {}
    seen: dict[tuple[str, str], tuple[int, str]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split()
        if not fields:
            continue
        where = f"{name}:{number}"
        if len(fields) != 3:
            raise InvalidGoSum(
                f"{where}: a line of go.sum is module, version and sum; this one has {len(fields)} fields"
            )
        path, version, h1 = fields
        if not h1.startswith("h1:"):
            continue  # an algorithm of the future; the go command skips it too
        _require_sum(h1, where)
        first, other = seen.setdefault((path, version), (number, h1))
        if other != h1:
            raise InvalidGoSum(
                f"{where}: {path} {version} has {h1}, but {other} in line {first};"
                " find out which is right and delete the other line"
            )
        entry = entries.setdefault(_named(path, version.removesuffix(_MOD_SUFFIX), where), GoSumEntry())
        if version.endswith(_MOD_SUFFIX):
            entry.mod_h1 = h1
        else:
            entry.zip_h1 = h1
    return entries


def _require_sum(h1: str, where: str) -> None:
    try:
        digest = base64.b64decode(h1.removeprefix("h1:"), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:
        raise InvalidGoSum(f"{where}: {grammar.quoted(h1)} is no sum: it is cut off or damaged")


def _named(path: str, version: str, where: str) -> ModuleVersion:
    try:
        wanted = ModuleVersion.parse(ModulePath.parse(path), version)
    except ModuleNotFound as error:
        raise InvalidGoSum(f"{where}: {str(error).removeprefix('not found: ')}") from error
    if not wanted.is_canonical:
        raise InvalidGoSum(f"{where}: {grammar.quoted(str(wanted))} is no canonical version")
    return wanted
