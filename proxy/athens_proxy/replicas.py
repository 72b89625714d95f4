"""The wiring of what replicas share beside the store: the lock and the index."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import aiohttp

from athens_proxy.config.replica_section import IndexSection
from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart, IndexRefused, IndexUnavailable
from athens_proxy.index.catching_up import CatchingUp
from athens_proxy.index.index import Index
from athens_proxy.index.kept import KeptLines
from athens_proxy.index.memory import MemoryIndex, NoIndex
from athens_proxy.index.settings import DatabaseAddress, InvalidParameter
from athens_proxy.stash import redis_endpoints
from athens_proxy.stash.etcd_lock import EtcdLocks
from athens_proxy.stash.file_lock import FileLocks
from athens_proxy.stash.indexed import Indexed
from athens_proxy.stash.lock import LEASE_S, LockRefused, Locks, LockUnavailable
from athens_proxy.stash.locked import Locked, OnLock
from athens_proxy.stash.object_lock import ObjectLocks
from athens_proxy.stash.redis_endpoints import InvalidEndpoint, RedisEndpoint
from athens_proxy.stash.stasher import Stasher
from athens_proxy.storage.forwarding import innermost
from athens_proxy.storage.object_store import ObjectStorage
from athens_proxy.storage.storage import Storage

DRAIN_S = 2.0
_LOG = logging.getLogger(__name__)


Layer = Callable[[Stasher], Stasher]


@asynccontextmanager
async def lock_layer(
    config: Config,
    storage: Storage,
    *,
    siblings_folder: Path | None = None,
    on_lock: OnLock,
    waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> AsyncIterator[Layer]:
    """The stash layer that keeps replicas from fetching the same version; it does nothing without a shared lock.

    Processes of one proxy have a folder for locks of their own, which they need where replicas share none.

    A service that does not answer is no reason not to start: versions are fetched without a lock until it does.

    Raises:
        CannotStart: the service refuses the settings, or they name none.
    """
    async with aiohttp.ClientSession() as session:
        locks = _locks(config, session, storage)
        if locks is None and siblings_folder is not None:
            locks = FileLocks(siblings_folder)
        if locks is None:
            yield _unchanged
            return
        try:
            await _check(config, locks)
            wait_at_most_s = float(config.upstream.stash_timeout_s)
            told = partial(Locked, on_lock=on_lock, waiting=waiting)
            yield partial(told, locks=locks, storage=storage, wait_at_most_s=wait_at_most_s)
        finally:
            await locks.close()


@asynccontextmanager
async def index_layer(index: Index, storage: Storage, *, on_waiting: Callable[[int], None]) -> AsyncIterator[Layer]:
    """The stash layer that records what was stored; what an index does not take yet is recorded later."""
    if isinstance(index, NoIndex):
        yield _unchanged
        return
    recorder = CatchingUp(index, KeptLines(storage), on_waiting=on_waiting)
    running = asyncio.create_task(recorder.run(), name="index")
    try:
        yield partial(Indexed, recorder=recorder)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await recorder.drain(within_s=DRAIN_S)


async def open_index(config: Config) -> Index:
    """The index of the settings.

    A database that does not answer is no reason not to start: what is stored meanwhile is recorded later.

    Raises:
        CannotStart: the database refuses the settings, or they cannot be used.
    """
    section = config.index
    if section.type in ("none", ""):
        return NoIndex()
    if section.type == "memory":
        return MemoryIndex()
    key = config.origins["IndexType"].name
    _require_packages(key, section.type, "sqlalchemy", {"mysql": "aiomysql", "postgres": "asyncpg"}[section.type])
    from athens_proxy.index.mysql import mysql_index  # not installed everywhere
    from athens_proxy.index.postgres import postgres_index

    table = {"mysql": "Index.MySQL", "postgres": "Index.Postgres"}[section.type]
    try:
        index = mysql_index(_mysql(section)) if section.type == "mysql" else postgres_index(_postgres(section))
    except InvalidParameter as error:
        raise CannotStart(f"{table}.Params: {error}") from error
    try:
        await index.prepare()
    except IndexRefused as error:
        await index.close()
        raise CannotStart(f"{table}: {error}; check host, user, password and database") from error
    except IndexUnavailable as error:
        _LOG.warning("%s; stored versions wait and are recorded later", error)
    return index


def _unchanged(inner: Stasher) -> Stasher:
    return inner


def _locks(config: Config, session: aiohttp.ClientSession, storage: Storage) -> Locks | None:
    lock = config.lock
    try:
        match lock.type:
            case "etcd":
                endpoints = [text for item in lock.etcd_endpoints.split(",") if (text := item.strip())]
                if not endpoints:
                    raise InvalidEndpoint("no endpoints specified; use host:port")
                return EtcdLocks(session, endpoints)
            case "redis" | "redis-sentinel":
                return _redis_locks(config)
            case "gcp" | "azureblob":
                return _object_locks(config, storage)
            case _:
                return None
    except InvalidEndpoint as error:
        key = {"etcd": "Etcd.Endpoints", "redis": "Redis.Endpoint", "redis-sentinel": "RedisSentinel.Endpoints"}
        raise CannotStart(f"{config.origins[f'SingleFlight.{key[lock.type]}'].name}: {error}") from error


def _object_locks(config: Config, storage: Storage) -> Locks:
    """Athens' rule: such a lock is in the bucket of the store."""
    bucket = innermost(storage)
    if not isinstance(bucket, ObjectStorage) or config.storage.type != config.lock.type:
        key = config.origins["SingleFlightType"].name
        raise CannotStart(f'{key}: "{config.lock.type}" needs StorageType {config.lock.type}')
    return ObjectLocks(bucket.bucket, bucket.record_key)


