"""Credentials that a command prints, in the format of Go's GOAUTH, kept for a moment.

Source: `go help goauth`; cmd/go/internal/auth/userauth.go
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Final

from athens_proxy.credentials.entries import Entry
from athens_proxy.credentials.logins import Login, login_of_header
from athens_proxy.credentials.places import Match, longest
from athens_proxy.credentials.secret_files import Unusable, expiry_of
from athens_proxy.upstream.process import Finished, run

KEPT_S: Final = 30.0
_TIMEOUT_S: Final = 30.0
_PASSED_ON: Final = frozenset({"PATH", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "NO_PROXY"})
_AUTHORIZATION: Final = re.compile(r"authorization:\s*(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Printed:
    """An Authorization header and the addresses below which it counts."""

    match: Match
    authorization: str = field(repr=False)


@dataclass(slots=True)
class _Kept:
    login: Login | None = None
    until_s: float = 0.0
    running: asyncio.Lock = field(default_factory=asyncio.Lock)


class Commands:
    """Logins that commands give, by entry.

    Args:
        environ: the proxy's own environment, of which a command gets a few names.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {name: value for name, value in environ.items() if name.upper() in _PASSED_ON}
        self._kept: dict[str, _Kept] = {}

    async def login(self, entry: Entry) -> Login:
        """What the command gives for the places of its entry; asked again after half a minute.

        Raises:
            Unusable: it cannot be run, fails, or gives nothing for that place that git could send.
        """
        kept = self._kept.setdefault(entry.name, _Kept())
        async with kept.running:
            if kept.login is None or time.monotonic() > kept.until_s:
                kept.login = await self._asked(entry)
                kept.until_s = time.monotonic() + KEPT_S
            return kept.login

    def forget(self, entry: Entry, authorization: str) -> None:
        """Have the next question run the command, if a server refused what it gave last."""
        kept = self._kept.get(entry.name)
        if kept and kept.login and kept.login.authorization == authorization:
            kept.login = None

    async def _asked(self, entry: Entry) -> Login:
        if entry.match is None:
            raise AssertionError("a command is for a place")
        url = f"https://{entry.match}"
        for arguments in ((), (url,)):  # as the go command does: at first for everything, then for one address
            printed = longest(_printed(entry, await self._run(entry, arguments)), entry.match.as_place)
            login = login_of_header(entry.name, printed.authorization) if printed else None
            if login is not None:
                return replace(login, expires=expiry_of(login.password))
        raise Unusable(entry.name, f"its command printed no basic or bearer Authorization for {url}")

    async def _run(self, entry: Entry, arguments: tuple[str, ...]) -> str:
        try:
            done = await run(
                [*entry.command, *arguments],
                environment=self._environ,
                directory=Path(tempfile.gettempdir()),
                timeout_s=_TIMEOUT_S,
            )
        except TimeoutError as error:
            raise Unusable(entry.name, f"its command did not end within {_TIMEOUT_S:g} s") from error
        except OSError as error:
            raise Unusable(entry.name, f"its command cannot be run: {error.strerror}") from error
        return _output(entry, done)


def _output(entry: Entry, done: Finished) -> str:
    """What a command printed; its error output is never shown, for it may hold anything."""
    if done.exit_code:
        raise Unusable(entry.name, f"its command exited with {done.exit_code}")
    return done.stdout.decode("utf-8", "replace")


def _printed(entry: Entry, text: str) -> list[Printed]:
    """The headers that a command printed: blocks of addresses, a blank line, headers, a blank line."""
    found = []
    lines = iter([*text.splitlines(), ""])
    for line in lines:
        if not line:
            continue
        urls = [line, *_until_blank(lines)]
        headers = (_AUTHORIZATION.match(header) for header in _until_blank(lines))
        values = [header[1].strip() for header in headers if header]
        for url in urls:
            if not url.startswith("https://"):
                raise Unusable(entry.name, "its command printed an address without https://")
            try:
                match = Match.parse(url.removeprefix("https://").partition("?")[0])
            except ValueError as error:
                raise Unusable(entry.name, "its command printed a malformed address") from error
            found += [Printed(match, value) for value in values]
    return found


def _until_blank(lines: Iterator[str]) -> list[str]:
    return list(takewhile(bool, lines))
