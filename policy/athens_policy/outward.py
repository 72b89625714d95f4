"""Where a merged file leads to, and where it must not: back to its own proxy, or out of the house with private modules.

Pure. A name that only a resolver could trace back to the proxy is not found; the proxy itself answers such loops.

Source: the operator's API reference, section 4.5 (RedirectLoop, PrivateUpstream).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from athens_policy.index import covers
from athens_policy.merge import MergeError
from athens_policy.patterns import InvalidPattern, Pattern
from athens_policy.sources import MergedPolicy

_SEPARATORS: Final = re.compile(r"[,|]")
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """One way to a proxy.

    Args:
        host: lower case.
        ports: that lead to it.
        prefix: the path below which it answers; empty for all of them.
    """

    host: str
    ports: frozenset[int]
    prefix: str = ""

    def covers(self, url: str) -> bool:
        """Whether requests below that URL come to the proxy."""
        parts = urlsplit(url)
        path = parts.path.rstrip("/")
        return (
            (parts.hostname or "").rstrip(".") == self.host
            and (parts.port or _PORTS.get(parts.scheme.lower())) in self.ports
            and (path == self.prefix or path.startswith(f"{self.prefix}/"))
        )


@dataclass(frozen=True, slots=True)
class Outward:
    """One address in a file.

    Args:
        field: where it stands, for messages.
        urls: a single one, or the http entries of a chain.
        private_matters: the pattern that it is for, where modules of that pattern are asked for there.
    """

    field: str
    urls: tuple[str, ...]
    private_matters: Pattern | None = None


def outward(merged: MergedPolicy) -> tuple[Outward, ...]:
    """Every address in a file, in the order in which it is asked."""
    default = [Outward(f"{merged.default_source}: downloadURL", (merged.download_url,))] if merged.download_url else []
    return (*_of_blocks(merged), *default)


def check_outward(addresses: Iterable[Outward], own: Sequence[OwnAddress], private: Sequence[str]) -> None:
    """Return if nothing leads back to the proxy, and no upstream is for modules that never leave.

    Args:
        addresses: what the file leads to; see `outward`.
        own: every way to the proxy.
        private: patterns of modules that the proxy fetches from their origin alone.

    Raises:
        MergeError: `RedirectLoop` or `PrivateUpstream`, with every place and the fix.
    """
    given = list(addresses)
    loops = [_loop(found, url) for found in given for url in found.urls if any(way.covers(url) for way in own)]
    if loops:
        raise MergeError("RedirectLoop", loops)
    patterns = [(text, pattern) for text in private if (pattern := _pattern(text)) is not None]
    hidden = [
        _never(found, text)
        for found in given
        for text, pattern in patterns
        if found.private_matters is not None and covers(pattern, found.private_matters)
    ]
    if hidden:
        raise MergeError("PrivateUpstream", hidden)


def http_entries(chain: str) -> tuple[str, ...]:
    """The entries of a GOPROXY chain that are asked over the network."""
    return tuple(entry for entry in _SEPARATORS.split(chain) if entry.startswith(("http://", "https://")))


def _of_blocks(merged: MergedPolicy) -> Iterator[Outward]:
    for sourced in merged.blocks:
        block = sourced.block
        if block.download_url:
            yield Outward(f"{sourced.label}: downloadURL", (block.download_url,))
        entries = http_entries(block.upstream)
        if entries:
            yield Outward(f"{sourced.label}: upstream", entries, block.pattern)


def _pattern(text: str) -> Pattern | None:
    try:
        return Pattern.parse(text)
    except InvalidPattern:
        return None


def _loop(found: Outward, url: str) -> str:
    return f"{found.field} {url} leads back to this proxy; name another server, or remove it"


def _never(found: Outward, private: str) -> str:
    pattern = found.private_matters.text if found.private_matters else ""
    return (
        f"{found.field} can never apply to {pattern}: spec.privateModules has {private}, and such modules come from "
        "their origin alone; remove one of the two, or name the pattern in spec.checksumDB.noSumPatterns instead"
    )
