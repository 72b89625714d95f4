"""What `prefetch` and `export` are asked to bring: go.sum files, lists, arguments and toolchains become versions."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from athens_proxy.bundle.go_sum import MAX_BYTES, InvalidGoSum, parse_go_sum
from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion, grammar

_TOOLCHAIN: Final = re.compile(r"go[1-9]\d*(?:\.\d+){1,2}(?:(?:rc|beta)\d+)?(?:-[A-Za-z0-9.]+)?", re.ASCII)
_PLATFORM: Final = re.compile(r"[a-z0-9]+/[a-z0-9]+", re.ASCII)
DEFAULT_PLATFORM: Final = "linux/amd64"


class UnusableInput(ValueError):
    """What was asked for cannot be read or contradicts itself; the message names file and line."""


@dataclass(slots=True)
class Wish:
    """How much of a version is wanted, and what is known of it.

    Attributes:
        needs_zip: False when only the go.mod is needed.
        zip_h1: the sum that the zip must have, "" when nobody said.
        mod_h1: the same of the go.mod.
    """

    needs_zip: bool = True
    zip_h1: str = ""
    mod_h1: str = ""


Wishes = dict[ModuleVersion, Wish]


def add_wish_options(parser: argparse.ArgumentParser) -> None:
    """The options that say what to bring."""
    parser.add_argument(
        "--go-sum", type=Path, action="append", default=[], metavar="FILE", help="every version in this go.sum"
    )
    parser.add_argument(
        "--modules", type=Path, action="append", default=[], metavar="FILE", help="one MODULE@VERSION a line"
    )
    parser.add_argument(
        "--toolchain", action="append", default=[], metavar="goX.Y.Z", help="a Go toolchain, such as go1.26.1"
    )
    parser.add_argument(
        "--platform", action="append", default=[], metavar="OS/ARCH", help=f"of the toolchains ({DEFAULT_PLATFORM})"
    )
    parser.add_argument("versions", nargs="*", metavar="MODULE@VERSION", help="a version, a branch, or latest")


def wishes_of(asked: argparse.Namespace) -> Wishes:
    """Everything that the options name.

    Raises:
        UnusableInput: a file cannot be read, a line is malformed, or two sums are given for one version.
    """
    wishes: Wishes = {}
    for file in asked.go_sum:
        _add_go_sum(wishes, file)
    for file in asked.modules:
        for number, line in enumerate(_text(file).splitlines(), start=1):
            if line.strip() and not line.lstrip().startswith("#"):
                _add_whole(wishes, _version(line.strip(), f"{file}:{number}"))
    for text in asked.versions:
        _add_whole(wishes, _version(text, text))
    for wanted in toolchains(asked.toolchain, asked.platform or [DEFAULT_PLATFORM]):
        _add_whole(wishes, wanted)
    if not wishes:
        raise UnusableInput("nothing is asked for; use --go-sum, --modules, --toolchain or MODULE@VERSION")
    return wishes


def toolchains(names: Sequence[str], platforms: Iterable[str]) -> list[ModuleVersion]:
    """Go's toolchains as the module versions that they are served as.

    Raises:
        UnusableInput: a name or a platform is none.

    Source: https://go.dev/doc/toolchain#download
    """
    found = []
    for platform in platforms if names else ():
        if not _PLATFORM.fullmatch(platform):
            raise UnusableInput(f"--platform {platform}: write system and architecture, as in linux/arm64")
        for name in names:
            if not _TOOLCHAIN.fullmatch(name):
                raise UnusableInput(f"--toolchain {name}: write the toolchain's name with all numbers, as in go1.26.1")
            version = f"v0.0.1-{name}.{platform.replace('/', '-')}"
            found.append(ModuleVersion.parse(ModulePath.parse("golang.org/toolchain"), version))
    return found


def _add_go_sum(wishes: Wishes, file: Path) -> None:
    try:
        entries = parse_go_sum(_text(file), name=str(file))
    except InvalidGoSum as error:
        raise UnusableInput(str(error)) from error
    for wanted, entry in entries.items():
        wish = wishes.setdefault(wanted, Wish(needs_zip=False))
        wish.needs_zip = wish.needs_zip or bool(entry.zip_h1)
        wish.zip_h1 = _agreed(wish.zip_h1, entry.zip_h1, f"{file}: {wanted}")
        wish.mod_h1 = _agreed(wish.mod_h1, entry.mod_h1, f"{file}: {wanted}/go.mod")


def _agreed(known: str, said: str, where: str) -> str:
    if known and said and known != said:
        raise UnusableInput(f"{where} has {said}, but {known} in another go.sum; find out which is right")
    return known or said


def _add_whole(wishes: Wishes, wanted: ModuleVersion) -> None:
    wishes.setdefault(wanted, Wish()).needs_zip = True


def _version(text: str, where: str) -> ModuleVersion:
    path, at, version = text.partition("@")
    try:
        if not at:
            raise UnusableInput(f"{where}: write MODULE@VERSION, not {grammar.quoted(text)}")
        return ModuleVersion.parse(ModulePath.parse(path), version)
    except ModuleNotFound as error:
        raise UnusableInput(f"{where}: {str(error).removeprefix('not found: ')}") from error


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise UnusableInput(f"{file}: larger than {MAX_BYTES} bytes; that is no list of modules")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UnusableInput(f"{file}: cannot be read: {reason}") from error
