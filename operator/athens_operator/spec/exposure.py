"""The parts of `AthensProxy.spec` that say who reaches the proxy, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from athens_operator.spec.values import IntOrPercent, Labels, NamedReference, ObjectName, Seconds, Spec


class BasicAuthSecret(Spec):
    """A Secret with a user name and a password."""

    name: ObjectName
    username_key: str = "username"
    password_key: str = "password"  # noqa: S105 - the name of a key


class BasicAuth(Spec):
    """One user name and password for all clients: in a Secret of the user's, or in one that the operator makes."""

    secret_ref: BasicAuthSecret | None = None
    generate: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.generate is (self.secret_ref is not None):
            raise ValueError("set exactly one of secretRef and generate")
        return self


class AuthClient(Spec):
    """Further users and tokens, as lines with salted hashes in a Secret."""

    name: ObjectName
    secret_ref: NamedReference


class Auth(Spec):
    """Who may use the proxy."""

    basic: BasicAuth | None = None
    clients: tuple[AuthClient, ...] = ()


class TLSSecret(Spec):
    """A Secret of type kubernetes.io/tls."""

    name: ObjectName


class TLS(Spec):
    """The certificate with which the pods serve https."""

    secret_ref: TLSSecret


class Service(Spec):
    """The Service in front of the pods."""

    name: ObjectName = ""
    type: str = "ClusterIP"
    port: int | None = None
    node_port: int | None = None
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class IngressTLS(Spec):
    """Https at the ingress controller."""

    secret_name: ObjectName = ""
    cluster_issuer: str = ""
    issuer: str = ""


class Ingress(Spec):
    """Names under which an ingress controller serves the proxy."""

    class_name: str | None = None
    hosts: tuple[str, ...]
    path: str = "/"
    path_type: str = "Prefix"
    annotations: Labels = Field(default_factory=dict)
    tls: IngressTLS | None = None


class HTTPRoute(Spec):
    """The gateways that route to the proxy, and for which names."""

    parent_refs: tuple[Mapping[str, Any], ...]
    hostnames: tuple[str, ...] = ()
    annotations: Labels = Field(default_factory=dict)
    timeout_s: Seconds | None = Field(default=None, alias="timeout")


class NetworkPolicy(Spec):
    """Who may open connections to the pods, and where they may open them to."""

    enabled: bool | None = None
    allow_from: tuple[Mapping[str, Any], ...] | None = None
    allow_metrics_from: tuple[Mapping[str, Any], ...] = ()
    egress: str = "Open"
    egress_to: tuple[Mapping[str, Any], ...] = ()


class PodDisruptionBudget(Spec):
    """How many pods a drain may take at once."""

    disabled: bool = False
    min_available: IntOrPercent | None = None
    max_unavailable: IntOrPercent | None = None


class ServiceMonitor(Spec):
    """How a Prometheus operator scrapes the pods."""

    enabled: bool = False
    interval_s: Seconds = Field(default=30, alias="interval")
    labels: Labels = Field(default_factory=dict)


class AlertRules(Spec):
    """Alerts for a Prometheus operator."""

    enabled: bool = False
    labels: Labels = Field(default_factory=dict)


class Dashboard(Spec):
    """A dashboard, as the sidecar of Grafana collects them."""

    enabled: bool = False
    labels: Labels = Field(default_factory=dict)
    folder: str = ""


class Metrics(Spec):
    """What the proxy tells a monitoring system."""

    enabled: bool = True
    service_monitor: ServiceMonitor = ServiceMonitor()
    rules: AlertRules = AlertRules()
    dashboard: Dashboard = Dashboard()
