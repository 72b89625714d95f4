"""The folder of clients as it is mounted: one folder, or one file, per entry; everything in it is lines of clients.

What cannot be used opens no door: it is a problem that names the entry, the file and the line, never what they hold.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from athens_proxy.clients.lines import Line, Password, UnusableLine, parsed

MAX_FILE_BYTES: Final = 1 << 20
MAX_FILES: Final = 1000
MAX_PROBLEMS: Final = 20  # of one entry that are told


@dataclass(frozen=True, slots=True)
class Entry:
    """What one entry holds.

    Attributes:
        name: of its folder or file.
        lines: those that can be used.
        problems: what cannot, for people.
    """

    name: str
    lines: tuple[Line, ...] = field(default=(), repr=False)
    problems: tuple[str, ...] = ()

    @property
    def passwords(self) -> int:
        """How many passwords it holds."""
        return sum(isinstance(line, Password) for line in self.lines)

    @property
    def tokens(self) -> int:
        """How many tokens it holds."""
        return len(self.lines) - self.passwords


@dataclass(frozen=True, slots=True)
class FoundFolder:
    """What a folder held at one look.

    Attributes:
        entries: by name.
        problem: why the folder as a whole cannot be read, "" if it can.
    """

    entries: tuple[Entry, ...] = ()
    problem: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """Every problem, with the entry it is in."""
        whole = (self.problem,) if self.problem else ()
        return whole + tuple(f"{entry.name}: {problem}" for entry in self.entries for problem in entry.problems)


Marks = tuple[tuple[str, int, int, int], ...]


def marks(root: Path) -> Marks:
    """What differs once anything in the folder was written, added, removed or swapped."""
    return tuple(_marks(root))


def read(root: Path) -> FoundFolder:
    """Everything the folder holds; never raises."""
    try:
        names = _names(root)
    except OSError as error:
        return FoundFolder(problem=f"{root} cannot be read: {error.strerror}")
    kept = names[:MAX_FILES]
    problem = f"{root} has {len(names)} entries; only {MAX_FILES} are read" if len(names) > MAX_FILES else ""
    return FoundFolder(tuple(_entry(root / name) for name in kept), problem)


def _names(folder: Path) -> list[str]:
    """Without `..data` and the folders behind it, by which the kubelet swaps everything at once."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _marks(root: Path) -> Iterator[tuple[str, int, int, int]]:
    try:
        for name in _names(root)[:MAX_FILES]:
            path = root / name
            yield from _mark(path)
            if path.is_dir():
                for inner in _names(path)[:MAX_FILES]:
                    yield from _mark(path / inner)
    except OSError as error:
        yield str(root), error.errno or 0, 0, 0


def _mark(path: Path) -> Iterator[tuple[str, int, int, int]]:
    try:
        found = path.stat()
    except OSError as error:
        yield str(path), error.errno or 0, 0, 0
    else:
        yield str(path), found.st_mtime_ns, found.st_size, found.st_ino


def _entry(path: Path) -> Entry:
    try:
        files = [path / name for name in _names(path)] if path.is_dir() else [path]
    except OSError as error:
        return Entry(path.name, problems=(f"cannot be read: {error.strerror}",))
    lines: list[Line] = []
    problems: list[str] = []
    for file in files[:MAX_FILES]:
        try:
            text = _text(file)
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{file.name} cannot be used: {_why(error)}")
            continue
        for number, line in parsed(text):
            if isinstance(line, UnusableLine):
                problems.append(f"{file.name} line {number} {line}")
            else:
                lines.append(line)
    if len(files) > MAX_FILES:
        problems.append(f"it has {len(files)} files; only {MAX_FILES} are read")
    return Entry(path.name, tuple(lines), _told(problems))


def _text(file: Path) -> str:
    if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be read for ever
        raise OSError(0, "it is not a file")
    with file.open("rb") as opened:
        data = opened.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise OSError(0, f"it is larger than {MAX_FILE_BYTES} bytes")
    return data.decode("utf-8-sig")


def _why(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or "unknown error" if isinstance(error, OSError) else "it is not UTF-8 text"


def _told(problems: list[str]) -> tuple[str, ...]:
    if len(problems) <= MAX_PROBLEMS:
        return tuple(problems)
    return (*problems[:MAX_PROBLEMS], f"and {len(problems) - MAX_PROBLEMS} more")
