"""The wiring of the stores: which implementation stands behind each `StorageType`."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from athens_proxy.buckets import BUCKET_TYPES, open_bucket_storage
from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.config.effective import shown
from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart, StorageError
from athens_proxy.remotes import REMOTE_TYPES, open_remote_storage
from athens_proxy.storage.audited import AuditedStorage
from athens_proxy.storage.disk import open_disk_storage
from athens_proxy.storage.memory import MemoryStorage
from athens_proxy.storage.object_store import ObjectStorage
from athens_proxy.storage.owner import StoreOwners
from athens_proxy.storage.scratch import sweep_scratch
from athens_proxy.storage.storage import Storage
from athens_proxy.storage.sums import Sums
from athens_proxy.upstream.zipcheck import checked_zip_h1

_LOG = logging.getLogger(__name__)


async def open_storage(config: Config, environ: Mapping[str, str]) -> Storage:
    """The store of the settings, ready to serve.

    Args:
        config: every setting.
        environ: the process environment, for the default data folder and what the clients of buckets read there.

    Raises:
        CannotStart: it cannot be used.
    """
    sums = Sums(checked_zip_h1, mod_hash1)
    if config.storage.type in BUCKET_TYPES:
        return await open_bucket_storage(config, environ, sums=sums)
    if config.storage.type in REMOTE_TYPES:
        return await open_remote_storage(config, sums=sums)
    if config.storage.type == "memory":
        return MemoryStorage()
    configured = config.storage.disk_root
    root = Path(configured) if configured else _default_root(environ)
    try:
        storage = open_disk_storage(
            root,
            sums=sums,
            create=not configured,
            is_only_source=config.upstream.network_mode == "offline",
        )
    except StorageError as error:
        raise CannotStart(f"{config.origins['Storage.Disk.RootPath'].name}: {error}") from error
    _LOG.info("disk storage", extra={"root": str(root.absolute())})
    return storage


@asynccontextmanager
async def tended(
    config: Config, storage: Storage, scratch: Path, *, on_damage: Callable[[], None]
) -> AsyncIterator[Storage]:
    """The same store while it is looked after as a disk store does by itself at its opening and at every read.

    A remote store notices zips that were damaged where they lie, and a bucket and the folder for temporary files are
    swept of what dead processes left.

    Args:
        config: every setting.
        storage: the opened store; the caller closes it.
        scratch: a folder for temporary copies.
        on_damage: called when a zip of a remote store was found damaged.
    """
    await asyncio.to_thread(sweep_scratch, scratch)
    if config.storage.type not in (*BUCKET_TYPES, *REMOTE_TYPES):
        yield storage
        return
    sweeping = asyncio.create_task(_sweep(storage), name="store-sweep")
    sums = Sums(checked_zip_h1, mod_hash1)
    watched = AuditedStorage(storage, sums=sums, scratch=scratch, on_damage=on_damage)
    try:
        yield watched
    finally:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        await watched.end_audits()


async def _sweep(storage: Storage) -> None:
    if not isinstance(storage, ObjectStorage):
        return
    try:
        swept = await storage.sweep()
    except StorageError as error:
        _LOG.warning("%s; what dead saves left stays until the next start", error)
        return
    if swept:
        _LOG.info("swept what dead saves left", extra={"versions": swept})


@asynccontextmanager
async def announced(
    config: Config, storage: Storage, *, on_others: Callable[[int], None]
) -> AsyncIterator[StoreOwners]:
    """The announcement of this proxy in its store, kept up while the context is open.

    A store in memory has no other user, and the owner of an external one is the proxy that serves it.
    """
    host = socket.gethostname()
    owners = StoreOwners(storage, _owner_name(config, host), host=host, on_others=on_others)
    if config.storage.type in ("memory", "external"):
        yield owners
        return
    running = asyncio.create_task(owners.run(), name="store-owner")
    try:
        yield owners
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await owners.leave()


def _owner_name(config: Config, host: str) -> str:
    """As configured; else replicas that share a lock are one owner, and any other process is one by itself."""
    if config.storage.owner:
        return config.storage.owner
    if config.lock.type in ("", "memory"):
        return f"{host} {config.server.unix_socket or config.server.address}"
    lock = {name: shown(getattr(config.lock, name)) for name in type(config.lock).model_fields}
    return f"lock {config.lock.type} {hashlib.sha256(repr(lock).encode()).hexdigest()[:12]}"


def _default_root(environ: Mapping[str, str]) -> Path:
    """The user's data folder of the XDG base directory specification."""
    data_home = environ.get("XDG_DATA_HOME", "")
    if data_home.startswith("/"):
        return Path(data_home) / "athens"
    home = environ.get("HOME") or Path.home()
    return Path(home) / ".local" / "share" / "athens"
