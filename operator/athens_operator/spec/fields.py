"""The parts of `AthensProxy.spec`, field by field as in `crds/athensproxies.yaml` (a contract test compares them).

Descriptions of the fields live in the schema, where `kubectl explain` shows them. The validators here repeat what the
schema's rules refuse only where a wrong value would reach a child: they protect a cluster whose schema is older than
this operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, model_validator

from athens_operator.spec.exposure import (
    TLS,
    Auth,
    HTTPRoute,
    Ingress,
    Metrics,
    NetworkPolicy,
    PodDisruptionBudget,
    Service,
)
from athens_operator.spec.operation import Follow, OnError, Prefetch, Purged, Retention, Tracing
from athens_operator.spec.origins import Credential, EgressProxy
from athens_operator.spec.replicas import Index, SingleFlight
from athens_operator.spec.storage import Storage
from athens_operator.spec.values import FileReference, KeyReference, Labels, NamedReference, Seconds, Spec
from athens_operator.spec.workload import (
    Autoscaling,
    EnvSource,
    EnvVar,
    ExtraMetadata,
    Rollout,
    Scheduling,
    Scratch,
    Security,
    ServiceAccount,
)
from athens_policy.model import Mode


class StorageDeletion(StrEnum):
    """What becomes of the claim when its AthensProxy is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


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
    min_age: str = ""
    upstream: str = ""
    audit: bool = False
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


class HomePage(Spec):
    """A home page of the user's, a Go template."""

    config_map_ref: KeyReference


class Server(Spec):
    """The proxy's HTTP server."""

    log_level: str = "info"
    log_format: str = "json"
    timeouts: Timeouts = Timeouts()
    path_prefix: str = ""
    force_ssl: bool = Field(default=False, alias="forceSSL")
    page: bool = False
    home_page: HomePage | None = None


class ProxySpec(Spec):
    """`AthensProxy.spec`."""

    version: str = ""
    image: str = ""
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[NamedReference, ...] = ()
    replicas: int = 1
    autoscaling: Autoscaling | None = None
    resources: Mapping[str, Any] | None = None
    scratch: Scratch = Scratch()
    scheduling: Scheduling = Scheduling()
    security: Security = Security()
    service_account: ServiceAccount = ServiceAccount()
    pod_metadata: ExtraMetadata = ExtraMetadata()
    inherited_metadata: ExtraMetadata = ExtraMetadata()
    extra_env: tuple[EnvVar, ...] = ()
    extra_env_from: tuple[EnvSource, ...] = ()
    extra_volumes: tuple[Mapping[str, Any], ...] = ()
    extra_volume_mounts: tuple[Mapping[str, Any], ...] = ()
    suspend: bool = False
    deletion_policy: DeletionPolicy = DeletionPolicy()
    storage: Storage
    single_flight: SingleFlight = SingleFlight()
    index: Index = Index()
    download: Download | None = None
    policy_refs: tuple[PolicyRef, ...] = ()
    accept_selected_policies: bool = True
    private_modules: tuple[str, ...] = ()
    checksum_db: ChecksumDB = Field(default=ChecksumDB(), alias="checksumDB")
    upstream: Upstream = Upstream()
    upstream_errors: str = "strict"
    network: Network = Network()
    workers: Workers = Workers()
    processes: int = 1
    retention: Retention | None = None
    purge: tuple[Purged, ...] = ()
    prefetch: Prefetch | None = None
    follow: Follow | None = None
    on_error: OnError = OnError.KEEP_LAST
    credentials: tuple[Credential, ...] = ()
    trusted_ca: tuple[FileReference, ...] = Field(default=(), alias="trustedCA")
    egress_proxy: EgressProxy | None = None
    tracing: Tracing | None = None
    server: Server = Server()
    auth: Auth = Auth()
    tls: TLS | None = None
    service: Service = Service()
    ingress: Ingress | None = None
    http_route: HTTPRoute | None = Field(default=None, alias="httpRoute")
    network_policy: NetworkPolicy = NetworkPolicy()
    pod_disruption_budget: PodDisruptionBudget = PodDisruptionBudget()
    rollout: Rollout = Rollout()
    metrics: Metrics = Metrics()

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        """The API server answers a duplicate name with a 500 that looks as if trying again could help."""
        lists: dict[str, list[object]] = {
            "extraEnv names a variable": [variable.name for variable in self.extra_env],
            "extraVolumes names a volume": [volume.get("name") for volume in self.extra_volumes],
            "extraVolumeMounts names a path": [mount.get("mountPath") for mount in self.extra_volume_mounts],
            "credentials names an entry": [credential.name for credential in self.credentials],
            "auth.clients names an entry": [client.name for client in self.auth.clients],
        }
        for what, names in lists.items():
            if len(set(names)) != len(names):
                raise ValueError(f"{what} twice; keep one of them")
        return self

    @property
    def least_replicas(self) -> int:
        """How many pods run at least."""
        return self.autoscaling.least if self.autoscaling else self.replicas

    @property
    def most_replicas(self) -> int:
        """How many pods may run."""
        return self.autoscaling.max_replicas if self.autoscaling else self.replicas
