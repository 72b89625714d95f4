"""The composition root: the one place that knows which implementation stands behind which contract.

`proxy` read top to bottom is the wiring diagram: store, upstream, stash layers, download protocol, web.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from athens_proxy.admission import admission
from athens_proxy.certificate_metrics import CertificateMetrics
from athens_proxy.client_access import watched_clients
from athens_proxy.clients.watch import WatchedClients
from athens_proxy.config.effective import effective
from athens_proxy.config.sections import Config
from athens_proxy.decisions import record
from athens_proxy.download.cached_lister import CachedLister
from athens_proxy.download.first_seen import FirstSeen
from athens_proxy.download.guarded import Guarded
from athens_proxy.download.listing import NetworkMode
from athens_proxy.download.rules import Rules
from athens_proxy.download.stored_or_fetched import Sources, StoredOrFetched
from athens_proxy.enforcement import enforced_policy
from athens_proxy.errors import CannotStart
from athens_proxy.event_services import Telling, ended_with, following, looking_for_newer, telling
from athens_proxy.front import finished_answers, forget_clients, gate, home_page
from athens_proxy.index.index import Index
from athens_proxy.metrics import Metrics
from athens_proxy.observability import hit_log
from athens_proxy.outside import Outside, open_outside, private_modules
from athens_proxy.page.facts import Facts
from athens_proxy.page_services import PageState, page_facts
from athens_proxy.policy.enforced import EnforcedPolicy
from athens_proxy.processes import Sibling
from athens_proxy.replicas import index_layer, lock_layer, open_index
from athens_proxy.shared_metrics import SharedMetrics
from athens_proxy.stash.background import BackgroundStash
from athens_proxy.stash.fetch_and_save import FetchAndSave
from athens_proxy.stash.limited import Limited
from athens_proxy.stash.singleflight import Singleflight, StashFlights
from athens_proxy.stash.stasher import Stasher, layered
from athens_proxy.storage.disk import DiskStorage
from athens_proxy.storage.storage import Storage
from athens_proxy.stores import announced, open_storage, tended
from athens_proxy.telemetry import Telemetry, telemetry
from athens_proxy.tls import ServerCertificate
from athens_proxy.upkeep import Surroundings, Upkeep, upkeep
from athens_proxy.upstream.fetcher import VersionLister
from athens_proxy.upstream.http import open_upstream_session
from athens_proxy.web.handlers import RenderMetrics, Services
from athens_proxy.web.hot_answers import FinishedAnswers
from athens_proxy.web.hot_path import HotPath
from athens_proxy.web.middleware import note_lookup
from athens_proxy.web.readiness import Readiness

FETCHES = 1024  # most of them wait: `ZipTurns` bounds those over HTTP, GoGetWorkers those that run the go command
FILE_THREADS = 32  # saving, hashing, walking
DRAIN_S = 5.0
_LOG = logging.getLogger(__name__)


@asynccontextmanager
async def proxy(
    config: Config,
    environ: Mapping[str, str],
    *,
    version: str,
    sibling: Sibling | None = None,
    certificate: ServerCertificate | None = None,
    stopping: asyncio.Future[None] | None = None,
) -> AsyncIterator[HotPath]:
    """The whole proxy, ready to answer requests; everything it opened is closed at the end.

    Args:
        config: every setting.
        environ: the process environment, for the go command and the default data folder.
        version: of this program.
        sibling: which one of several processes this is.
        certificate: of the server, for its metrics.
        stopping: done when the process is to end, so that streams end first.

    Raises:
        CannotStart: storage, policy or upstream cannot be used.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="files"))
    metrics = _metrics(certificate)
    async with AsyncExitStack() as closing:
        traces = await closing.enter_async_context(telemetry(config, environ, metrics, version=version))
        policy = await closing.enter_async_context(enforced_policy(config, metrics))
        answers, events = finished_answers(config, policy), ended_with(stopping)
        on_clients = partial(forget_clients, answers, events)
        clients = await closing.enter_async_context(watched_clients(config, metrics, on_change=on_clients))
        storage, scratch = await closing.enter_async_context(_store(config, environ, on_damage=answers.forget))
        around = Surroundings(scratch, policy, metrics, answers.forget, events.publish)
        storage, kept = await closing.enter_async_context(upkeep(config, storage, around))
        tell = await closing.enter_async_context(telling(config, storage, events, metrics))
        ground = _Ground(config, environ, metrics, traces, policy, answers, clients, storage, scratch, kept, tell)
        services, facts = await closing.enter_async_context(_services(ground, version=version, sibling=sibling))
        yield HotPath(
            traces.gate(gate(config, services, metrics, scratch, clients, tell, facts, traces.top)),
            answers,
            on_hit=metrics.hit,
            log=hit_log(),
            trace=traces.kept_answer,
            read=kept.read,
            asked=traces.top.hot,
        )


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the services stand on: settings and policy, the store as it is kept, and who is told what happens."""

    config: Config
    environ: Mapping[str, str]
    metrics: Metrics
    traces: Telemetry
    policy: EnforcedPolicy
    answers: FinishedAnswers
    clients: WatchedClients | None
    storage: Storage
    scratch: Path
    kept: Upkeep
    tell: Telling


@asynccontextmanager
async def _services(
    on: _Ground, *, version: str, sibling: Sibling | None
) -> AsyncIterator[tuple[Services, Facts | None]]:
    """Everything that answers: from upstream through the stash layers to the guarded protocol."""
    config, environ, metrics, storage, policy = on.config, on.environ, on.metrics, on.storage, on.policy
    async with AsyncExitStack() as closing:
        owners = await closing.enter_async_context(announced(config, storage, on_others=metrics.other_owners))
        session = await closing.enter_async_context(open_upstream_session(on.traces.clients))
        outside = await closing.enter_async_context(
            open_outside(config, environ, session, storage, on.scratch, on.traces, metrics.register)
        )
        index = await open_index(config)
        closing.push_async_callback(index.close)
        fetcher, on_fetch = on.traces.fetcher(outside.fetcher), _on_fetch(metrics, on.answers)
        core = FetchAndSave(fetcher, on.traces.storage(storage), on_fetch=on_fetch, on_saved=on.tell.saved)
        stasher = await closing.enter_async_context(_stasher(config, storage, index, core, metrics, sibling, on.traces))
        sources = await closing.enter_async_context(_sources(config, storage, outside, stasher, policy, on.traces))
        guarded, admitted = partial(_guarded, sources, policy, metrics), admission(config, environ, session)
        modules = on.kept.unpurged(admitted(guarded(NetworkMode(config.upstream.network_mode))))
        show, on_drop = outside.credentials.authorize, on.answers.forget
        follow = following(config, environ, session, storage, modules, on.tell, authorize=show, on_drop=on_drop)
        state = PageState(metrics.lookups, await closing.enter_async_context(follow), on.kept.last_used)
        await closing.enter_async_context(looking_for_newer(config, storage, modules, on.traces.top.in_use))
        facts = await closing.enter_async_context(page_facts(config, storage, on.tell, sources.rules, policy, state))
        services = Services(
            modules=on.tell.told(modules),
            stored_modules=on.tell.told(on.kept.unpurged(admitted(guarded(NetworkMode.OFFLINE)))),
            storage=storage,
            index=index,
            checksums=outside.checksums,
            policy=policy,
            readiness=await closing.enter_async_context(aclosing(Readiness(storage))),
            render_metrics=await closing.enter_async_context(_rendered(config, metrics, policy, sibling)),
            version=version,
            robots_file=Path(config.server.robots_file),
            home=home_page(config, policy, metrics),
            settings=effective(config),
            store=owners.describe,
            clients=on.clients.describe if on.clients else list,
            credentials=outside.credentials.describe,
        )
        yield services, facts


def _metrics(certificate: ServerCertificate | None) -> Metrics:
    metrics = Metrics()
    if certificate is not None:
        metrics.register(CertificateMetrics(certificate))
    return metrics


@asynccontextmanager
async def _store(
    config: Config, environ: Mapping[str, str], *, on_damage: Callable[[], None]
) -> AsyncIterator[tuple[Storage, Path]]:
    """The store, and the folder where fetches put their files."""
    opened = await open_storage(config, environ)
    try:
        scratch = _scratch_root(config, opened)
        async with tended(config, opened, scratch, on_damage=on_damage) as storage:
            yield storage, scratch
    finally:
        await opened.close()


@asynccontextmanager
async def _sources(
    config: Config, storage: Storage, outside: Outside, stasher: Stasher, policy: EnforcedPolicy, traces: Telemetry
) -> AsyncIterator[Sources]:
    """Everything an answer can come from; what is fetched in the background gets a moment to end."""
    async with aclosing(_lister(config, outside.lister)) as lister:
        background = BackgroundStash(stasher, workers=config.upstream.fetch_workers)
        traces.metrics.queue("background", lambda: background.waiting_count)
        try:
            rules = Rules(policy, FirstSeen(storage), private_modules(config))
            kept = traces.storage(storage)
            yield Sources(kept, stasher, lister, background, traces.rules(rules), outside.fetcher)
        finally:
            await background.drain(within_s=DRAIN_S)


@asynccontextmanager
async def _stasher(
    config: Config,
    storage: Storage,
    index: Index,
    core: Stasher,
    metrics: Metrics,
    sibling: Sibling | None,
    traces: Telemetry,
) -> AsyncIterator[Stasher]:
    """The stash layers, outermost first; what is in flight is ended when the context is."""
    folder = sibling.folder if sibling else None
    async with AsyncExitStack() as leaving:
        indexed = await leaving.enter_async_context(index_layer(index, storage, on_waiting=metrics.index_waiting))
        locks = lock_layer(config, storage, siblings_folder=folder, on_lock=metrics.lock, waiting=traces.lock)
        locked = await leaving.enter_async_context(locks)

        flights = await leaving.enter_async_context(aclosing(StashFlights(at_most=config.upstream.max_pending)))
        traces.metrics.queue("stash", lambda: flights.in_flight_count)
        yield layered(
            traces.stash("stash"),
            partial(Singleflight, flights=flights),  # 1. one fetch per module version in this process
            locked,  # 2. one fetch per module version among all processes and replicas
            partial(Limited, at_most=FETCHES),  # 3. bounded load
            indexed,  # 4. the feed of stored versions
            core=core,  # 5. fetch, check, save
        )


def _lister(config: Config, upstream: VersionLister) -> CachedLister:
    limits = config.upstream
    return CachedLister(upstream, at_most=limits.protocol_workers, at_most_waiting=limits.max_pending)


def _on_fetch(metrics: Metrics, answers: FinishedAnswers) -> Callable[[bool, float], None]:
    def on_fetch(succeeded: bool, duration_s: float) -> None:
        metrics.fetch(succeeded, duration_s)
        if succeeded:
            answers.forget_changing()

    return on_fetch


def _guarded(sources: Sources, policy: EnforcedPolicy, metrics: Metrics, mode: NetworkMode) -> Guarded:
    def on_lookup(cache_type: str, hit: bool) -> None:
        metrics.lookup(cache_type, hit)
        note_lookup(hit=hit)

    inner = StoredOrFetched(sources, network_mode=mode, on_lookup=on_lookup)
    return Guarded(inner, sources.rules, on_decision=partial(record, policy, metrics))


@asynccontextmanager
async def _rendered(
    config: Config, metrics: Metrics, policy: EnforcedPolicy, sibling: Sibling | None
) -> AsyncIterator[RenderMetrics | None]:
    """What `/metrics` answers; siblings are told this process's part while the context is open."""
    if config.log.stats_exporter != "prometheus":
        yield None
        return
    others = sibling.other_sockets if sibling else []
    shared = SharedMetrics(lambda: metrics.render(policy_digest=policy.loaded.digest), others)
    async with shared.answering(sibling.own_socket) if sibling else nullcontext():
        yield shared.render


def _scratch_root(config: Config, storage: Storage) -> Path:
    """Where fetches put their files: as configured, else where the store can take them over by renaming."""
    if config.upstream.go_get_dir:
        scratch = Path(config.upstream.go_get_dir)
    else:
        scratch = storage.scratch if isinstance(storage, DiskStorage) else Path(tempfile.gettempdir())
    if not scratch.is_dir():
        raise CannotStart(f"{config.origins['GoGetDir'].name}: {scratch} is not an existing folder; create it")
    return scratch
