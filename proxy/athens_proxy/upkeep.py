"""The wiring of what keeps the store within its bounds, and purged versions out of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from athens_policy.decide import NotServed
from athens_policy.patterns import Pattern
from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.config.sections import Config
from athens_proxy.download.protocol import DownloadProtocol
from athens_proxy.download.unpurged import Unpurged
from athens_proxy.errors import CannotStart
from athens_proxy.metrics import Metrics
from athens_proxy.modules import ModuleVersion
from athens_proxy.outside import go_variables
from athens_proxy.policy.enforced import EnforcedPolicy
from athens_proxy.retention import tombstones
from athens_proxy.retention.exchange import LedgerExchange
from athens_proxy.retention.keeper import Keeper
from athens_proxy.retention.ledger import Ledger
from athens_proxy.retention.plan import Eviction, Limits, Reason
from athens_proxy.retention.purges import PurgedStorage, Purges
from athens_proxy.retention.retained import RetainedStorage
from athens_proxy.retention.room import Room
from athens_proxy.retention.store_metrics import StoreMetrics
from athens_proxy.retention.tombstones import BadPurgeList
from athens_proxy.storage.storage import Storage
from athens_proxy.storage.sums import Sums
from athens_proxy.upstream.zipcheck import checked_zip_h1
from athens_proxy.web.targets import FileTarget, target

_EXCHANGES_PER_STORE: Final = 100  # replicas tell each other whenever one has stored such a part of what may be stored
_START_S: Final = 5.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What is known of a store that is looked after.

    Attributes:
        purges: what is purged.
        ledger: what is stored and when it was used; None where nothing counts it.
        read: where the targets of zips are put that are answered from memory; None where nobody takes them out.
    """

    purges: Purges
    ledger: Ledger | None
    read: dict[str, None] | None

    def unpurged(self, modules: DownloadProtocol) -> DownloadProtocol:
        """The same answers without purged versions."""
        return Unpurged(modules, self.purges)

    def last_used(self, wanted: ModuleVersion) -> datetime | None:
        """When the zip of a version was used last, None where nobody knows."""
        return self.ledger.last_used(wanted) if self.ledger else None

    def zip_bytes(self, wanted: ModuleVersion) -> int | None:
        """The size of the zip of a version, None where nobody knows."""
        return self.ledger.zip_bytes(wanted) if self.ledger else None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the upkeep of a store works with.

    Attributes:
        scratch: a folder for temporary files.
        policy: says what could be fetched again.
        metrics: count.
        forget: called when nobody may go on serving from memory.
        publish: tells others: kind, module, version, detail.
    """

    scratch: Path
    policy: EnforcedPolicy
    metrics: Metrics
    forget: Callable[[], None]
    publish: Callable[[str, str, str, str], None]


@asynccontextmanager
async def upkeep(config: Config, storage: Storage, around: Surroundings) -> AsyncIterator[tuple[Storage, Upkeep]]:
    """The store within its bounds and without what is purged while the context is open, and what is known of it.

    Raises:
        CannotStart: the list of purged versions is none.
    """
    async with AsyncExitStack() as closing:
        read = _ReadTargets(config.server.path_prefix)
        ledger = Ledger(elsewhere=read.taken) if _is_counted(config) else None
        counts = StoreMetrics(ledger)
        around.metrics.register(counts)
        if ledger is not None:
            storage = await closing.enter_async_context(_retained(config, storage, ledger, counts, around))
        purges = Purges(
            storage,
            _purge_file(config),
            on_change=around.forget,
            publish=around.publish,
            on_count=counts.purged,
            on_reload=counts.purge_file,
        )
        await purges.look(at_store=False)
        with suppress(TimeoutError):  # a store that does not answer is told of elsewhere, and asked again
            async with asyncio.timeout(_START_S):
                await purges.look()
        await closing.enter_async_context(_running(purges.run(), "purges"))
        yield PurgedStorage(storage, purges), Upkeep(purges, ledger, None if ledger is None else read.targets)


class _ReadTargets:
    """Request targets of zips, which become versions when somebody wants to know; reading them costs too much before.

    There are never more of them than answers are kept in memory.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.targets: dict[str, None] = {}

    def taken(self) -> list[ModuleVersion]:
        """The versions since the last call, the one that was asked for first at the begin."""
        raw_targets = list(self.targets)
        self.targets.clear()
        named = (target(raw_target, prefix=self._prefix) for raw_target in raw_targets)
        return [file.wanted for file in named if isinstance(file, FileTarget)]


