"""The catalogue of a disk store: a lazy walk in lexical order that starts after a token; blocking, for a worker thread.

Symbolic links to folders are served when asked for, but not walked, as in Athens: a link could lead in a circle.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from athens_proxy.storage import layout
from athens_proxy.storage.layout import EntryKey
from athens_proxy.storage.storage import CatalogPage, InvalidToken


def catalog_page(root: Path, *, token: str, limit: int) -> CatalogPage:
    """At most `limit` entries after `token`; only folders on the way to the token and behind it are read.

    Raises:
        InvalidToken: the token is not `module|version`.
    """
    try:
        after = layout.token_key(token)
    except ValueError as error:
        raise InvalidToken(f"token {token!r}: {error}") from error
    found = (entry for key in _committed(root, (), after) if (entry := layout.entry_at(key)))
    entries = tuple(islice(found, limit + 1))
    if len(entries) <= limit:
        return CatalogPage(entries, "")
    return CatalogPage(entries[:limit], layout.token_of(entries[limit - 1]))


def _committed(folder: Path, key: EntryKey, after: EntryKey) -> Iterator[EntryKey]:
    """Keys below a folder that come after `after`, which is relative to that folder."""
    first = after[0] if after else ""
    for name in _folders(folder):
        if name < first or (not key and name == layout.RECORDS_DIR):
            continue
        here = (*key, name)
        rest = after[1:] if after and name == first else ()
        is_behind = not (after and name == first)
        if is_behind and (folder / name / f"{name}.info").is_file():
            yield here
        yield from _committed(folder / name, here, rest)


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:  # deleted while we walk
        return []
