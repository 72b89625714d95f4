"""The parts of `AthensProxy.spec`, field by field as in `crds/athensproxies.yaml` (a contract test compares them).

Descriptions of the fields live in the schema, where `kubectl explain` shows them. The validators here repeat what the
schema's rules refuse only where a wrong value would reach a child: they protect a cluster whose schema is older than
this operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from athens_operator.spec.storage import Storage
from athens_operator.spec.values import IntOrPercent, Labels, ObjectName, Quantity, Seconds, Spec
from athens_policy.model import Mode


class RolloutStrategy(StrEnum):
    """How a Deployment replaces its pods; Auto decides by the claim's access modes."""

    AUTO = "Auto"
    ROLLING_UPDATE = "RollingUpdate"
    RECREATE = "Recreate"


class StorageDeletion(StrEnum):
    """What becomes of the claim when its AthensProxy is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class NamedReference(Spec):
    """An object in the proxy's own namespace."""

    name: ObjectName


class Scratch(Spec):
    """Room for fetches in flight."""

    size_limit: Quantity | None = None
    medium: str = ""


class Scheduling(Spec):
    """Where pods may run."""

    node_selector: Labels = Field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    priority_class_name: str = ""


class ServiceAccount(Spec):
    """The identity of the pods."""

    create: bool = True
    name: ObjectName = ""
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class PodMetadata(Spec):
    """Extra labels and annotations of the pods."""

    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class SecretKey(Spec):
    """A key of a Secret in the proxy's own namespace, as a container refers to it."""

    model_config = ConfigDict(extra="allow")

    name: ObjectName
    key: str
    optional: bool = False


class ValueFrom(Spec):
    """Where a variable takes its value from; what is not known here is passed on as it is."""

    model_config = ConfigDict(extra="allow")

    secret_key_ref: SecretKey | None = None


class EnvVar(Spec):
    """One extra environment variable, as in a container."""

    name: str
    value: str | None = None
    value_from: ValueFrom | None = None


class DeletionPolicy(Spec):
    """What survives the AthensProxy."""

    storage: StorageDeletion = StorageDeletion.RETAIN


class Rule(Spec):
    """One rule of a download policy; `athens_policy.merge` checks patterns and ranges."""

    name: str
    patterns: tuple[str, ...]
    mode: Mode
    download_url: str = Field(default="", alias="downloadURL")
    versions: str = ""
    reason: str = ""


class Download(Spec):
    """The proxy's own rules and default."""

    default_mode: Mode | None = None
    download_url: str = Field(default="", alias="downloadURL")
    rules: tuple[Rule, ...] = ()


class PolicyRef(Spec):
    """A policy that the proxy names; an empty namespace means the proxy's own."""

    kind: str = "DownloadPolicy"
    name: str
    namespace: str = ""


class ChecksumDB(Spec):
    """Which checksum databases are relayed; None means the public one, an empty list means none."""

    urls: tuple[str, ...] | None = None
    no_sum_patterns: tuple[str, ...] = ()


class Upstream(Spec):
    """Where modules come from."""

    goproxy: str = ""
    go_env: Labels = Field(default_factory=dict)


class Network(Spec):
    """Whether the proxy may ask its upstreams for lists."""

    mode: str = "strict"


class Workers(Spec):
    """Bounds of concurrent work."""

    fetch: int = 10
    protocol: int = 30


class Timeouts(Spec):
    """Deadlines, in seconds once parsed."""

    network_s: Seconds = Field(default=300, alias="network")
    stash_s: Seconds = Field(default=600, alias="stash")
    shutdown_s: Seconds = Field(default=60, alias="shutdown")


class Server(Spec):
    """The proxy's HTTP server."""

    log_level: str = "info"
    log_format: str = "json"
    timeouts: Timeouts = Timeouts()
    path_prefix: str = ""


class BasicAuthSecret(Spec):
    """A Secret with a user name and a password."""

    name: ObjectName
    username_key: str = "username"
    password_key: str = "password"  # noqa: S105 - the name of a key


class BasicAuth(Spec):
    """One user name and password for all clients."""

    secret_ref: BasicAuthSecret


class Auth(Spec):
    """Who may use the proxy."""

    basic: BasicAuth | None = None


class Service(Spec):
    """The Service in front of the pods."""

    name: ObjectName = ""
    type: str = "ClusterIP"
    port: int = 80
    node_port: int | None = None
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class Rollout(Spec):
    """How pods are replaced."""

    strategy: RolloutStrategy = RolloutStrategy.AUTO
    max_surge: IntOrPercent = 1
    max_unavailable: IntOrPercent = 0
    min_ready_seconds: int = 5
    progress_deadline_seconds: int = 600
    revision_history_limit: int = 3


class Metrics(Spec):
    """What the proxy tells a monitoring system."""

    enabled: bool = True


class ProxySpec(Spec):
    """`AthensProxy.spec`."""

    version: str = ""
    image: str = ""
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[NamedReference, ...] = ()
    replicas: int = 1
    resources: Mapping[str, Any] | None = None
    scratch: Scratch = Scratch()
    scheduling: Scheduling = Scheduling()
    service_account: ServiceAccount = ServiceAccount()
    pod_metadata: PodMetadata = PodMetadata()
    extra_env: tuple[EnvVar, ...] = ()
    suspend: bool = False
    deletion_policy: DeletionPolicy = DeletionPolicy()
    storage: Storage
    download: Download | None = None
    policy_refs: tuple[PolicyRef, ...] = ()
    accept_selected_policies: bool = True
    private_modules: tuple[str, ...] = ()
    checksum_db: ChecksumDB = Field(default=ChecksumDB(), alias="checksumDB")
    upstream: Upstream = Upstream()
    upstream_errors: str = "strict"
    network: Network = Network()
    workers: Workers = Workers()
    server: Server = Server()
    auth: Auth = Auth()
    service: Service = Service()
    rollout: Rollout = Rollout()
    metrics: Metrics = Metrics()

    @model_validator(mode="after")
    def _unique_environment(self) -> Self:
        """The API server answers a duplicate name with a 500 that looks as if trying again could help."""
        names = [variable.name for variable in self.extra_env]
        if len(set(names)) != len(names):
            raise ValueError("extraEnv names a variable twice; keep one of them")
        return self
