"""A follower against a server that fails in every way: it comes back, goes on where it was, and disturbs nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from athens_proxy.errors import StorageError
from athens_proxy.events import follow
from athens_proxy.events.follow import Followed, Follower
from athens_proxy.events.kinds import Event, EventKind
from athens_proxy.modules import ModuleVersion
from athens_proxy.web.event_stream import encoded
from support.memory_records import MemoryRecords
from support.ports import free_port

DEADLINE_S = 20.0


class Publisher:
    """A server of events that ends each stream as told.

    Attributes:
        events: what it keeps; each stream is what comes behind the position that was asked for.
        asked: the positions that were asked for.
        queries: the kinds that were asked for.
        answer: replaces the stream while it is set.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.asked: list[str] = []
        self.kinds: list[str] = []
        self.authorizations: list[str] = []
        self.answer: Callable[[], web.Response] | None = None
        self.ends = False
        self.was_asked_thrice = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.headers.get("Last-Event-ID", ""))
        self.kinds.append(request.query["kind"])
        self.authorizations.append(request.headers.get("Authorization", ""))
        if len(self.asked) == 3:
            self.was_asked_thrice.set()
        if self.answer is not None:
            return self.answer()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        since = int(self.asked[-1] or 0)
        while not self.ends:
            for event in [event for event in self.events if event.id > since]:
                since = event.id
                await response.write(encoded(event))
            await asyncio.sleep(0.01)
        return response

    @asynccontextmanager
    async def serving(self, port: int) -> AsyncIterator[URL]:
        runner = web.ServerRunner(web.Server(self.handle), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.ends = False
        try:
            yield URL(f"http://127.0.0.1:{port}/-/events")
        finally:
            self.ends = True
            await runner.cleanup()


class Acts:
    """What the follower did."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self.fetched: list[str] = []
        self.failures = 0
        self.changed = asyncio.Event()

    async def drop(self, wanted: ModuleVersion, detail: str) -> None:
        if self.failures:
            self.failures -= 1
            raise StorageError("the store is down")
        self.dropped.append(f"{wanted}: {detail}")
        self.changed.set()

    async def prefetch(self, wanted: ModuleVersion) -> None:
        self.fetched.append(str(wanted))
        self.changed.set()

    async def until(self, is_there: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not is_there():
                self.changed.clear()
                await self.changed.wait()


class Shown:
    """An `Authorize` with one credential."""

    def __init__(self) -> None:
        self.refusals = 0

    async def __call__(self, url: URL) -> str:
        return "Basic c2VjcmV0"

    def refused(self, url: URL, shown: str) -> None:
        self.refusals += 1


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses."""
    monkeypatch.setattr(follow, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(follow, "KEEP_POSITION_S", 0.05)


@asynccontextmanager
async def followed(
    url: URL, acts: Acts, records: MemoryRecords, *, shown: Shown | None = None
) -> AsyncIterator[Follower]:
    async with aiohttp.ClientSession() as session:
        follower = Follower(
            session,
            Followed(url),
            shown or Shown(),
            records,
            record="follow/x",
            drop=acts.drop,
            prefetch=acts.prefetch,
        )
        running = asyncio.create_task(follower.run())
        try:
            yield follower
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def event(number: int, kind: str, version: str) -> Event:
    return Event(number, EventKind(kind), "example.com/m", version, "why", "there")


async def test_it_goes_on_where_it_was_after_the_other_proxy_was_away_and_after_its_own_restart() -> None:
    publisher, acts, records, port = Publisher(), Acts(), MemoryRecords(), free_port()
    publisher.events = [event(1, "stored", "v1.0.0")]
    async with publisher.serving(port) as url:
        async with followed(url, acts, records):
            await acts.until(lambda: len(acts.fetched) == 1)
        assert records.by_name["follow/x"] == b"1"
    async with followed(url, acts, records) as follower:
        publisher.events.append(event(2, "purged", "v1.1.0"))
        async with publisher.serving(port):
            await acts.until(lambda: len(acts.dropped) == 1)
            assert follower.describe() == {"url": str(url), "position": 2, "problem": ""}

    assert acts.fetched == ["example.com/m@v1.0.0"]
    assert acts.dropped == ["example.com/m@v1.1.0: why"]
    assert publisher.asked[0] == ""
    assert set(publisher.asked[1:]) == {"1"}
    assert publisher.kinds[0] == "purged,stored"


async def test_what_could_not_be_dropped_is_dropped_once_the_store_works() -> None:
    publisher, acts, records = Publisher(), Acts(), MemoryRecords()
    acts.failures = 3
    publisher.events = [event(1, "purged", "v1.0.0"), event(2, "purged", "v1.1.0")]
    async with publisher.serving(free_port()) as url, followed(url, acts, records):
        await acts.until(lambda: len(acts.dropped) == 2)

    assert acts.dropped == ["example.com/m@v1.0.0: why", "example.com/m@v1.1.0: why"]
    assert len(publisher.asked) == 4


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=401, text="unauthorized"),
        lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/-/events"}),
        lambda: web.Response(text="<html>a login</html>", content_type="text/html"),
        lambda: web.Response(body=b"id: x\n\n", content_type="text/event-stream"),
        lambda: web.Response(body=b"data: " + b"x" * 1_000_000, content_type="text/event-stream"),
        lambda: web.Response(body=b"event: stored\ndata: {", content_type="text/event-stream"),
    ],
    ids=["401", "redirect", "html", "no id", "endless line", "cut"],
)
async def test_answers_that_are_no_stream_are_asked_for_again(answer: Callable[[], web.Response]) -> None:
    publisher, acts = Publisher(), Acts()
    publisher.events = [event(1, "stored", "v1.0.0")]
    publisher.answer = answer
    shown = Shown()
    async with publisher.serving(free_port()) as url, followed(url, acts, MemoryRecords(), shown=shown) as follower:
        async with asyncio.timeout(DEADLINE_S):
            await publisher.was_asked_thrice.wait()
        problem = follower.describe()["problem"]
        publisher.answer = None
        await acts.until(lambda: acts.fetched == ["example.com/m@v1.0.0"])

    assert problem.isprintable()
    assert "c2VjcmV0" not in problem
    assert set(publisher.authorizations) == {"Basic c2VjcmV0"}
    assert (shown.refusals >= 3) == ("401" in problem)


@pytest.mark.parametrize("kept", [b"", b"x", b"9" * 5000, b"99999999999999999", "٣".encode()])
async def test_a_kept_position_that_is_none_is_as_good_as_no_position(kept: bytes) -> None:
    publisher, acts, records = Publisher(), Acts(), MemoryRecords()
    records.by_name["follow/x"] = kept
    publisher.events = [event(1, "purged", "v1.0.0")]
    async with publisher.serving(free_port()) as url, followed(url, acts, records):
        await acts.until(lambda: len(acts.dropped) == 1)

    assert publisher.asked[0] == ""


async def test_events_about_nothing_move_the_position_and_do_nothing() -> None:
    publisher, acts, records = Publisher(), Acts(), MemoryRecords()
    publisher.events = [
        event(1, "purged", "../../v1"),
        event(2, "stored", "main"),
        event(3, "refused", "v1.0.0"),
        event(4, "purged", "v1.0.0"),
    ]
    async with publisher.serving(free_port()) as url, followed(url, acts, records):
        await acts.until(lambda: len(acts.dropped) == 1)

    assert acts.fetched == []
    assert records.by_name["follow/x"] == b"4"
