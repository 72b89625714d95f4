"""Lock services as processes: started by kind, with the settings of a proxy that uses them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from support import etcd_servers, object_servers, redis_servers
from support.lock_services import BUCKETS, MASTER, REDIS_PASSWORD, SENTINEL_PASSWORD
from support.processes import RunningProcess

KINDS = ("redis", "redis-cluster", "redis-sentinel", "etcd", "gcp", "azureblob")


@dataclass(frozen=True)
class Service:
    """A running lock service.

    Attributes:
        kind: as Athens calls it, but for `redis-cluster`.
        endpoint: where it is; of a bucket `URL#BUCKET`.
        processes: their death ends it.
    """

    kind: str
    endpoint: str
    processes: tuple[RunningProcess, ...]

    @property
    def env(self) -> Mapping[str, str]:
        """The settings of a proxy, by Athens' names."""
        url, _, bucket = self.endpoint.partition("#")
        chosen = {"ATHENS_SINGLE_FLIGHT_TYPE": self.kind.replace("redis-cluster", "redis")}
        match self.kind:
            case "etcd":
                return {**chosen, "ATHENS_ETCD_ENDPOINTS": self.endpoint}
            case "gcp":
                store = {"ATHENS_STORAGE_TYPE": "gcp", "ATHENS_STORAGE_GCP_BUCKET": bucket}
                return {**chosen, **store, "STORAGE_EMULATOR_HOST": url}
            case "azureblob":
                return {
                    **chosen,
                    "ATHENS_STORAGE_TYPE": "azureblob",
                    "ATHENS_AZURE_ACCOUNT_NAME": object_servers.AZURE_ACCOUNT,
                    "ATHENS_AZURE_ACCOUNT_KEY": object_servers.AZURE_KEY,
                    "ATHENS_AZURE_CONTAINER_NAME": bucket,
                    "ATHENS_AZURE_ENDPOINT": url,
                }
            case "redis":
                return {**chosen, "ATHENS_REDIS_ENDPOINT": self.endpoint, "ATHENS_REDIS_PASSWORD": REDIS_PASSWORD}
            case "redis-cluster":
                return {**chosen, "ATHENS_REDIS_ENDPOINT": self.endpoint, "ATHENS_REDIS_CLUSTER": "true"}
            case _:
                return {
                    **chosen,
                    "ATHENS_REDIS_SENTINEL_ENDPOINTS": self.endpoint,
                    "ATHENS_REDIS_SENTINEL_MASTER_NAME": MASTER,
                    "ATHENS_REDIS_SENTINEL_PASSWORD": SENTINEL_PASSWORD,
                    "ATHENS_REDIS_PASSWORD": REDIS_PASSWORD,
                }


def start(kind: str, folder: Path, stack: ExitStack) -> Service:
    """A running service of a kind; it ends with the stack."""
    if kind in BUCKETS:
        run, make_bucket = {
            "gcp": (object_servers.fake_gcs, object_servers.make_gcs_bucket),
            "azureblob": (object_servers.azurite, object_servers.make_azure_container),
        }[kind]
        server = stack.enter_context(run(folder))
        bucket = make_bucket(server, object_servers.new_name())
        return Service(kind, f"{server.url}#{bucket}", (server.process,))
    if kind == "etcd":
        member = stack.enter_context(etcd_servers.etcd(folder))
        return Service(kind, member.endpoint, (member.process,))
    if kind == "redis-cluster":
        nodes = stack.enter_context(redis_servers.cluster(folder))
        return Service(kind, ",".join(node.endpoint for node in nodes), tuple(node.process for node in nodes))
    master = stack.enter_context(redis_servers.redis(folder / "master", "--requirepass", REDIS_PASSWORD))
    if kind == "redis":
        return Service(kind, master.endpoint, (master.process,))
    watcher = redis_servers.sentinel(
        folder / "sentinel", master, name=MASTER, password=SENTINEL_PASSWORD, auth=REDIS_PASSWORD
    )
    sentinel = stack.enter_context(watcher)
    return Service(kind, sentinel.endpoint, (sentinel.process, master.process))
