"""The table of settings: one annotated field per key, grouped by the part of the proxy that uses it.

A row reads: name and type, `Key(TOML path, environment name)`, checks, default. Components never see these classes;
`app.py` unpacks them into arguments.

Source of keys and Athens' defaults: https://docs.gomods.io/configuration/ and its config.dev.toml. Deliberate
differences: storage is `disk` (Athens: unbounded memory), the log level is `info`, `GoBinaryEnvVars` asks
the public Go proxy first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from athens_proxy.config.values import (
    EnvAssignment,
    ListenAddress,
    Secret,
    comma_list,
    env_assignments,
    go_bool,
    go_int,
    listen_address,
    semicolon_list,
)

if TYPE_CHECKING:
    from athens_proxy.config.client_section import ClientSection
    from athens_proxy.config.credential_section import CredentialSection
    from athens_proxy.config.event_section import EventSection
    from athens_proxy.config.object_section import ObjectSection
    from athens_proxy.config.remote_section import RemoteSection
    from athens_proxy.config.replica_section import IndexSection, LockSection
    from athens_proxy.config.retention_section import RetentionSection
    from athens_proxy.config.trace_section import TraceSection

DEFAULT_GO_ENV_VARS = ("GOPROXY=https://proxy.golang.org,direct",)
DEFAULT_SUM_DBS = ("https://sum.golang.org",)


@dataclass(frozen=True, slots=True)
class Key:
    """Where a field's value comes from.

    Attributes:
        toml: dotted path in the file, in Athens' spelling; matched without regard to case.
        env: Athens' environment name, without the doubled `ATHENS_` form that is tried first.
        from_text: how the environment's text becomes the TOML type.
        empty_is_unset: an empty variable counts as absent (Athens does so for its port and `GoBinaryEnvVars`).
        default_table: set for a table of free entries; those of the file are merged into it.
    """

    toml: str
    env: str
    from_text: Callable[[str], object] = str
    empty_is_unset: bool = False
    default_table: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was read: `name` is the key as the user wrote it, `source` is environment, file or default."""

    name: str
    source: Literal["environment", "file", "default"]


class Section(BaseModel):
    """A frozen group of settings."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", arbitrary_types_allowed=True)


def _problem(message: str) -> PydanticCustomError:
    return PydanticCustomError("athens", "{message}", {"message": message})


def choice(*allowed: str, lower: bool = False) -> BeforeValidator:
    """One of the allowed words."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            return value
        word = value.strip().lower() if lower else value
        if word in allowed:
            return word
        use = "use one of " + ", ".join(repr(a)[1:-1] or '""' for a in allowed)
        raise _problem(f'"{value}" is not allowed; {use}')

    return BeforeValidator(check)


