"""The settings of what replicas share beside the store: the lock (`SingleFlight`) and the index.

Athens' rules: lock times and retries are above 0. Of the lock times only `TTL` has a meaning here, as an upper bound
of the lease: ours is renewed, and a waiter waits for the result instead of giving up after `Timeout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from athens_proxy.config.sections import Count, Key, List, Seconds, SecretText, Section, Text, choice
from athens_proxy.config.values import Secret, comma_list, go_bool, go_int, go_map

LOCK_TYPES: Final = ("memory", "", "etcd", "redis", "redis-sentinel", "gcp", "azureblob")
INDEX_TYPES: Final = ("none", "", "memory", "mysql", "postgres")
MYSQL_PARAMS: Final = {"parseTime": "true", "timeout": "30s"}
POSTGRES_PARAMS: Final = {"connect_timeout": "30", "sslmode": "disable"}
Port = Annotated[int, Field(ge=1, le=65535)]
Params = Annotated[Mapping[str, str], BeforeValidator(lambda v: dict(v) if isinstance(v, Mapping) else v)]


class LockSection(Section):
    """Which lock replicas share, and where it is."""

    type: Annotated[Text, Key("SingleFlightType", "ATHENS_SINGLE_FLIGHT_TYPE"), choice(*LOCK_TYPES)] = "memory"
    etcd_endpoints: Annotated[Text, Key("SingleFlight.Etcd.Endpoints", "ATHENS_ETCD_ENDPOINTS")] = (
        "localhost:2379,localhost:22379,localhost:32379"
    )
    redis_endpoint: Annotated[Text, Key("SingleFlight.Redis.Endpoint", "ATHENS_REDIS_ENDPOINT")] = "127.0.0.1:6379"
    redis_password: Annotated[SecretText, Key("SingleFlight.Redis.Password", "ATHENS_REDIS_PASSWORD")] = Secret("")
    redis_cluster: Annotated[bool, Key("SingleFlight.Redis.Cluster", "ATHENS_REDIS_CLUSTER", go_bool)] = False
    redis_ttl_s: Annotated[Seconds, Key("SingleFlight.Redis.LockConfig.TTL", "ATHENS_REDIS_LOCK_TTL", go_int)] = 900
    redis_timeout_s: Annotated[
        Seconds, Key("SingleFlight.Redis.LockConfig.Timeout", "ATHENS_REDIS_LOCK_TIMEOUT", go_int)
    ] = 15
    redis_max_retries: Annotated[
        Count, Key("SingleFlight.Redis.LockConfig.MaxRetries", "ATHENS_REDIS_LOCK_MAX_RETRIES", go_int)
    ] = 10
    sentinel_endpoints: Annotated[
        List, Key("SingleFlight.RedisSentinel.Endpoints", "ATHENS_REDIS_SENTINEL_ENDPOINTS", comma_list)
    ] = ("127.0.0.1:26379",)
    sentinel_master: Annotated[
        Text, Key("SingleFlight.RedisSentinel.MasterName", "ATHENS_REDIS_SENTINEL_MASTER_NAME")
    ] = "redis-1"
    sentinel_password: Annotated[
        SecretText, Key("SingleFlight.RedisSentinel.SentinelPassword", "ATHENS_REDIS_SENTINEL_PASSWORD")
    ] = Secret("sekret")
    sentinel_db: Annotated[
        int, Key("SingleFlight.RedisSentinel.DB", "ATHENS_REDIS_SENTINEL_DB", go_int), Field(ge=0)
    ] = 0
    sentinel_redis_username: Annotated[
        Text, Key("SingleFlight.RedisSentinel.RedisUsername", "ATHENS_REDIS_USERNAME")
    ] = ""
    sentinel_redis_password: Annotated[
        SecretText, Key("SingleFlight.RedisSentinel.RedisPassword", "ATHENS_REDIS_PASSWORD")
    ] = Secret("")
    sentinel_ttl_s: Annotated[
        Seconds, Key("SingleFlight.RedisSentinel.LockConfig.TTL", "ATHENS_REDIS_LOCK_TTL", go_int)
    ] = 900
    sentinel_timeout_s: Annotated[
        Seconds, Key("SingleFlight.RedisSentinel.LockConfig.Timeout", "ATHENS_REDIS_LOCK_TIMEOUT", go_int)
    ] = 15
    sentinel_max_retries: Annotated[
        Count, Key("SingleFlight.RedisSentinel.LockConfig.MaxRetries", "ATHENS_REDIS_LOCK_MAX_RETRIES", go_int)
    ] = 10
    gcp_stale_threshold_s: Annotated[
        Seconds, Key("SingleFlight.GCP.StaleThreshold", "ATHENS_GCP_STALE_THRESHOLD", go_int)
    ] = 120


class IndexSection(Section):
    """Where the feed of stored versions is kept."""

    type: Annotated[Text, Key("IndexType", "ATHENS_INDEX_TYPE"), choice(*INDEX_TYPES)] = "none"
    mysql_protocol: Annotated[
        Text, Key("Index.MySQL.Protocol", "ATHENS_INDEX_MYSQL_PROTOCOL"), choice("tcp", "unix")
    ] = "tcp"
    mysql_host: Annotated[Text, Key("Index.MySQL.Host", "ATHENS_INDEX_MYSQL_HOST"), Field(min_length=1)] = "localhost"
    mysql_port: Annotated[Port, Key("Index.MySQL.Port", "ATHENS_INDEX_MYSQL_PORT", go_int)] = 3306
    mysql_user: Annotated[Text, Key("Index.MySQL.User", "ATHENS_INDEX_MYSQL_USER"), Field(min_length=1)] = "root"
    mysql_password: Annotated[SecretText, Key("Index.MySQL.Password", "ATHENS_INDEX_MYSQL_PASSWORD")] = Secret("")
    mysql_database: Annotated[Text, Key("Index.MySQL.Database", "ATHENS_INDEX_MYSQL_DATABASE"), Field(min_length=1)] = (
        "athens"
    )
    mysql_params: Annotated[
        Params, Key("Index.MySQL.Params", "ATHENS_INDEX_MYSQL_PARAMS", go_map, default_table=MYSQL_PARAMS)
    ] = MYSQL_PARAMS
    postgres_host: Annotated[Text, Key("Index.Postgres.Host", "ATHENS_INDEX_POSTGRES_HOST"), Field(min_length=1)] = (
        "localhost"
    )
    postgres_port: Annotated[Port, Key("Index.Postgres.Port", "ATHENS_INDEX_POSTGRES_PORT", go_int)] = 5432
    postgres_user: Annotated[Text, Key("Index.Postgres.User", "ATHENS_INDEX_POSTGRES_USER"), Field(min_length=1)] = (
        "postgres"
    )
    postgres_password: Annotated[SecretText, Key("Index.Postgres.Password", "ATHENS_INDEX_POSTGRES_PASSWORD")] = Secret(
        ""
    )
    postgres_database: Annotated[
        Text, Key("Index.Postgres.Database", "ATHENS_INDEX_POSTGRES_DATABASE"), Field(min_length=1)
    ] = "athens"
    postgres_params: Annotated[
        Params, Key("Index.Postgres.Params", "ATHENS_INDEX_POSTGRES_PARAMS", go_map, default_table=POSTGRES_PARAMS)
    ] = POSTGRES_PARAMS
