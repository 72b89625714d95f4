"""Athens' disk layout, byte for byte, and where our own records lie beside it.

`<root>/<module, not escaped>/<version>/{go.mod,source.zip,<version>.info}`, records under `<root>/.athens/`. No module
path begins with a dot, so no module can lie there.

Source: github.com/gomods/athens pkg/storage/fs
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from athens_proxy.errors import InvalidPath, StorageError
from athens_proxy.modules import ModulePath, ModuleVersion

RECORDS_DIR = ".athens"
MOD_NAME = "go.mod"
ZIP_NAME = "source.zip"

EntryKey = tuple[str, ...]


def module_dir(root: Path, path: ModulePath) -> Path:
    """The folder that holds a module's versions."""
    return root.joinpath(*path.text.split("/"))


def may_begin_a_path(name: str) -> bool:
    """Whether a folder at the root can hold modules: the first element of a module path is a host name with a dot."""
    return "." in name and not name.startswith(".")


def version_dir(root: Path, wanted: ModuleVersion) -> Path:
    """The folder of one version."""
    return module_dir(root, wanted.path) / wanted.version


def info_file(root: Path, wanted: ModuleVersion) -> Path:
    """The commit mark of one version."""
    return version_dir(root, wanted) / f"{wanted.version}.info"


def is_commit_mark(info: str | Path) -> bool:
    """Whether this `.info` commits a version: Athens writes in place, so that a crash can leave an empty one.

    Raises:
        OSError: the disk fails.
    """
    try:
        return os.stat(info).st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:  # a symbolic link in a circle
            return False
        raise


def record_parts(name: str) -> Sequence[str]:
    """The path elements of a record's name.

    Raises:
        StorageError: the name could leave the records' folder.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise StorageError(f"record {name!r}: every element of the name must be a plain file name")
    return parts


def h1_record(wanted: ModuleVersion) -> str:
    """The name of the record that keeps a version's `h1:` sums: zip and go.mod, one a line.

    A disk store adds the SHA-256 of the zip's file in a third line.
    """
    return f"h1/{wanted.path.escaped}/@v/{wanted.escaped_version}"


def damaged_file(wanted: ModuleVersion, name: str, mark: str) -> str:
    """Where below the records a damaged file of a version is kept; `mark` tells several of them apart."""
    return f"damaged/{wanted.path.escaped}/@v/{wanted.escaped_version}.{mark}.{name}"


def entry_key(wanted: ModuleVersion) -> EntryKey:
    """The place of an entry in the catalogue: a walk in lexical order per folder."""
    return (*wanted.path.text.split("/"), wanted.version)


def token_of(wanted: ModuleVersion) -> str:
    """Athens' catalogue token of an entry."""
    return f"{wanted.path.text}|{wanted.version}"


def token_key(token: str) -> EntryKey:
    """The place in the catalogue that a token names; () for the start.

    Raises:
        ValueError: the token is not `module|version`.
    """
    if not token:
        return ()
    module, bar, version = token.partition("|")
    if not bar:
        raise ValueError("the token has no |")
    return (*module.split("/"), version.partition("|")[0])


def path_at(elements: EntryKey) -> ModulePath | None:
    """The module whose folder has these path elements, or None if they cannot be one."""
    try:
        return ModulePath.parse("/".join(elements))
    except InvalidPath:
        return None
