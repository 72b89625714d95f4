"""Small fakes that keep the contracts of the proxy's parts, and a gate built from them."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from athens_policy.decide import Decision, digest
from athens_policy.parse import parse, parse_setting
from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.decisions import record
from athens_proxy.download.first_seen import FirstSeen
from athens_proxy.download.guarded import Guarded
from athens_proxy.download.listing import NetworkMode
from athens_proxy.download.rules import Rules
from athens_proxy.download.stored_or_fetched import Sources, StoredOrFetched
from athens_proxy.errors import ModuleNotFound
from athens_proxy.index.index import Index
from athens_proxy.index.memory import NoIndex
from athens_proxy.metrics import Metrics
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.policy.enforced import EnforcedPolicy, LoadedPolicy
from athens_proxy.server import Listener, listening
from athens_proxy.stash.fetch_and_save import FetchAndSave
from athens_proxy.stash.singleflight import Singleflight, StashFlights
from athens_proxy.storage.disk import DiskStorage, open_disk_storage
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.storage.sums import Sums
from athens_proxy.upstream.zipcheck import checked_zip_h1
from athens_proxy.web.access import Access
from athens_proxy.web.handlers import Handlers, Services
from athens_proxy.web.home import HomeFacts, HomePage
from athens_proxy.web.middleware import Gate, note_lookup
from athens_proxy.web.readiness import Readiness
from athens_proxy.web.responses import CacheScope, Responses
from athens_proxy.web.routes import Routes
from support.modules_fixture import SampleModule

SUMS = Sums(checked_zip_h1, mod_hash1)


class SampleUpstream:
    """A `Fetcher` and `VersionLister` over sample modules, which can fail, be slow, and counts what it is asked.

    Attributes:
        failure: raised by every call while it is set.
        queries: canonical versions by `path@query`.
        asked: how often each `fetch path@version`, `versions path`, … was asked.
        chains: the upstream arguments it was given.
        was_asked: set by the first call.
        gate: calls wait until it is set.
    """

    def __init__(self, scratch: Path, modules: Iterable[SampleModule] = ()) -> None:
        scratch.mkdir(exist_ok=True)
        self._scratch = scratch
        self.modules = {str(module.wanted): module for module in modules}
        self.failure: Exception | None = None
        self.queries: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.chains: list[str] = []
        self.was_asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    @asynccontextmanager
    async def fetch(self, wanted: ModuleVersion, *, upstream: str = "") -> AsyncIterator[FetchedModule]:
        await self._ask(f"fetch {wanted}", upstream)
        name = f"{wanted.path}@{self.queries.get(str(wanted), wanted.version)}"
        if name not in self.modules:
            raise ModuleNotFound(f"not found: {wanted} is not upstream")
        folder = self._scratch / f"fetch-{self.asked.total()}"
        folder.mkdir()
        try:
            yield self.modules[name].fetched(folder)
        finally:
            shutil.rmtree(folder)

    async def versions(self, path: ModulePath, *, upstream: str = "") -> list[str]:
        await self._ask(f"versions {path}", upstream)
        found = [module.version for module in self.modules.values() if module.path == path.text]
        if not found:
            raise ModuleNotFound(f"not found: {path} is not upstream")
        return [version for version in found if not ModuleVersion(path, version).is_pseudo]

    async def latest(self, path: ModulePath, *, upstream: str = "") -> RevInfo:
        await self._ask(f"latest {path}", upstream)
        found = [module for module in self.modules.values() if module.path == path.text]
        if not found:
            raise ModuleNotFound(f"not found: {path} is not upstream")
        return RevInfo.parse(found[-1].info)

    async def resolve(self, wanted: ModuleVersion, *, upstream: str = "") -> RevInfo:
        await self._ask(f"resolve {wanted}", upstream)
        if str(wanted) not in self.queries:
            raise ModuleNotFound(f"not found: {wanted} matches nothing")
        return RevInfo(self.queries[str(wanted)])

    async def _ask(self, what: str, upstream: str) -> None:
        self.asked[what] += 1
        self.chains.append(upstream)
        self.was_asked.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure


class WaitingBackground:
    """A background queue that only remembers."""

    def __init__(self) -> None:
        self.added: list[str] = []
        self.is_full = False

    def add(self, wanted: ModuleVersion, *, upstream: str = "") -> bool:
        self.added.append(str(wanted))
        return not self.is_full


def policy(text: str = "sync", *, download_url: str = "") -> EnforcedPolicy:
    """An enforced policy from a download file or a mode word."""
    is_word = "\n" not in text
    file = parse_setting(text, lambda _: "", download_url) if is_word else parse(text)
    return EnforcedPolicy(LoadedPolicy(file, digest(text.encode()), "test", datetime.now(UTC)))


def download_file(*blocks: str, mode: str = "sync") -> str:
    """The text of a download file with these blocks."""
    return "\n".join([f'mode = "{mode}"', 'downloadURL = ""', *blocks, ""])


@dataclass
class NoChecksums:
    """A relay without databases."""

    async def handle(self, name_and_rest: str) -> _Nothing:
        raise ModuleNotFound("not found: no checksum database is configured")


class _Nothing:
    status = 404
    content_type = "text/plain"
    body = b""
    cache_control = ""


@dataclass
class Proxy:
    """A gate over a disk store and a sample upstream, and everything a test wants to look at."""

    root: Path
    upstream: SampleUpstream
    policy: EnforcedPolicy = field(default_factory=policy)
    network_mode: NetworkMode = NetworkMode.STRICT
    access: Access = field(default_factory=Access)
    upstream_errors: str = "strict"
    no_sum_patterns: tuple[str, ...] = ()
    index: Index = field(default_factory=NoIndex)
    background: WaitingBackground = field(default_factory=WaitingBackground)
    lookups: list[tuple[str, bool]] = field(default_factory=list)
    audits: list[str] = field(default_factory=list)
    requests: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage: DiskStorage = open_disk_storage(self.root, sums=SUMS, create=True)
        self.flights = StashFlights()
        self.metrics = Metrics()

    @property
    def sources(self) -> Sources:
        stasher = Singleflight(
            FetchAndSave(self.upstream, self.storage, on_fetch=self.metrics.fetch), flights=self.flights
        )
        rules = Rules(self.policy, FirstSeen(self.storage))
        return Sources(self.storage, stasher, self.upstream, self.background, rules)

    def modules(self, mode: NetworkMode | None = None) -> Guarded:
        """The guarded protocol."""
        sources = self.sources
        inner = StoredOrFetched(sources, network_mode=mode or self.network_mode, on_lookup=self._on_lookup)
        return Guarded(inner, sources.rules, on_decision=self._on_decision)

    def _on_decision(self, decision: Decision, wanted: ModulePath | ModuleVersion) -> None:
        self.audits += [block.name for block in decision.audited]
        record(self.policy, self.metrics, decision, wanted)

    @property
    def gate(self) -> Gate:
        """The entry of every request."""
        responses = Responses(CacheScope(private=bool(self.access.user)), upstream_errors=self.upstream_errors)
        services = Services(
            modules=self.modules(),
            stored_modules=self.modules(NetworkMode.OFFLINE),
            storage=self.storage,
            index=self.index,
            checksums=NoChecksums(),
            policy=self.policy,
            readiness=Readiness(self.storage),
            render_metrics=self._rendered,
            version="1.2.3",
            robots_file=self.root / "robots.txt",
            home=HomePage(self.root / "home.html", self._home_facts()),
            settings=[{"key": "Port", "value": ":3000", "source": "default"}],
            store=lambda: {"owner": "test", "instance": "1", "otherOwners": []},
            clients=list,
            credentials=list,
        )
        return Gate(Routes(Handlers(services, responses)), responses, self.access, on_request=self._on_request)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The address of a server on loopback."""
        listener = Listener("127.0.0.1", 0, shutdown_timeout_s=5.0)
        async with listening(self.gate.handle, listener) as address:
            yield f"http://{address.partition('=')[2]}"
        await self.flights.aclose()

    async def save(self, modules: Sequence[SampleModule], scratch: Path) -> None:
        """Put versions into the store."""
        for module in modules:
            await self.storage.save(module.fetched(scratch))

    async def _rendered(self) -> tuple[bytes, str]:
        return self.metrics.render(policy_digest=self.policy.loaded.digest)

    def _home_facts(self) -> HomeFacts:
        return HomeFacts(self.access.prefix, self.no_sum_patterns, lambda: self.policy.loaded, self.metrics.lookups)

    def _on_lookup(self, cache_type: str, hit: bool) -> None:
        self.lookups.append((cache_type, hit))
        self.metrics.lookup(cache_type, hit)
        note_lookup(hit=hit)

    def _on_request(self, method: str, status: int, duration_s: float) -> None:
        self.requests.append((method, status))
        self.metrics.request(method, status, duration_s)
