"""The GOPROXY grammar: a text such as `https://proxy.example.com,direct` becomes a chain of hops; pure.

Source: https://go.dev/ref/mod#environment-variables (GOPROXY), cmd/go/internal/modfetch/proxy.go (proxyList)
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

from yarl import URL

from athens_proxy.modules import grammar

_PARTS: Final = re.compile(r"([^,|]*)([,|]?)")
_USERINFO: Final = re.compile(r"//[^/@]*@")


class InvalidChain(ValueError):
    """The text is no GOPROXY value; the message says which entry and what is allowed, without credentials."""


@dataclass(frozen=True, slots=True)
class HttpHop:
    """A module proxy spoken to over HTTP.

    Attributes:
        url: its base address, without user information.
        authorization: value of the Authorization header, "" for none; never shown.
    """

    url: URL
    authorization: str = field(default="", repr=False)

    def __str__(self) -> str:
        return str(self.url.with_query(None))


@dataclass(frozen=True, slots=True)
class FileHop:
    """A module proxy that is a directory tree of this machine."""

    root: PurePosixPath

    def __str__(self) -> str:
        return f"file://{self.root}"


@dataclass(frozen=True, slots=True)
class DirectHop:
    """The origin's version control system; ends a chain."""

    def __str__(self) -> str:
        return "direct"


@dataclass(frozen=True, slots=True)
class OffHop:
    """No source at all; ends a chain."""

    def __str__(self) -> str:
        return "off"


Hop = HttpHop | FileHop | DirectHop | OffHop


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One hop and what follows it.

    Attributes:
        hop: where to ask.
        on_any_error: the next hop is asked after any failure (`|`), not only after "not found" (`,`).
    """

    hop: Hop
    on_any_error: bool


def parse_chain(text: str) -> tuple[ChainLink, ...]:
    """The links of a GOPROXY value; what follows `direct` or `off` is never reached and left out, as `go` does.

    Raises:
        InvalidChain: no entry at all, or an entry with an unknown scheme, without host, or with an insecure password.
    """
    links: list[ChainLink] = []
    for match in _PARTS.finditer(text):
        entry = match[1].strip()
        if not entry:
            continue
        hop = _hop(entry)
        links.append(ChainLink(hop, on_any_error=match[2] == "|"))
        if isinstance(hop, DirectHop | OffHop):
            break
    if not links:
        raise InvalidChain("the GOPROXY list is empty; use proxy addresses, `direct` or `off`")
    return tuple(links)


def first_http_hop(links: tuple[ChainLink, ...]) -> HttpHop | None:
    """The first module proxy that is spoken to over HTTP, if there is one."""
    return next((link.hop for link in links if isinstance(link.hop, HttpHop)), None)


def _hop(entry: str) -> Hop:
    if entry == "direct":
        return DirectHop()
    if entry == "off":
        return OffHop()
    if re.search(r"[.:/]", entry) and ":/" not in entry and not entry.startswith("/"):
        entry = "https://" + entry  # a bare host, as in GOPROXY=proxy.example.com; single words are reserved
    scheme, _, rest = entry.partition("://")
    if scheme == "file":
        return _file_hop(entry, rest)
    if scheme not in ("http", "https"):
        raise InvalidChain(f"GOPROXY entry {_shown(entry)}: use http://, https://, file://, `direct` or `off`")
    return _http_hop(entry)


def _file_hop(entry: str, rest: str) -> FileHop:
    if not rest.startswith("/"):
        raise InvalidChain(f"GOPROXY entry {_shown(entry)}: a file entry has three slashes, as file:///var/modules")
    return FileHop(PurePosixPath(unquote(rest)))


def _http_hop(entry: str) -> HttpHop:
    try:
        url = URL(entry, encoded=True)
        host, user, password = url.host, url.user, url.password
    except (ValueError, IndexError) as error:  # yarl fails with the latter on some brackets
        raise InvalidChain(f"GOPROXY entry {_shown(entry)}: no valid address") from error
    if not host:
        raise InvalidChain(f"GOPROXY entry {_shown(entry)}: the host is missing")
    if user is None and password is None:
        return HttpHop(_tidy(url))
    if url.scheme != "https":
        raise InvalidChain(f"GOPROXY entry {_shown(entry)}: refusing to send a password over plain http; use https")
    token = base64.b64encode(f"{user or ''}:{password or ''}".encode()).decode()
    return HttpHop(_tidy(url.with_user(None)), f"Basic {token}")


def _tidy(url: URL) -> URL:
    path = re.sub(r"/{2,}", "/", url.raw_path).rstrip("/")
    return URL.build(
        scheme=url.scheme, authority=url.raw_authority, path=path, query_string=url.raw_query_string, encoded=True
    )


def _shown(entry: str) -> str:
    return grammar.quoted(_USERINFO.sub("//", entry))
