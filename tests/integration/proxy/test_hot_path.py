"""The hot path beside the ordinary path: two proxies with the same modules get the same bytes.

Every exchange is one raw connection that ends with a request to close it. What came back is compared byte by byte, but
for dates and made-up request ids; so are counted requests, lookups, metrics and access lines.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from athens_proxy.clients.folder import FoundFolder
from athens_proxy.clients.lines import token_line
from athens_proxy.clients.watch import WatchedClients
from athens_proxy.hit_lines import Hit
from athens_proxy.server import Listener, listening
from athens_proxy.web.access import Access
from athens_proxy.web.hot_answers import CHANGING_S, HOT_BYTES, KEPT_S, FinishedAnswers
from athens_proxy.web.hot_path import HotPath, HotServer
from athens_proxy.web.middleware import AccessLine, Gate, is_access_logged, log_access
from support.exchange import basic_auth
from support.modules_fixture import SampleModule
from support.proxy_parts import Proxy, SampleUpstream, download_file, policy

MODULE: Final = SampleModule("example.com/m", "v1.0.0", {"noise.bin": random.Random(1).randbytes(100_000)})
FILES: Final = [f"/example.com/m/@v/v1.0.0.{extension}" for extension in ("info", "mod", "zip")]
CHANGING: Final = ["/example.com/m/@v/list", "/catalog"]
CLOSE: Final = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
DEADLINE_S: Final = 20.0
RANDOM_EXCHANGES: Final = 150
GOOD: Final = basic_auth("gopher", "secret")["Authorization"]


@dataclass
class CountingGate:
    """The ordinary path, and how often it was taken."""

    gate: Gate
    taken: int = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.taken += 1
        return await self.gate.handle(request)


@dataclass
class Twin:
    """One of the two proxies, serving."""

    proxy: Proxy
    port: int
    answers: FinishedAnswers | None = None
    gate: CountingGate | None = None

    async def exchange(self, steps: Sequence[bytes]) -> bytes:
        """All bytes that come back; plain requests are answered before the next one is sent, up to an unusual one."""
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_connection(Client, "127.0.0.1", self.port)
        async with asyncio.timeout(DEADLINE_S):
            knows_next = True
            for step in steps:
                transport.write(step)
                knows_next = knows_next and is_plain(step)
                if knows_next:
                    await client.next_answer(is_head=step.startswith(b"HEAD"))
            transport.write(CLOSE)
            await client.end()
        return bytes(client.received)


class Client(asyncio.Protocol):
    """Keeps what it gets, also before a reset."""

    def __init__(self) -> None:
        self.received = bytearray()
        self._read_bytes = 0
        self._has_ended = False
        self._changed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended = True
        self._changed.set()

    async def next_answer(self, *, is_head: bool) -> None:
        """Returns when one more answer is there, or the connection is gone."""
        while not self._has_ended:
            end = answer_end(bytes(self.received[self._read_bytes :]), is_head=is_head)
            if end:
                self._read_bytes += end
                return
            await self._change()

    async def end(self) -> None:
        while not self._has_ended:
            await self._change()

    async def _change(self) -> None:
        await self._changed.wait()
        self._changed.clear()


def answer_end(received: bytes, *, is_head: bool) -> int:
    """Where the first answer ends, 0 if it does not yet."""
    head, found, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    has_body = not is_head and not head.startswith(b"HTTP/1.1 304") and length is not None
    size_bytes = int(length.group(1)) if has_body and length else 0
    return len(head) + len(found) + size_bytes if found and len(body) >= size_bytes else 0


def get(target: str, *headers: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    return "\r\n".join([f"{method} {target} {version}", "Host: proxy.example.com", *headers, "", ""]).encode()


def is_plain(step: bytes) -> bool:
    """Whether exactly one answer follows and the connection goes on."""
    lowered = step.lower()
    return (
        step.count(b"\r\n\r\n") == 1
        and step.endswith(b"\r\n\r\n")
        and re.match(rb"(GET|HEAD) /\S* HTTP/1\.1\r\n", step) is not None
        and not re.search(rb"\r\n(connection|content-length|transfer-encoding|upgrade)|\r\n[ \t]|[^\r]\n", lowered)
        and len(step) < 8000
    )


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    is_hot: bool,
    rules: str = "sync",
    access: Access | None = None,
    max_bytes: int = HOT_BYTES,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Twin]:
    (folder / "scratch").mkdir(parents=True)
    (folder / "store").mkdir()
    upstream = SampleUpstream(folder / "scratch", [MODULE])
    proxy = Proxy(folder / "store", upstream, policy=policy(rules), access=access or Access())
    await proxy.save([MODULE], folder / "scratch")
    listener = Listener("127.0.0.1", 0, shutdown_timeout_s=5.0)
    if not is_hot:
        async with listening(proxy.gate.handle, listener) as address:
            yield Twin(proxy, int(address.rpartition(":")[2]))
    else:
        answers = FinishedAnswers(
            proxy.policy,
            prefix="",
            needs_credentials=bool(proxy.access.user or proxy.access.clients),
            max_bytes=max_bytes,
            clock=clock,
        )
        gate = CountingGate(proxy.gate)
        path = HotPath(gate, answers, on_hit=partial(count_hit, proxy), log=log_hit)
        async with listening(path.handle, listener, server_class=partial(HotServer, path=path)) as address:
            yield Twin(proxy, int(address.rpartition(":")[2]), answers, gate)
    await proxy.flights.aclose()


def count_hit(proxy: Proxy, file: str, duration_s: float) -> None:
    """What the ordinary path says to its callbacks."""
    if file:
        proxy.lookups.append((file, True))
    proxy._on_request("GET", 200, duration_s)


def log_hit(hit: Hit) -> None:
    """What the ordinary path writes; that the quick lines are the same is told where lines are tested."""
    if is_access_logged():
        cache = "hit" if hit.is_file else ""
        line = AccessLine(
            "GET", hit.path, 200, hit.size_bytes, hit.duration_ms / 1000, cache, hit.client, hit.forwarded_for
        )
        log_access(line, request_id=hit.request_id)


def ignore_hit(file: str, duration_s: float) -> None:
    """For tests of other things."""


@dataclass
class Stopped:
    """A clock that a test moves."""

    now_s: float = field(default_factory=time.monotonic)

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Twins:
    ordinary: Twin
    hot: Twin
    log: pytest.LogCaptureFixture

    async def agree(self, *steps: bytes) -> bytes:
        """What both answered."""
        seen = [await self._seen(twin, steps) for twin in (self.ordinary, self.hot)]
        assert seen[1] == seen[0], steps
        answer: bytes = seen[0]["bytes"]
        return answer

    async def _seen(self, twin: Twin, steps: Sequence[bytes]) -> dict[str, Any]:
        self.log.clear()
        twin.proxy.requests.clear()
        twin.proxy.lookups.clear()
        received = await twin.exchange(steps)
        return {
            "bytes": normal(received),
            "requests": list(twin.proxy.requests),
            "lookups": list(twin.proxy.lookups),
            "lines": [access_line(record) for record in self.log.records if record.message == "incoming request"],
            "counters": counters(twin.proxy),
        }


def normal(received: bytes) -> bytes:
    received = re.sub(rb"\r\nDate: [^\r]+", b"\r\nDate: now", received)
    return re.sub(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", b"<uuid4>", received)


def access_line(record: Any) -> dict[str, Any]:
    names = ("http-method", "http-path", "http-status", "bytes", "request-id", "cache", "client")
    fields = {name: record.__dict__.get(name) for name in names}
    fields["request-id"] = normal(str(fields["request-id"]).encode())
    return {
        **fields,
        "logger": record.name,
        "level": record.levelname,
        "has duration": "duration_ms" in record.__dict__,
    }


def counters(proxy: Proxy) -> list[str]:
    text, _ = proxy.metrics.render(policy_digest="")
    lines = text.decode().splitlines()
    return [
        line for line in lines if line.startswith("proxy_http_request") and "_sum" not in line and "le=" not in line
    ]


@pytest.fixture
async def twins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Twins]:
    caplog.set_level("INFO")
    async with (
        serving(tmp_path / "ordinary", is_hot=False) as ordinary,
        serving(tmp_path / "hot", is_hot=True) as hot,
    ):
        yield Twins(ordinary, hot, caplog)


async def test_second_answer_is_the_first_but_for_date_and_request_id(twins: Twins) -> None:
    for target in FILES + CHANGING:
        while True:
            begun_s = time.monotonic()
            answer = await twins.agree(get(target), get(target), get(target))

            first, second = answer.split(b"HTTP/1.1 200 OK\r\n")[1:3]
            assert first == second
            if is_kept(twins.hot, target):
                break
            assert time.monotonic() - begun_s > CHANGING_S, "it went before its time"


async def test_ordinary_path_is_taken_once_for_many_plain_requests(tmp_path: Path) -> None:
    async with serving(tmp_path, is_hot=True) as hot:
        await hot.exchange([get(target) for target in FILES * 5])

        assert hot.gate is not None
        assert hot.gate.taken == len(FILES) + 1  # and the request that closes


async def test_requests_that_an_ingress_passes_on_are_answered_from_memory_too(tmp_path: Path) -> None:
    async with serving(tmp_path, is_hot=True) as hot:
        await hot.exchange([get(FILES[0], f"X-Request-ID: {number}", *INGRESS) for number in range(20)])

        assert hot.gate is not None
        assert hot.gate.taken == 2  # the first one, and the one that closes


def test_clients_that_are_quicker_than_the_loop_do_not_stay_on_the_ordinary_path(tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        taken = runner.run(asked_while_busy(tmp_path, times=50))

    assert taken == 1


async def asked_while_busy(folder: Path, *, times: int) -> int:
    """How often the ordinary path is taken when the next request is there before the loop comes round."""
    async with serving(folder, is_hot=True) as hot, asyncio.timeout(DEADLINE_S):
        asking = asyncio.create_task(asyncio.to_thread(ask_without_pause, hot.port, get(FILES[0]), times))
        while not asking.done():
            time.sleep(0.002)  # noqa: ASYNC251 - the busy loop is what is tried
            await asyncio.sleep(0)
        await asking
        assert hot.gate is not None
        return hot.gate.taken


def ask_without_pause(port: int, request: bytes, times: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
        for _ in range(times):
            connection.sendall(request)
            received = b""
            while not answer_end(received, is_head=False):
                received += connection.recv(65536)


async def test_id_that_a_client_chose_is_that_of_its_own_answer_alone(twins: Twins) -> None:
    await twins.agree(get(FILES[0]))
    for step in (get(FILES[0], "Athens-Request-ID: mine-1"), get(FILES[0])):
        answer = await twins.agree(*[step] * 3)

        assert answer.count(b"mine-1") == (3 if b"mine-1" in step else 0)


async def test_bytes_that_asked_for_a_file_are_forgotten_with_its_answer(tmp_path: Path) -> None:
    async with serving(tmp_path, is_hot=True) as hot:
        await hot.exchange([get(FILES[0])] * 3)
        assert hot.answers is not None
        now_s = time.monotonic()
        assert hot.answers.recognised(get(FILES[0]), now_s=now_s) is not None
        assert hot.answers.recognised(get(FILES[0]), now_s=now_s + KEPT_S + 1) is None

        hot.answers.forget()

        assert hot.answers.recognised(get(FILES[0]), now_s=now_s) is None


async def test_list_and_catalogue_are_put_together_once_for_many_clients(tmp_path: Path) -> None:
    async with serving(tmp_path, is_hot=True, clock=Stopped()) as hot:
        for target in CHANGING:
            await hot.exchange([get(target)] * 20)

        assert hot.gate is not None
        assert hot.gate.taken == 2 * len(CHANGING)  # and the requests that close


async def test_version_that_was_just_stored_is_listed_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, is_hot=True) as hot:
        await hot.exchange([get(target) for target in CHANGING])

        await hot.proxy.save([SampleModule("example.com/m", "v1.1.0")], tmp_path / "scratch")
        assert hot.answers is not None
        hot.answers.forget_changing()

        for target in CHANGING:
            assert b"v1.1.0" in await hot.exchange([get(target)])


async def test_list_that_was_asked_for_before_a_version_was_stored_is_not_kept_after_it(tmp_path: Path) -> None:
    async with serving(tmp_path, is_hot=True) as hot:
        answers, gate = hot.answers, hot.proxy.gate
        assert answers is not None
        forget = answers.forget_changing

        class StoringMeanwhile:
            async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
                response = await gate.handle(request)
                forget()
                return response

        path = HotPath(StoringMeanwhile(), answers, on_hit=ignore_hit, log=None)
        listener = Listener("127.0.0.1", 0, shutdown_timeout_s=5.0)
        async with listening(path.handle, listener, server_class=partial(HotServer, path=path)) as address:
            await Twin(hot.proxy, int(address.rpartition(":")[2])).exchange([get(CHANGING[0]), get(FILES[0])])

        assert not is_kept(hot, CHANGING[0])
        assert is_kept(hot, FILES[0])


async def test_list_of_what_is_stored_alone_is_kept_for_nobody_else(tmp_path: Path) -> None:
    async with serving(tmp_path, is_hot=True) as hot:
        await hot.exchange([get(CHANGING[0], "Disable-Module-Fetch: true")] * 2)

        assert not is_kept(hot, CHANGING[0])


async def test_one_client_waits_for_a_newer_list_and_the_others_get_the_last_one_for_a_while(tmp_path: Path) -> None:
    clock = Stopped()
    async with serving(tmp_path, is_hot=True, clock=clock) as hot:
        await hot.exchange([get(CHANGING[0])])

        clock.now_s += CHANGING_S * 1.5
        assert [is_kept(hot, CHANGING[0]) for _ in range(3)] == [False, True, True]

        clock.now_s += CHANGING_S
        assert [is_kept(hot, CHANGING[0]) for _ in range(3)] == [False, False, False]


async def test_random_requests_get_the_same_bytes_counts_and_lines_on_both_paths(twins: Twins) -> None:
    await twins.agree(*map(get, FILES))
    for seed in range(RANDOM_EXCHANGES):
        choice = random.Random(seed)
        await twins.agree(*(random_step(choice) for _ in range(choice.randint(1, 5))))


TARGETS: Final = (
    *FILES * 3,
    *CHANGING * 2,
    "/healthz",
    "/catalog?pagesize=1",
    "/example.com/m/@v/v9.9.9.info",
    f"{FILES[0]}?go-get=1",
    FILES[1].replace("m/@v", "%6d/@v"),
    f"http://proxy.example.com{FILES[2]}",
    f"/{FILES[0]}",
)
HEADERS: Final = (
    "User-Agent: Go-http-client/1.1",
    "Accept-Encoding: gzip",
    "accept: */*",
    "Range: bytes=0-9",
    "Range: bytes=5-",
    "If-None-Match: *",
    'If-None-Match: "x"',
    "Athens-Request-ID: mine-1",
    "Athens-Request-ID: not sane",
    "X-Odd:",
    "Disable-Module-Fetch: true",
    "Accept: a",
    "Host: other.example.com",
    "User-Agent:no-blank",
    "X: 1",
    "TE: a",
    "X-Forwarded-For: 198.51.100.4, 2001:db8::2",
    'X-Forwarded-For: 198.51.100.4", "level": "ERROR',
    "X-Forwarded-Proto: https",
    "X-Request-ID: 0af76519",
    "X-Envoy-Expected-Rq-Timeout-Ms: 15000",
    "Via: 1.1 proxy.example.com",
)
INGRESS: Final = (
    "X-Real-IP: 198.51.100.4",
    "X-Forwarded-For: 198.51.100.4",
    "X-Forwarded-Host: proxy.example.com",
    "X-Forwarded-Port: 443",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Scheme: https",
    "X-Scheme: https",
)


def random_step(choice: random.Random) -> bytes:
    target = choice.choice(TARGETS)
    headers = choice.sample(HEADERS, choice.choice([0, 0, 1, 1, 2, 3]))
    method = choice.choice(["GET"] * 8 + ["HEAD", "HEAD", "DELETE"])
    step = get(target, *headers, method=method)
    return step * 2 if choice.random() < 0.05 else step


SHAPES: Final = {
    "three requests at once": (get(FILES[0]) + get(FILES[1]) + get(FILES[0]),),
    "a request in two parts": (get(FILES[0])[:30], get(FILES[0])[30:]),
    "a target in two parts, the second like a request": (b"GET /", get(FILES[0])),
    "a header in two parts, the second like a request": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ", get(FILES[0])),
    "a request and the beginning of another": (get(FILES[0]) + b"GET /healthz HT", b"TP/1.1\r\nHost: a\r\n\r\n"),
    "a body like a request": (get("/healthz", f"Content-Length: {len(get(FILES[0]))}"), get(FILES[0]), get(FILES[1])),
    "two lengths": (get(FILES[0], "Content-Length: 0", "Content-Length: 5") + b"hello", get(FILES[0])),
    "length and chunks": (
        get(FILES[0], "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        get(FILES[0]),
    ),
    "chunks like requests": (get("/healthz", "Transfer-Encoding: chunked"), get(FILES[0])),
    "bare line feeds": (get(FILES[0]).replace(b"\r\n", b"\n"), get(FILES[0])),
    "a bare line feed inside": (get(FILES[0], "X: a\nContent-Length: 60"), get(FILES[0])),
    "a folded header": (get(FILES[0], "X: a", " Content-Length: 60"), get(FILES[0])),
    "a blank before the colon": (get(FILES[0], "Content-Length : 60"), get(FILES[0])),
    "absolute form": (get(f"http://proxy.example.com{FILES[0]}"), get(FILES[0])),
    "a target of 64 kB": (get("/" + "a" * 65_536), get(FILES[0])),
    "a giant header": (get(FILES[0], f"X: {'a' * 65_536}"), get(FILES[0])),
    "many headers": (get(FILES[0], *(f"X-{n}: 1" for n in range(200))), get(FILES[0])),
    "an upgrade": (get(FILES[0], "Connection: upgrade", "Upgrade: websocket"), get(FILES[0])),
    "HTTP/1.0": (get(FILES[0], version="HTTP/1.0"),),
    "HTTP/1.0 that stays": (get(FILES[0], "Connection: keep-alive", version="HTTP/1.0"), get(FILES[0])),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", get(FILES[0])),
    "no version": (f"GET {FILES[0]}\r\n\r\n".encode(),),
    "no host": (f"GET {FILES[0]} HTTP/1.1\r\n\r\n".encode(), get(FILES[0])),
    "empty lines first": (b"\r\n\r\n" + get(FILES[0]), get(FILES[0])),
    "bytes that are no text": (get(FILES[0]).replace(b"proxy", b"\xff\x00"), get(FILES[0])),
}


@pytest.mark.parametrize("name", SHAPES)
async def test_unusual_shapes_are_answered_as_by_the_ordinary_path(twins: Twins, name: str) -> None:
    await twins.agree(*map(get, FILES))
    for lead in ((), (get(FILES[0]),)):
        await twins.agree(*lead, *SHAPES[name])


async def test_credentials_are_compared_exactly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    access = Access(user="gopher", password="secret")
    caplog.set_level("INFO")
    async with (
        serving(tmp_path / "ordinary", is_hot=False, access=access) as ordinary,
        serving(tmp_path / "hot", is_hot=True, access=access) as hot,
    ):
        twins = Twins(ordinary, hot, caplog)
        good, other = f"Authorization: {GOOD}", f"Authorization: {basic_auth('gopher', 'guess')['Authorization']}"
        await twins.agree(get(FILES[0], good), get(FILES[0], good))
        assert is_kept(hot, FILES[0])

        for headers in ([other], [], [other, good], ["Authorization: Basic"], [good.replace("Basic", "basic")]):
            await twins.agree(get(FILES[0], good), get(FILES[0], *headers), get(FILES[0], good))
        assert b" 401 " in await twins.agree(get(FILES[0]))


async def test_client_who_was_removed_gets_nothing_that_is_kept(tmp_path: Path) -> None:
    """Not by the same bytes, not by others, and not by an answer that was begun while he was known."""
    folder = tmp_path / "clients"
    folder.mkdir()
    keys = {name: f"{name}-0123456789-0123456789" for name in ("ann", "bob")}
    lines = {name: token_line(name, key) + "\n" for name, key in keys.items()}
    (folder / "all").write_text("".join(lines.values()))
    forgotten: list[Callable[[], None]] = []

    def on_change(found: FoundFolder) -> None:
        for forget in forgotten:
            forget()

    clients = WatchedClients(folder, on_change=on_change)
    await clients.look()
    ann, bob = (f"Authorization: Bearer {key}" for key in keys.values())
    async with serving(tmp_path / "hot", is_hot=True, access=Access(clients=clients)) as hot:
        assert hot.answers is not None
        assert hot.gate is not None
        forgotten.append(hot.answers.forget)
        assert (await hot.exchange([get(FILES[0], ann), get(FILES[0], bob)] * 3)).count(b"HTTP/1.1 200 OK") == 7
        assert is_kept(hot, FILES[0])
        taken = hot.gate.taken
        await hot.exchange([get(FILES[0], ann), get(FILES[0], bob)])
        assert hot.gate.taken == taken + 1  # the probe that ends an exchange

        (folder / "all").write_text(lines["ann"])
        await clients.look()

        for _ in range(3):
            assert b"HTTP/1.1 401" in await hot.exchange([get(FILES[0], bob)])
            assert (await hot.exchange([get(FILES[0], ann)])).count(b"HTTP/1.1 200 OK") == 2
            assert b"HTTP/1.1 401" in await hot.exchange([get(FILES[0], "X-Other: 1", bob)])
    clients.close()


async def test_denied_after_cached_is_denied_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, is_hot=True) as hot:
        assert (await hot.exchange([get(FILES[0])] * 2)).count(b"HTTP/1.1 200 OK") == 3
        assert is_kept(hot, FILES[0])

        hot.proxy.policy.swap(policy(denying()).loaded)

        assert b"HTTP/1.1 403" in await hot.exchange([get(FILES[0])])
        hot.proxy.policy.swap(policy("sync").loaded)
        assert b"HTTP/1.1 403" not in await hot.exchange([get(FILES[0])] * 2)


async def test_reload_under_load_never_lets_a_denied_file_out(tmp_path: Path) -> None:
    """Clients ask without pause; after each swap to the denying policy every new request is refused."""
    allow, deny = policy("sync").loaded, policy(denying()).loaded
    async with serving(tmp_path, is_hot=True) as hot, asyncio.TaskGroup() as clients:
        stop = asyncio.Event()

        async def ask() -> None:
            while not stop.is_set():
                await hot.exchange([get(target) for target in FILES])

        for _ in range(8):
            clients.create_task(ask())
        for _ in range(20):
            hot.proxy.policy.swap(allow)
            assert (await hot.exchange([get(FILES[0])] * 3)).count(b"HTTP/1.1 200 OK") == 4
            hot.proxy.policy.swap(deny)
            assert (await hot.exchange([get(FILES[0])] * 3)).count(b"HTTP/1.1 403") == 3
        stop.set()


async def test_answer_that_was_allowed_before_a_reload_is_not_kept_after_it(tmp_path: Path) -> None:
    """The policy changes between the decision and the end of the answer."""
    async with serving(tmp_path, is_hot=True) as hot:
        moments = hot.proxy._on_request

        def reload_meanwhile(method: str, status: int, duration_s: float) -> None:
            hot.proxy.policy.swap(policy("sync").loaded)
            moments(method, status, duration_s)

        hot.proxy._on_request = reload_meanwhile  # type: ignore[method-assign]  # the gate reads it when it is built
        gate = hot.proxy.gate
        assert hot.answers is not None
        path = HotPath(gate, hot.answers, on_hit=ignore_hit, log=None)
        listener = Listener("127.0.0.1", 0, shutdown_timeout_s=5.0)
        async with listening(path.handle, listener, server_class=partial(HotServer, path=path)) as address:
            await Twin(hot.proxy, int(address.rpartition(":")[2]), hot.answers).exchange([get(FILES[0])])

            assert not is_kept(hot, FILES[0])


@pytest.mark.parametrize(
    "block",
    [
        'download "example.com/m" {\n  mode = "sync"\n  audit = true\n}',
        'download "example.com/other" {\n  mode = "sync"\n  minAge = "1h"\n}',
    ],
    ids=["audit", "age"],
)
async def test_rules_that_watch_every_request_see_every_request(tmp_path: Path, block: str) -> None:
    async with serving(tmp_path, is_hot=True, rules=download_file(block)) as hot:
        await hot.exchange([get(FILES[0])] * 3)

        assert not is_kept(hot, FILES[0])


@pytest.mark.parametrize(
    ("method", "status", "is_dropped"), [("DELETE", 200, True), ("PUT", 401, False), ("GET", 200, False)]
)
async def test_write_to_the_store_drops_what_was_kept(
    tmp_path: Path, method: str, status: int, is_dropped: bool
) -> None:
    class Store:
        async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=status)

    async with serving(tmp_path, is_hot=True) as hot:
        await hot.exchange([get(FILES[0])] * 2)
        assert hot.answers is not None
        path = HotPath(Store(), hot.answers, on_hit=ignore_hit, log=None)

        await path.handle(make_mocked_request(method, "/-/store/v1/modules"))

        assert is_kept(hot, FILES[0]) is not is_dropped


async def test_oldest_answers_make_room_within_the_bound(tmp_path: Path) -> None:
    async with serving(tmp_path, is_hot=True, max_bytes=6_596) as hot:
        await hot.exchange([get(target) for target in FILES])
        assert [is_kept(hot, target) for target in FILES] == [True, True, False]

        await hot.exchange([get(f"/cached-only{FILES[0]}")])

        assert [is_kept(hot, target) for target in FILES] == [False, True, False]


def denying() -> str:
    return download_file('download "example.com/m" {\n  mode = "deny"\n}')


def is_kept(twin: Twin, target: str) -> bool:
    return twin.answers is not None and twin.answers.find(target.encode()) is not None
