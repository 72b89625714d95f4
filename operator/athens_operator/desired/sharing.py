"""What replicas share, in the proxy's configuration: the lock (`SingleFlight`) and the index of stored versions."""

from __future__ import annotations

from typing import Final

from athens_operator.desired import toml
from athens_operator.spec.fields import ProxySpec
from athens_operator.spec.replicas import LockType, MySQL, Postgres
from athens_operator.spec.storage import StorageType

LOCK_NAMES: Final = {
    LockType.REDIS_SENTINEL: "redis-sentinel",
    LockType.GCS: "gcp",
    LockType.AZURE_BLOB: "azureblob",
}
LOCK_OF_STORE: Final = {StorageType.GCS: LockType.GCS, StorageType.AZURE_BLOB: LockType.AZURE_BLOB}
"""Stores that hold the lock themselves where no other is asked for."""


def lock_type(spec: ProxySpec) -> LockType:
    """The lock that replicas use: the one asked for, or with Auto that of the store, else none that is shared."""
    if spec.single_flight.type is LockType.AUTO:
        return LOCK_OF_STORE.get(spec.storage.type, LockType.MEMORY)
    return spec.single_flight.type


def shares_lock(spec: ProxySpec) -> bool:
    """Whether a module is fetched once by all replicas together."""
    return lock_type(spec) is not LockType.MEMORY


def sharing_tables(spec: ProxySpec) -> toml.Table:
    """The keys and tables of the lock and of the index; passwords are variables and never here."""
    lock = lock_type(spec)
    return {
        "SingleFlightType": LOCK_NAMES.get(lock, lock.value),
        "IndexType": spec.index.type.value,
        **_lock(spec),
        **_index(spec),
    }


def _lock(spec: ProxySpec) -> toml.Table:
    lock = spec.single_flight
    if lock.etcd:
        return {"SingleFlight": {"Etcd": {"Endpoints": ",".join(lock.etcd.endpoints)}}}
    if lock.redis:
        return {"SingleFlight": {"Redis": {"Endpoint": lock.redis.endpoint, "Cluster": lock.redis.cluster}}}
    if lock.redis_sentinel:
        sentinel = lock.redis_sentinel
        table: toml.Table = {
            "Endpoints": list(sentinel.endpoints),
            "MasterName": sentinel.master_name,
            "DB": sentinel.db,
            "RedisUsername": sentinel.username,
            # Athens' default is a password of its own
            **({} if sentinel.sentinel_password_secret_ref else {"SentinelPassword": ""}),
        }
        return {"SingleFlight": {"RedisSentinel": table}}
    return {}


def _index(spec: ProxySpec) -> toml.Table:
    if spec.index.mysql:
        return {"Index": {"MySQL": {"Protocol": "tcp", **_database(spec.index.mysql)}}}
    if spec.index.postgres:
        return {"Index": {"Postgres": _database(spec.index.postgres)}}
    return {}


def _database(database: MySQL | Postgres) -> toml.Table:
    return {
        "Host": database.host,
        "Port": database.port,
        "User": database.user,
        "Database": database.database,
        **({"Params": dict(sorted(database.params.items()))} if database.params else {}),
    }
