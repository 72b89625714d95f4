"""Which credential belongs to which place: hosts, and paths on them, compared element by element; pure.

Source: docs/credentials-file.md
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

_MATCH: Final = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::([0-9]{1,5}))?((?:/[A-Za-z0-9._~-]+)*)/?\Z")
_MAX_CHARS: Final = 512
_HTTPS_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is asked for.

    Attributes:
        host: in lower case.
        port: None for that of https, and where the address names none.
        path: its elements, the last one without `.git`.
    """

    host: str
    port: int | None
    path: tuple[str, ...]

    @classmethod
    def of(cls, host: str, port: int | None, path: str) -> Place:
        """The place of an address that was taken apart; the port of https is none."""
        return cls(host.lower(), None if port == _HTTPS_PORT else port, elements(path))

    @classmethod
    def of_authority(cls, authority: str, path: str) -> Place:
        """The place of a `host` or `host:port` and a path."""
        host, colon, port = authority.rpartition(":")
        if colon and port.isascii() and port.isdigit():
            return cls.of(host, int(port), path)
        return cls.of(authority, None, path)


@dataclass(frozen=True, slots=True)
class Match:
    """The places that an entry is for.

    Attributes:
        host: in lower case.
        port: None for that of https.
        path: elements that a place's path begins with.
    """

    host: str
    port: int | None
    path: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Match:
        """The match of a text such as `git.example.com:8443/team`.

        Raises:
            ValueError: it is no host with, perhaps, a port and a path.
        """
        parts = _MATCH.match(text) if len(text) <= _MAX_CHARS else None
        if parts is None or {".", ".."} & set(text.split("/")):
            raise ValueError("use a host, or a host and a path, such as git.example.com/team; without https://")
        place = Place.of(parts[1], int(parts[2]) if parts[2] else None, parts[3])
        return cls(place.host, place.port, place.path)

    def __str__(self) -> str:
        return "/".join((self.authority, *self.path))

    @property
    def authority(self) -> str:
        """The host, with its port unless it is that of https."""
        return f"{self.host}:{self.port}" if self.port else self.host

    @property
    def as_place(self) -> Place:
        """The place that the match names itself."""
        return Place(self.host, self.port, self.path)

    def covers(self, place: Place) -> bool:
        """Whether the entry is for this place."""
        same_server = (self.host, self.port) == (place.host, place.port)
        return same_server and self.path == place.path[: len(self.path)]


class HasMatch(Protocol):
    """Something that is for the places of its match."""

    @property
    def match(self) -> Match | None:
        """The places; None for none."""


_M = TypeVar("_M", bound=HasMatch)


def longest(candidates: Iterable[_M], place: Place) -> _M | None:
    """The candidate that counts at a place: the one with most path, of several the first."""
    best: _M | None = None
    for candidate in candidates:
        if candidate.match is None or not candidate.match.covers(place):
            continue
        if best is None or best.match is None or len(candidate.match.path) > len(best.match.path):
            best = candidate
    return best


def elements(path: str) -> tuple[str, ...]:
    """The elements of a path; `.git` at the end of a repository's name does not count."""
    parts = tuple(part for part in path.split("/") if part)
    return tuple(part.removesuffix(".git") or part for part in parts)
