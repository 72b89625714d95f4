"""The wiring of the stores behind a service: settings become a store that answered once, or one line why not."""

from __future__ import annotations

from typing import Final

from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart, StorageError
from athens_proxy.storage.external import open_external_storage
from athens_proxy.storage.storage import Storage
from athens_proxy.storage.sums import Sums

# StorageType -> the key that names the service
REMOTE_TYPES: Final = {"mongo": "Storage.Mongo.URL", "external": "Storage.External.URL"}


async def open_remote_storage(config: Config, *, sums: Sums) -> Storage:
    """The store of a `StorageType` that is in `REMOTE_TYPES`.

    Args:
        config: every setting.
        sums: how stored files are compared with fetched ones.

    Raises:
        CannotStart: the client is not installed, or the service cannot be used.
    """
    key = config.origins[REMOTE_TYPES[config.storage.type]].name
    try:
        if config.storage.type == "mongo":
            return await _mongo(config, sums)
        storage = open_external_storage(config.remotes.external_url.reveal())
        try:
            await storage.check()
        except StorageError:
            await storage.close()
            raise
    except ModuleNotFoundError as error:
        raise CannotStart(f"StorageType: mongo needs {error.name}: install athens-operator[mongo]") from error
    except StorageError as error:
        raise CannotStart(f"{key}: {error}") from error
    return storage


async def _mongo(config: Config, sums: Sums) -> Storage:
    """Imports are here: an installation has the client of its own store only."""
    from athens_proxy.storage.mongo import MongoSettings, open_mongo_storage

    settings = config.remotes
    return await open_mongo_storage(
        MongoSettings(
            url=settings.mongo_url.reveal(),
            database=settings.mongo_database,
            collection=settings.mongo_collection,
            ca_file=settings.mongo_ca_file,
            insecure=settings.mongo_insecure,
        ),
        sums=sums,
    )
