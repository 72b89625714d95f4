"""One loaded set of clients, and the memory of what was shown to it.

A comparison with bcrypt costs tens of milliseconds of a core, so what was found is remembered, by a keyed digest of the
header: neither memory dump nor lookup time tells a credential. A new set starts with an empty memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from athens_proxy.clients.authorization import BearerToken, NamedSecret, shown
from athens_proxy.clients.lines import Line, Password, Token, is_password
from athens_proxy.errors import Overloaded

REMEMBERED: Final = 4096
THREADS: Final = 1  # whoever guesses costs a core at most
MAX_WAITING: Final = 128


class Comparisons:
    """The thread that compares passwords, and how many requests wait for it; shared by one set and the next."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._waiting = 0

    async def found(self, clients: KnownClients, authorization: str) -> bool:
        """Whether a set admits a header.

        Raises:
            Overloaded: too many others wait.
        """
        if self._waiting >= MAX_WAITING:
            raise Overloaded("too many clients show new credentials at once; try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, clients.compare, authorization)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the thread; nobody may ask afterwards."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class KnownClients:
    """Everybody of one moment.

    Args:
        lines: of all files.
        comparisons: does the work.
    """

    def __init__(self, lines: Iterable[Line], comparisons: Comparisons) -> None:
        self._comparisons = comparisons
        self._passwords: dict[str, list[bytes]] = {}
        self._tokens: list[Token] = []
        self._dearest = b""
        for line in lines:
            self._add(line)
        self._key = secrets.token_bytes(32)
        self._memory: OrderedDict[bytes, bool] = OrderedDict()
        self._running: dict[bytes, asyncio.Future[bool]] = {}

    async def admits(self, authorization: str) -> bool:
        """Whether the header shows a credential of this set.

        Raises:
            Overloaded: too many headers are new at once.
        """
        if not authorization:
            return False
        key = hashlib.blake2b(authorization.encode("utf-8", "surrogateescape"), key=self._key, digest_size=16).digest()
        known = self._memory.get(key)
        if known is not None:
            self._memory.move_to_end(key)
            return known
        running = self._running.get(key)
        if running is None:  # `go` asks for many files at once: one comparison answers all
            running = asyncio.ensure_future(self._comparisons.found(self, authorization))
            self._running[key] = running
            running.add_done_callback(lambda done: self._remember(key, done))
        return await asyncio.shield(running)

    def compare(self, authorization: str) -> bool:
        """The same without memory; takes as long for a name that nobody has."""
        match shown(authorization):
            case BearerToken(token):
                return any([known.is_token(token) for known in self._tokens])  # a list: all are looked at
            case NamedSecret(name, secret):
                return self._is_named(name, secret)
            case None:
                return False

    def _is_named(self, name: str, secret: bytes) -> bool:
        if any([known.is_token(secret) for known in self._tokens if known.name == name]):
            return True
        hashes = self._passwords.get(name)
        if hashes is None:
            _ = self._dearest and is_password(secret, self._dearest)
            return False
        return any(is_password(secret, hashed) for hashed in hashes)

    def _add(self, line: Line) -> None:
        match line:
            case Password(name, hashed):
                self._passwords.setdefault(name, []).append(hashed)
                if not self._dearest or line.cost > Password("", self._dearest).cost:
                    self._dearest = hashed
            case Token():
                self._tokens.append(line)

    def _remember(self, key: bytes, done: asyncio.Future[bool]) -> None:
        del self._running[key]
        if done.cancelled() or done.exception() is not None:
            return
        self._memory[key] = done.result()
        if len(self._memory) > REMEMBERED:
            self._memory.popitem(last=False)