@asynccontextmanager
async def _retained(
    config: Config, storage: Storage, ledger: Ledger, counts: StoreMetrics, around: Surroundings
) -> AsyncIterator[Storage]:
    settings = config.retention
    limits = Limits(settings.max_bytes, float(settings.max_idle_s))

    def on_eviction(eviction: Eviction[ModuleVersion]) -> None:
        counts.evicted(eviction)
        why = "over Retention.MaxBytes" if eviction.reason is Reason.BYTES else "idle for Retention.MaxIdle"
        around.publish("evicted", eviction.wanted.path.text, eviction.wanted.version, why)

    exchange = LedgerExchange(storage, ledger, every_bytes=limits.max_bytes // _EXCHANGES_PER_STORE)
    room = Room(
        storage,
        ledger,
        limits,
        may_go=_may_go(config, around.policy),
        sums=Sums(checked_zip_h1, mod_hash1),
        on_eviction=on_eviction,
        scratch=around.scratch,
        before_save=exchange.exchange_if_due,
    )
    keeper = Keeper(
        storage,
        ledger,
        room,
        exchange=exchange,
        is_dry_run=settings.dry_run,
        on_dry_run=counts.planned,
    )
    async with _running(keeper.run(), "retention"):
        yield RetainedStorage(storage, ledger, None if settings.dry_run else room)
    await keeper.leave()


def _is_counted(config: Config) -> bool:
    """Whether anything has to know what the store holds; says why nothing will be evicted where that is so."""
    settings = config.retention
    if settings.dry_run or not (settings.max_bytes or settings.max_idle_s):
        return settings.dry_run
    asked = "Retention.MaxBytes" if settings.max_bytes else "Retention.MaxIdle"
    name = config.origins[asked].name
    if config.upstream.network_mode == "offline":
        _LOG.warning("%s: nothing is evicted, since NetworkMode is offline and nothing could be fetched again", name)
        return False
    if go_variables(config.upstream.go_env_vars).get("GOPROXY", "").strip() == "off":
        _LOG.warning("%s: nothing is evicted, since GOPROXY is off and nothing could be fetched again", name)
        return False
    if config.storage.type == "external":
        _LOG.warning("%s: nothing is evicted from an external store; set it where that store is kept", name)
        return False
    return True


def _may_go(config: Config, policy: EnforcedPolicy) -> Callable[[ModuleVersion], bool]:
    """Whether a zip may go: nothing private, nothing that must be kept, nothing that would not be fetched again."""
    texts = [
        *config.retention.keep,
        *config.upstream.no_sum_patterns,
        *_private(go_variables(config.upstream.go_env_vars)),
    ]
    patterns = tuple(Pattern.of_file(text.strip()) for text in texts if text.strip())

    def may_go(wanted: ModuleVersion) -> bool:
        if any(pattern.matches(text) for pattern in patterns for text in (wanted.path.text, str(wanted))):
            return False
        return not isinstance(policy.decide(wanted).effect, NotServed)

    return may_go


def _private(variables: Mapping[str, str]) -> Iterator[str]:
    for name in ("GOPRIVATE", "GONOPROXY", "GONOSUMDB"):
        yield from variables.get(name, "").split(",")


def _purge_file(config: Config) -> Path | None:
    """The list of purged versions, read once so that a bad one stops the start.

    Raises:
        CannotStart: it cannot be read, or is no such list.
    """
    if not config.retention.purge_file:
        return None
    path = Path(config.retention.purge_file)
    name = config.origins["PurgeFile"].name
    try:
        with path.open("rb") as file:
            tombstones.from_file(file.read(tombstones.MAX_FILE_BYTES + 1), by=str(path))
    except FileNotFoundError:
        _LOG.info("%s: there is no %s yet; it is read when it appears", name, path)
    except OSError as error:
        raise CannotStart(f"{name}: {path} cannot be read: {error.strerror}") from error
    except BadPurgeList as error:
        raise CannotStart(f"{name}: {path}: {error}") from error
    return path


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
