"""Empty stores of every kind on real servers, by what a process must be told to open one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from athens_proxy.storage.disk import open_disk_storage
from athens_proxy.storage.external import open_external_storage
from athens_proxy.storage.memory import MemoryStorage
from athens_proxy.storage.mongo import MongoSettings, open_mongo_storage
from athens_proxy.storage.storage import Storage
from support import object_servers, proxy_process
from support.mongo_server import ferretdb
from support.object_stores import BACKENDS, SUMS, new_bucket, object_storage
from support.proxy_process import Settings

LASTING = ("disk", *BACKENDS, "mongo", "external")
KINDS = (*LASTING, "memory")
_SERVERS = {
    "s3": object_servers.versitygw,
    "minio": object_servers.minio,
    "gcs": object_servers.fake_gcs,
    "azureblob": object_servers.azurite,
}
# FerretDB reads every chunk of a database to answer one query: large zips take it minutes.
_PATIENT = "?timeoutMS=600000"
_SERVED = {"ATHENS_STORAGE_SERVE": "true"}


@dataclass(frozen=True)
class Place:
    """Where a store is.

    Attributes:
        kind: one of `KINDS`.
        url: the server's address, "" where there is none.
        name: of the bucket, database or folder.
        serving_pid: the process behind it if that is a proxy of ours, else 0.
    """

    kind: str
    url: str = ""
    name: str = ""
    serving_pid: int = 0

    async def open(self) -> Storage:
        """The store."""
        match self.kind:
            case "disk":
                return open_disk_storage(Path(self.name), sums=SUMS, create=True)
            case "memory":
                return MemoryStorage()
            case "mongo":
                return await open_mongo_storage(MongoSettings(self.url, self.name), sums=SUMS)
            case "external":
                return open_external_storage(self.url)
            case _:
                return await object_storage(self.kind, self.url, self.name)


NewPlace = Callable[[], Place]


@contextmanager
def places(kind: str, folder: Path) -> Iterator[NewPlace]:
    """Makes empty places of one kind; their server runs until the context ends. An external one is always the same."""
    match kind:
        case "disk":
            yield lambda: Place(kind, name=str(folder / uuid.uuid4().hex))
        case "memory":
            yield lambda: Place(kind)
        case "mongo":
            with ferretdb(folder) as mongo:
                yield lambda: Place(kind, mongo.url + _PATIENT, mongo.new_settings().database)
        case "external":
            with proxy_process.running(folder, Settings("off", env=_SERVED)) as proxy:
                place = Place(kind, f"{proxy.url}/-/store", serving_pid=proxy.process.pid)
                yield lambda: place
        case _:
            with _SERVERS[kind](folder) as server:
                yield lambda: Place(kind, server.url, new_bucket(kind, server))
