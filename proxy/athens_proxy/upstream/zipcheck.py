"""The rules for module zips, and the `h1:` sum of one that keeps them, in one pass over its contents.

The go command cannot recover from a bad zip that it got with status 200, so nothing is stored before it passed here.

Source: https://go.dev/ref/mod#zip-files; golang.org/x/mod/zip (CheckZip, Unzip)
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Final

from athens_proxy.checksums.dirhash import hash1
from athens_proxy.errors import InvalidModuleZip
from athens_proxy.modules import ModuleVersion, grammar
from athens_proxy.upstream.zip_directory import CHUNK_BYTES, BadZip, ZipEntry, content, entries, whole_content

MAX_ZIP_BYTES: Final = 500 * 1024 * 1024
MAX_GO_MOD_BYTES: Final = 16 * 1024 * 1024
MAX_LICENSE_BYTES: Final = 16 * 1024 * 1024


def checked_zip_h1(path: Path, wanted: ModuleVersion) -> str:
    """The `h1:` sum of a module zip that keeps all rules; blocks, so it runs in a thread.

    Raises:
        InvalidModuleZip: a rule is broken, or the file is no whole zip; the text names the entry and the rule.
    """
    try:
        with path.open("rb", buffering=CHUNK_BYTES) as file:  # entries mostly follow each other: few reads of the file
            return _checked_h1(file, path.stat().st_size, wanted)
    except BadZip as error:
        raise InvalidModuleZip(f"{wanted}: the upstream sent an invalid module zip: {error}") from error


def go_mod_in_zip(path: Path, wanted: ModuleVersion) -> bytes:
    """The go.mod in the root of a zip that was checked, empty where it has none; blocks, so it runs in a thread."""
    name = f"{wanted}/go.mod".encode()
    with path.open("rb") as file:
        found = [entry for entry in entries(file, path.stat().st_size) if entry.name == name]
        return b"".join(chunk for entry in found for chunk in content(file, entry))


def _checked_h1(file: BinaryIO, file_bytes: int, wanted: ModuleVersion) -> str:
    if file_bytes > MAX_ZIP_BYTES:
        raise BadZip(f"{file_bytes} bytes are more than the limit of {MAX_ZIP_BYTES}")
    listed = list(entries(file, file_bytes))
    _check_names_and_sizes(listed, f"{wanted}/")
    return hash1((entry.name, _digest(file, entry)) for entry in listed)


def _digest(file: BinaryIO, entry: ZipEntry) -> bytes:
    try:
        if entry.is_small:
            return hashlib.sha256(whole_content(file, entry)).digest()
        digest = hashlib.sha256()
        for chunk in content(file, entry):
            digest.update(chunk)
    except BadZip as error:
        raise BadZip(f"{_shown(entry)}: {error}") from error
    return digest.digest()


def _check_names_and_sizes(listed: Iterable[ZipEntry], prefix: str) -> None:
    seen = _Names()
    total_bytes = 0
    for entry in listed:
        name = _name_below(prefix, entry)
        if not name:
            continue
        is_directory = name.endswith("/")
        if problem := seen.problem(name):
            raise BadZip(f"{_shown(entry)}: {problem}")
        if is_directory:
            continue
        total_bytes += entry.size_bytes
        if total_bytes > MAX_ZIP_BYTES:
            raise BadZip(f"the unpacked files are larger than the limit of {MAX_ZIP_BYTES} bytes")
        if entry.size_bytes > {"go.mod": MAX_GO_MOD_BYTES, "LICENSE": MAX_LICENSE_BYTES}.get(name, MAX_ZIP_BYTES):
            raise BadZip(f"{_shown(entry)}: larger than the limit of {MAX_GO_MOD_BYTES} bytes")


def _name_below(prefix: str, entry: ZipEntry) -> str:
    try:
        name = entry.name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadZip(f"{_shown(entry)}: the name is not UTF-8") from error
    if not name.startswith(prefix):
        raise BadZip(f"{_shown(entry)}: the name does not start with {grammar.quoted(prefix)}")
    if name.endswith("/") and entry.size_bytes:
        raise BadZip(f"{_shown(entry)}: a directory with content")
    return name[len(prefix) :]


class _Names:
    """Checks each name by itself and beside the others; a folder that many files are in is checked once.

    On a file system that ignores case no two may fall together, and none is file and directory.
    """

    def __init__(self) -> None:
        self._by_folded: dict[str, tuple[str, bool]] = {}
        self._sound_folders: set[str] = {""}

    def problem(self, name: str) -> str | None:
        """Why the name (a directory ends in `/`) cannot join those seen so far, or None."""
        is_directory, name = name.endswith("/"), name.removesuffix("/")
        folder, _, base = name.rpartition("/")
        is_known = folder in self._sound_folders
        is_sound = is_known and grammar.is_plain_file_element(base)
        if not is_sound and (problem := _name_problem(base if is_known else name)):
            return problem
        if not is_directory and name != "go.mod" and _folded(base) == "go.mod":
            return "go.mod is only allowed in the root, in lower case"
        if problem := self._collision(name, is_directory=is_directory):
            return problem
        return None if is_known else self._folder_collision(folder)

    def _folder_collision(self, folder: str) -> str | None:
        above = folder
        while above:
            if problem := self._collision(above, is_directory=True):
                return problem
            above = posixpath.dirname(above)
        self._sound_folders.add(folder)
        return None

    def _collision(self, name: str, *, is_directory: bool) -> str | None:
        own = (name, is_directory)
        there = self._by_folded.setdefault(_folded(name), own)
        if there is own:
            return None
        other, other_is_directory = there
        if other != name:
            return f"it differs from {grammar.quoted(other)} only in case"
        if other_is_directory != is_directory:
            return "it is both a file and a directory"
        return None if is_directory else "it is there twice"


def _name_problem(name: str) -> str | None:
    if not name or posixpath.normpath(name) != name or name.startswith("/"):
        return "the name is not clean"
    return grammar.file_path_problem(name)


def _folded(name: str) -> str:
    if name.isascii():
        return name.lower()
    return "".join(map(_folded_rune, name))


@lru_cache(maxsize=1024)
def _folded_rune(char: str) -> str:
    # Go folds rune by rune; Python's casefold may make two characters of one ("ß" and its capital are "ss").
    return next((folded for folded in (char.casefold(), char.lower()) if len(folded) == 1), char)


def _shown(entry: ZipEntry) -> str:
    return grammar.quoted(entry.name.decode("utf-8", "backslashreplace"))