def _converted(convert: Callable[[str], object]) -> BeforeValidator:
    """The text converted; the converter's `ValueError` follows the value in the message."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return convert(value)
        except ValueError as error:
            raise _problem(f'"{value}" {error}') from error

    return BeforeValidator(check)


def _assignments(value: object) -> object:
    if not isinstance(value, list | tuple):
        return value
    try:
        return env_assignments(tuple(str(item) for item in value))
    except ValueError as error:
        raise PydanticCustomError("athens", "{message}", {"message": str(error)}) from error


def _path_prefix(value: str) -> str:
    if value and not value.startswith("/"):
        raise _problem(f'"{value}" must start with /')
    return value.rstrip("/")


def _https_urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        if not url.startswith("https://") or len(url) <= len("https://"):
            raise _problem(f'"{url}" must be an https:// address')
    return urls


def _http_url_or_nothing(value: str) -> str:
    if value and not re.match(r"https?://[^/?#]", value):
        raise _problem("must be an http:// or https:// address")  # not shown: it may hold a token
    return value


def _without_blanks(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(item for item in items if item.strip())


Text = Annotated[str, Field(max_length=1_000_000)]
List = Annotated[tuple[str, ...], Field(strict=False)]
SecretText = Annotated[Secret, BeforeValidator(lambda v: Secret(v) if isinstance(v, str) else v)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Seconds = Annotated[int, Field(ge=1, le=86_400 * 365)]


class ServerSection(Section):
    """Listener, TLS, access and shutdown."""

    address: Annotated[ListenAddress, Key("Port", "ATHENS_PORT", empty_is_unset=True), _converted(listen_address)] = (
        ListenAddress("", 3000)
    )
    unix_socket: Annotated[Text, Key("UnixSocket", "ATHENS_UNIX_SOCKET")] = ""
    tls_cert_file: Annotated[Text, Key("TLSCertFile", "ATHENS_TLSCERT_FILE")] = ""
    tls_key_file: Annotated[Text, Key("TLSKeyFile", "ATHENS_TLSKEY_FILE")] = ""
    path_prefix: Annotated[Text, Key("PathPrefix", "ATHENS_PATH_PREFIX"), AfterValidator(_path_prefix)] = ""
    force_ssl: Annotated[bool, Key("ForceSSL", "PROXY_FORCE_SSL", go_bool)] = False
    basic_auth_user: Annotated[Text, Key("BasicAuthUser", "BASIC_AUTH_USER")] = ""
    basic_auth_pass: Annotated[SecretText, Key("BasicAuthPass", "BASIC_AUTH_PASS")] = Secret("")
    shutdown_timeout_s: Annotated[int, Key("ShutdownTimeout", "ATHENS_SHUTDOWN_TIMEOUT", go_int), Field(ge=0)] = 60
    robots_file: Annotated[Text, Key("RobotsFile", "ATHENS_ROBOTS_FILE")] = "robots.txt"
    home_template: Annotated[Text, Key("HomeTemplatePath", "ATHENS_HOME_TEMPLATE_PATH")] = "/var/lib/athens/home.html"
    upstream_errors: Annotated[Text, Key("UpstreamErrors", "ATHENS_UPSTREAM_ERRORS"), choice("strict", "notfound")] = (
        "strict"
    )
    processes: Annotated[int, Key("Processes", "ATHENS_PROCESSES", go_int), Field(ge=1, le=64)] = 1


class LogSection(Section):
    """Logs, metrics and the kind of environment."""

    go_env: Annotated[Text, Key("GoEnv", "GO_ENV"), Field(min_length=1)] = "development"
    level: Annotated[
        Text,
        Key("LogLevel", "ATHENS_LOG_LEVEL"),
        choice("trace", "debug", "info", "warn", "warning", "error", "fatal", "panic", lower=True),
    ] = "info"
    format: Annotated[Text, Key("LogFormat", "ATHENS_LOG_FORMAT"), choice("", "plain", "json")] = "plain"
    cloud_runtime: Annotated[Text, Key("CloudRuntime", "ATHENS_CLOUD_RUNTIME")] = "none"
    stats_exporter: Annotated[Text, Key("StatsExporter", "ATHENS_STATS_EXPORTER")] = "prometheus"


class StorageSection(Section):
    """Where module versions are kept."""

    type: Annotated[
        Text,
        Key("StorageType", "ATHENS_STORAGE_TYPE"),
        choice("disk", "memory", "s3", "gcp", "minio", "azureblob", "mongo", "external"),
    ] = "disk"
    owner: Annotated[Text, Key("Storage.Owner", "ATHENS_STORAGE_OWNER")] = ""
    disk_root: Annotated[Text, Key("Storage.Disk.RootPath", "ATHENS_DISK_STORAGE_ROOT")] = ""


class UpstreamSection(Section):
    """Fetching: the go command, its environment, limits and checksum databases."""

    go_binary: Annotated[Text, Key("GoBinary", "GO_BINARY_PATH"), Field(min_length=1)] = "go"
    go_env_vars: Annotated[
        tuple[EnvAssignment, ...],
        Key("GoBinaryEnvVars", "ATHENS_GO_BINARY_ENV_VARS", semicolon_list, empty_is_unset=True),
        BeforeValidator(_assignments),
    ] = env_assignments(DEFAULT_GO_ENV_VARS)
    go_get_dir: Annotated[Text, Key("GoGetDir", "ATHENS_GOGET_DIR")] = ""
    fetch_max_bytes: Annotated[int, Key("GoGetMaxBytes", "ATHENS_GOGET_MAX_BYTES", go_int), Field(ge=0)] = 3 << 30
    fetch_workers: Annotated[Count, Key("GoGetWorkers", "ATHENS_GOGET_WORKERS", go_int)] = 10
    protocol_workers: Annotated[Count, Key("ProtocolWorkers", "ATHENS_PROTOCOL_WORKERS", go_int)] = 30
    max_pending: Annotated[Count, Key("MaxPendingFetches", "ATHENS_MAX_PENDING_FETCHES", go_int)] = 10_000
    timeout_s: Annotated[Seconds, Key("Timeout", "ATHENS_TIMEOUT", go_int)] = 300
    stash_timeout_s: Annotated[Seconds, Key("StashTimeout", "ATHENS_STASH_TIMEOUT", go_int)] = 600
    network_mode: Annotated[
        Text, Key("NetworkMode", "ATHENS_NETWORK_MODE"), choice("strict", "offline", "fallback")
    ] = "strict"
    sum_dbs: Annotated[List, Key("SumDBs", "ATHENS_SUM_DBS", comma_list), AfterValidator(_https_urls)] = DEFAULT_SUM_DBS
    no_sum_patterns: Annotated[
        List, Key("NoSumPatterns", "ATHENS_GONOSUM_PATTERNS", comma_list), AfterValidator(_without_blanks)
    ] = ()


class PolicySection(Section):
    """The download mode or download file, and what Athens asks before it."""

    download_mode: Annotated[Text, Key("DownloadMode", "ATHENS_DOWNLOAD_MODE"), Field(min_length=1)] = "sync"
    download_url: Annotated[Text, Key("DownloadURL", "ATHENS_DOWNLOAD_URL"), AfterValidator(_http_url_or_nothing)] = ""
    filter_file: Annotated[Text, Key("FilterFile", "ATHENS_FILTER_FILE")] = ""
    global_endpoint: Annotated[
        Text, Key("GlobalEndpoint", "ATHENS_GLOBAL_ENDPOINT"), AfterValidator(_http_url_or_nothing)
    ] = "http://localhost:3001"
    validator_hook: Annotated[
        Text, Key("ValidatorHook", "ATHENS_PROXY_VALIDATOR"), AfterValidator(_http_url_or_nothing)
    ] = ""


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting, and where each came from.

    Attributes:
        origins: by TOML path, in the table's order.
        warnings: lines for the log at start: unknown keys, keys without effect in this build.
    """

    server: ServerSection
    log: LogSection
    traces: TraceSection
    storage: StorageSection
    objects: ObjectSection
    remotes: RemoteSection
    upstream: UpstreamSection
    policy: PolicySection
    credentials: CredentialSection
    clients: ClientSection
    lock: LockSection
    index: IndexSection
    retention: RetentionSection
    events: EventSection
    origins: Mapping[str, Origin]
    warnings: tuple[str, ...]
