"""What replicas share beside the store: `AthensProxy.spec.singleFlight` and `.index`."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from athens_operator.spec.values import KeyReference, Labels, Spec, require_member


class LockType(StrEnum):
    """Where replicas lock a module version while one of them fetches it."""

    AUTO = "Auto"
    MEMORY = "memory"
    ETCD = "etcd"
    REDIS = "redis"
    REDIS_SENTINEL = "redisSentinel"
    GCS = "gcs"
    AZURE_BLOB = "azureBlob"


class Etcd(Spec):
    """An etcd cluster."""

    endpoints: tuple[str, ...]


class Redis(Spec):
    """A Redis server, or a Redis cluster."""

    endpoint: str
    cluster: bool = False
    password_secret_ref: KeyReference | None = None


class RedisSentinel(Spec):
    """A Redis server that sentinels watch over."""

    endpoints: tuple[str, ...]
    master_name: str
    db: int = 0
    username: str = ""
    password_secret_ref: KeyReference | None = None
    sentinel_password_secret_ref: KeyReference | None = None


class SingleFlight(Spec):
    """The lock among replicas: exactly the member that `type` names, if that has settings."""

    type: LockType = LockType.AUTO
    etcd: Etcd | None = None
    redis: Redis | None = None
    redis_sentinel: RedisSentinel | None = None

    @model_validator(mode="after")
    def _matching_member(self) -> Self:
        require_member(self, self.type, LockType)
        return self


class IndexType(StrEnum):
    """Where the feed of stored versions is kept."""

    NONE = "none"
    MEMORY = "memory"
    MYSQL = "mysql"
    POSTGRES = "postgres"


class MySQL(Spec):
    """A MySQL database."""

    host: str
    port: int = 3306
    user: str
    database: str = "athens"
    params: Labels = Field(default_factory=dict)
    password_secret_ref: KeyReference | None = None


class Postgres(Spec):
    """A PostgreSQL database."""

    host: str
    port: int = 5432
    user: str
    database: str = "athens"
    params: Labels = Field(default_factory=dict)
    password_secret_ref: KeyReference | None = None


class Index(Spec):
    """The feed of stored versions: exactly the member that `type` names, if that has settings."""

    type: IndexType = IndexType.NONE
    mysql: MySQL | None = None
    postgres: Postgres | None = None

    @model_validator(mode="after")
    def _matching_member(self) -> Self:
        require_member(self, self.type, IndexType)
        return self
