"""The wiring of the stores: which implementation stands behind each `StorageType`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from athens_proxy.buckets import BUCKET_TYPES, open_bucket_storage
from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart, StorageError
from athens_proxy.remotes import REMOTE_TYPES, open_remote_storage
from athens_proxy.storage.disk import open_disk_storage
from athens_proxy.storage.memory import MemoryStorage
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
        storage = open_disk_storage(root, sums=sums, create=not configured)
    except StorageError as error:
        raise CannotStart(f"{config.origins['Storage.Disk.RootPath'].name}: {error}") from error
    _LOG.info("disk storage", extra={"root": str(root.absolute())})
    return storage


def _default_root(environ: Mapping[str, str]) -> Path:
    """The user's data folder of the XDG base directory specification."""
    data_home = environ.get("XDG_DATA_HOME", "")
    if data_home.startswith("/"):
        return Path(data_home) / "athens"
    home = environ.get("HOME") or Path.home()
    return Path(home) / ".local" / "share" / "athens"
