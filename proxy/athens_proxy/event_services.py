"""The wiring of the events: who publishes them, where they are kept, and the proxy whose events are followed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from athens_proxy.client_access import needs_credentials
from athens_proxy.config.sections import Config
from athens_proxy.download.listing import NetworkMode, newest
from athens_proxy.download.protocol import DownloadProtocol
from athens_proxy.download.refusals import Refusals, TellingRefusals
from athens_proxy.errors import CannotStart, ModuleNotFound, NotSupported, ProxyError, RedirectTo
from athens_proxy.events.event_metrics import EventMetrics, FollowMetrics
from athens_proxy.events.events import Events
from athens_proxy.events.follow import Drop, Followed, Follower
from athens_proxy.events.journal import FOLLOWED_LOOK_S, PAGE_LOOK_S, Journal
from athens_proxy.events.kinds import EventKind
from athens_proxy.events.newer import NewerVersions
from athens_proxy.events.stored import StoredNews
from athens_proxy.metrics import Metrics
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.outside import go_variables
from athens_proxy.page.origins import Origins
from athens_proxy.stash.fetch_and_save import OnSaved
from athens_proxy.storage.storage import FetchedModule, Storage
from athens_proxy.upstream.authorize import Authorize
from athens_proxy.upstream.go_environment import patterns_of, private_globs
from athens_proxy.upstream.hops import HttpHop, InvalidChain, parse_chain
from athens_proxy.upstream.outbound import OutboundProxies
from athens_proxy.web.event_stream import EventStream
from athens_proxy.web.responses import Responses
from athens_proxy.web.routes import Handler

_LOG: Final = logging.getLogger(__name__)


def ended_with(stopping: asyncio.Future[None] | None) -> Events:
    """Events whose followers are let go when the process is to end: they would keep it waiting."""
    events = Events()
    if stopping is not None:
        stopping.add_done_callback(lambda _: events.end())
    return events


@dataclass(frozen=True, slots=True)
class Telling:
    """Everything that publishes.

    Attributes:
        events: where it is published.
        saved: told of each version that was stored.
        refusals: told of each refusal.
        look: called when somebody begins to follow, so that events of other processes come at once.
        origins: where versions came from, None while the page for people is off.
        metrics: count all this.
    """

    events: Events
    saved: OnSaved
    refusals: Refusals
    look: Callable[[], None]
    origins: Origins | None
    metrics: Metrics

    def told(self, protocol: DownloadProtocol) -> DownloadProtocol:
        """The protocol, whose refusals are told from now on."""
        return TellingRefusals(protocol, self.refusals)

    def routes(self, responses: Responses) -> dict[str, Handler]:
        """The endpoint that streams the events."""
        return {"/-/events": EventStream(self.events, responses, on_follow=self.look).stream}


@asynccontextmanager
async def telling(config: Config, storage: Storage, events: Events, metrics: Metrics) -> AsyncIterator[Telling]:
    """Events are kept with the store, and those of other processes come in, while the context is open."""
    metrics.register(EventMetrics(events))
    page_look_s = PAGE_LOOK_S if config.events.page else None
    journal = Journal(events, storage, look_s=lambda: FOLLOWED_LOOK_S if events.subscribers else page_look_s)
    await journal.load()
    running = asyncio.create_task(journal.run(), name="event-journal")
    news = StoredNews(storage, events.publish, newest=newest)
    origins = None
    if config.events.page:
        origins = Origins(storage, host=socket.gethostname(), names_users=needs_credentials(config))

    def saved(fetched: FetchedModule) -> None:
        news.saved(fetched)
        if origins is not None:
            origins.saved(fetched)

    try:
        refusals = Refusals(events.publish, is_shown=_is_shown(config))
        yield Telling(events, saved, refusals, journal.stir, origins, metrics)
    finally:
        await news.aclose()
        if origins is not None:
            await origins.aclose()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await journal.leave()


@asynccontextmanager
async def following(
    config: Config,
    environ: Mapping[str, str],
    session: aiohttp.ClientSession,
    storage: Storage,
    modules: DownloadProtocol,
    tell: Telling,
    *,
    authorize: Authorize,
    on_drop: Callable[[], None],
) -> AsyncIterator[Callable[[], dict[str, Any]]]:
    """The proxy of the settings is followed while the context is open; yields what is known about that.

    Raises:
        CannotStart: its address cannot be used.
    """
    if not config.events.follow:
        yield dict
        return
    followed, action = _followed(config, environ), config.events.follow_action
    follower = Follower(
        session,
        followed,
        authorize,
        storage,
        record=f"follow/{hashlib.sha256(str(followed.url).encode()).hexdigest()[:16]}",
        drop=_drop(storage, tell.events, str(followed.url.host), on_drop) if action in ("drop", "both") else None,
        prefetch=_prefetch(modules) if action in ("prefetch", "both") else None,
    )
    tell.metrics.register(FollowMetrics(follower))
    running = asyncio.create_task(follower.run(), name="follow")
    try:
        yield follower.describe
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def looking_for_newer(
    config: Config, storage: Storage, modules: DownloadProtocol, in_use: Callable[[], Sequence[str]]
) -> AsyncIterator[None]:
    """Newer versions of the modules in use are looked for while the context is open, if the settings say so."""
    every_s = config.events.retraction_check_s
    if not every_s or NetworkMode(config.upstream.network_mode) is NetworkMode.OFFLINE:
        yield
        return
    newer = NewerVersions(modules, storage.versions, in_use=in_use, newest=newest, every_s=every_s)
    running = asyncio.create_task(newer.run(), name="newer-versions")
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _is_shown(config: Config) -> Callable[[ModulePath], bool]:
    """Whether a refused module may be named: a private one only where followers show credentials."""
    if needs_credentials(config):
        return lambda path: True
    globs = (private_globs(go_variables(config.upstream.go_env_vars)), *config.upstream.no_sum_patterns)
    private = patterns_of(",".join(globs))
    return lambda path: not any(pattern.matches(path.text) for pattern in private)


def _followed(config: Config, environ: Mapping[str, str]) -> Followed:
    key = config.origins["Follow"].name
    try:
        link = parse_chain(config.events.follow)[0]
        outbound = OutboundProxies.of(environ)
    except InvalidChain as error:
        raise CannotStart(f"{key}: {str(error).replace('GOPROXY entry', 'address')}") from error
    except ValueError as error:
        raise CannotStart(str(error)) from error
    if not isinstance(link.hop, HttpHop):
        raise CannotStart(f"{key}: must be an http:// or https:// address")
    hop = link.hop
    url = hop.url.with_path(f"{hop.url.raw_path.rstrip('/')}/-/events", encoded=True)
    return Followed(url, hop.authorization, str(outbound.for_url(url) or ""))


def _drop(storage: Storage, events: Events, host: str, on_drop: Callable[[], None]) -> Drop:
    async def drop(wanted: ModuleVersion, detail: str) -> None:
        try:
            await storage.delete(wanted)
        except ModuleNotFound:
            return  # so that two proxies that follow each other come to an end
        except NotSupported as error:
            _LOG.error("%s was purged at %s and stays here: %s", wanted, host, error)
            return
        on_drop()
        _LOG.warning("%s is dropped, because it was purged at %s", wanted, host)
        events.publish(EventKind.PURGED, wanted.path.text, wanted.version, f"as at {host}: {detail}")

    return drop


def _prefetch(modules: DownloadProtocol) -> Callable[[ModuleVersion], Any]:
    async def prefetch(wanted: ModuleVersion) -> None:
        try:
            async with await modules.zip(wanted):
                pass
        except (ProxyError, RedirectTo) as error:
            _LOG.info("%s is not fetched ahead of time: %s", wanted, error)
        except Exception:  # noqa: BLE001 - an outermost edge: nobody awaits this
            _LOG.exception("%s is not fetched ahead of time", wanted)

    return prefetch
