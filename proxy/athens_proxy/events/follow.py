"""Following another proxy's events: what it purged is dropped here, what it stored may be fetched ahead of time.

A connection that breaks is made again with growing pauses. The position is kept with the store and moves only behind
what was done, so that nothing is left out by a restart; things may be done twice, which changes nothing. No request
ever waits for any of this.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from athens_proxy.errors import ProxyError
from athens_proxy.events.kinds import MAX_ID, EventKind
from athens_proxy.events.messages import Message, MessageReader
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.owner import Records
from athens_proxy.upstream.answers import secrets_of, without_secrets, words_of
from athens_proxy.upstream.authorize import Authorize

CONNECT_S: Final = 30.0
SILENT_S: Final = 60.0  # four heartbeats
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
KEEP_POSITION_S: Final = 5.0
LEAVE_S: Final = 2.0
PREFETCHES: Final = 4
_LOG = logging.getLogger(__name__)

_FAILURES: Final = (ProxyError, aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError, ValueError)

Drop = Callable[[ModuleVersion, str], Awaitable[None]]
"""Removes a version from here, told what its publisher said; raises `StorageError` to be asked again."""
Prefetch = Callable[[ModuleVersion], Awaitable[None]]
"""Brings a version here if it may be; never raises."""


@dataclass(frozen=True, slots=True)
class Followed:
    """The proxy that is followed.

    Attributes:
        url: of its `/-/events`.
        authorization: from its address, "" for none; never shown.
        forward_proxy: on the way to it, "" for none.
    """

    url: URL
    authorization: str = field(default="", repr=False)
    forward_proxy: str = field(default="", repr=False)


class CannotFollow(ValueError):
    """The other proxy did not give a stream of events; the text is one line."""


class Follower:
    """Follows until cancelled.

    Args:
        session: for the requests.
        followed: whom.
        authorize: what it is shown when its address brings no credential; asked for each connection.
        records: of the store, where the position is kept.
        record: the name of that record.
        drop: what to do with a purged version, None for nothing.
        prefetch: what to do with a stored version, None for nothing.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        followed: Followed,
        authorize: Authorize,
        records: Records,
        *,
        record: str,
        drop: Drop | None,
        prefetch: Prefetch | None,
    ) -> None:
        self._session = session
        self._followed = followed
        self._authorize = authorize
        self._records = records
        self._record = record
        self._drop = drop
        self._prefetch = prefetch
        self._kinds = [EventKind.PURGED] * (drop is not None) + [EventKind.STORED] * (prefetch is not None)
        self._fetching: set[asyncio.Task[None]] = set()
        self._done = Done()
        self._slots = asyncio.Semaphore(PREFETCHES)
        self._kept: int | None = None
        self._problem = "not connected yet"

    @property
    def is_connected(self) -> bool:
        """Whether events come in."""
        return not self._problem

    def describe(self) -> dict[str, Any]:
        """Whom it follows, up to where, and what is wrong ("" if it is connected)."""
        return {"url": str(self._followed.url), "position": self._done.position, "problem": self._problem}

    async def run(self) -> None:
        """Follow; every failure is logged once and tried again."""
        await self._load()
        keeping = asyncio.create_task(self._keep(), name="follow-position")
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                failure = await self._failure()
                pause_s = FIRST_PAUSE_S if not self._problem else min(LONGEST_PAUSE_S, pause_s * 2)
                self._note(failure)
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads the followers
        finally:
            for task in (keeping, *self._fetching):
                task.cancel()
            await asyncio.gather(keeping, *self._fetching, return_exceptions=True)
            with suppress(TimeoutError, ProxyError):
                async with asyncio.timeout(LEAVE_S):
                    await self._write_position()

    async def _failure(self) -> str:
        """Follow until that fails; returns why."""
        self._done.forget()  # what was not done comes again
        try:
            await self._follow()
        except _FAILURES as error:
            return words_of(error)
        except Exception as error:  # noqa: BLE001 - an outermost edge: a defect must not end the following
            _LOG.exception("following the events of %s failed in a way that nobody foresaw", self._followed.url)
            return type(error).__name__
        return "the stream ended"

    async def _follow(self) -> None:
        """Read one stream to its end."""
        headers = await self._headers()
        async with self._session.get(
            self._followed.url.update_query(kind=",".join(self._kinds)),
            headers=headers,
            allow_redirects=False,  # credentials are for this host alone
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=SILENT_S),
            proxy=self._followed.forward_proxy or None,
        ) as answer:
            if answer.status == 401:
                self._authorize.refused(self._followed.url, headers.get("Authorization", ""))
            if answer.status != 200 or answer.content_type != "text/event-stream":
                said = " ".join((await answer.content.read(2048)).decode(errors="replace").split())
                said = without_secrets(said, secrets_of(headers.get("Authorization", "")))
                raise CannotFollow(f"status {answer.status}, {answer.content_type}: {said[:300]}")
            self._connected()
            reader = MessageReader()
            while line := await answer.content.readline():  # aiohttp bounds its length
                message = reader.feed(line.decode("utf-8", "replace").rstrip("\r\n"))
                if message is not None:
                    await self._act(message)

    async def _headers(self) -> dict[str, str]:
        headers = {"Accept": "text/event-stream"}
        if self._done.position is not None:
            headers["Last-Event-ID"] = str(self._done.position)
        authorization = self._followed.authorization or await self._authorize(self._followed.url)
        return {**headers, "Authorization": authorization} if authorization else headers

    async def _act(self, message: Message) -> None:
        if message.kind == "missed":
            _LOG.warning("events of %s are missed: it does not keep them any more", self._followed.url)
        wanted = message.wanted if message.data else None
        finish = self._done.begin(message.position)
        if wanted is not None and message.kind == EventKind.STORED and self._prefetch is not None:
            await self._slots.acquire()  # the other proxy keeps what does not fit, and then lets us come back
            task = asyncio.create_task(self._fetched(wanted, self._prefetch, finish), name=f"prefetch-{wanted}")
            self._fetching.add(task)
            task.add_done_callback(self._fetching.discard)
            return
        if wanted is not None and message.kind == EventKind.PURGED and self._drop is not None:
            await self._drop(wanted, message.detail)
        finish()

    async def _fetched(self, wanted: ModuleVersion, prefetch: Prefetch, finish: Callable[[], None]) -> None:
        try:
            await prefetch(wanted)
            finish()
        finally:
            self._slots.release()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(KEEP_POSITION_S)
            with suppress(ProxyError):  # tried again; what is lost is done twice
                await self._write_position()

    async def _write_position(self) -> None:
        position = self._done.position
        if position is not None and position != self._kept:
            await self._records.write_record(self._record, str(position).encode())
            self._kept = position

    async def _load(self) -> None:
        try:
            text = (await self._records.read_record(self._record)).decode("ascii", "replace").strip()
        except ProxyError:
            return
        if text.isdigit() and text.isascii() and len(text) <= 16 and int(text) <= MAX_ID:
            self._kept = int(text)
            self._done.begin(self._kept)()

    def _connected(self) -> None:
        _LOG.info("following the events of %s", self._followed.url)
        self._problem = ""

    def _note(self, failure: str) -> None:
        if not self._problem or self._problem == "not connected yet":
            _LOG.warning("follow %s: %s; trying again and again", self._followed.url, failure)
        self._problem = failure


class Done:
    """Up to where everything is done, although later things may be done before earlier ones."""

    def __init__(self) -> None:
        self.position: int | None = None
        self._begun: deque[list[Any]] = deque()

    def begin(self, position: int | None) -> Callable[[], None]:
        """Something begins at a position; call what is returned once it is done."""
        entry = [position, False]
        self._begun.append(entry)

        def finish() -> None:
            entry[1] = True
            while self._begun and self._begun[0][1]:
                reached = self._begun.popleft()[0]
                self.position = reached if reached is not None else self.position

        return finish

    def forget(self) -> None:
        """What was begun and not done will begin again."""
        self._begun.clear()