def _redis_locks(config: Config) -> Locks:
    lock = config.lock
    _require_packages(config.origins["SingleFlightType"].name, "redis", "redis")
    from athens_proxy.stash import redis_lock  # not installed everywhere

    password = lock.redis_password.reveal()
    if lock.type == "redis-sentinel":
        return redis_lock.redis_sentinel_locks(
            redis_endpoints.sentinels(lock.sentinel_endpoints),
            master=lock.sentinel_master,
            sentinel_password=lock.sentinel_password.reveal(),
            endpoint=RedisEndpoint(
                (),
                username=lock.sentinel_redis_username,
                password=lock.sentinel_redis_password.reveal(),
                db=lock.sentinel_db,
            ),
            lease_s=min(LEASE_S, lock.sentinel_ttl_s),
        )
    lease_s = min(LEASE_S, lock.redis_ttl_s)
    if lock.redis_cluster:
        return redis_lock.redis_cluster_locks(redis_endpoints.cluster(lock.redis_endpoint, password), lease_s=lease_s)
    return redis_lock.redis_locks(redis_endpoints.single(lock.redis_endpoint, password), lease_s=lease_s)


async def _check(config: Config, locks: Locks) -> None:
    try:
        await locks.check()
    except LockRefused as error:
        raise CannotStart(f"{config.origins['SingleFlightType'].name}: {error}") from error
    except LockUnavailable as error:
        _LOG.warning("%s; versions are fetched without a lock until it answers", error)


def _mysql(section: IndexSection) -> DatabaseAddress:
    return DatabaseAddress(
        host=section.mysql_host,
        port=section.mysql_port,
        user=section.mysql_user,
        password=section.mysql_password.reveal(),
        database=section.mysql_database,
        params=section.mysql_params,
        protocol=section.mysql_protocol,
    )


def _postgres(section: IndexSection) -> DatabaseAddress:
    return DatabaseAddress(
        host=section.postgres_host,
        port=section.postgres_port,
        user=section.postgres_user,
        password=section.postgres_password.reveal(),
        database=section.postgres_database,
        params=section.postgres_params,
    )


def _require_packages(key: str, extra: str, *packages: str) -> None:
    if missing := [name for name in packages if find_spec(name) is None]:
        raise CannotStart(f"{key}: needs {', '.join(missing)}; install athens-operator[{extra}]")
