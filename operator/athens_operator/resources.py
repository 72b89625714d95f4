"""The resources of the Kubernetes API that the operator reads, watches or writes, and their addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from athens_operator.manifests import PROXY_LABEL, Ref

GROUP = "athensproxy.dev"
API_VERSION = f"{GROUP}/v1beta1"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object and where the API server keeps it.

    Args:
        api_version: group and version, or `v1` for the core group.
        kind: as in manifests.
        plural: as in the address.
        namespaced: whether its objects live in namespaces.
        labelled: watched and listed only where it carries the label of one of our proxies.
    """

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True
    labelled: bool = False

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version without the group."""
        return self.api_version.rpartition("/")[2]

    def path(self, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The address of a collection, an object or a subresource; an empty namespace is the whole cluster."""
        steps = ["/apis" if "/" in self.api_version else "/api", self.api_version]
        if self.namespaced and namespace:
            steps += ["namespaces", namespace]
        return "/".join([*steps, self.plural, *filter(None, (name, subresource))])

    def ref(self, namespace: str, name: str) -> Ref:
        """The identity of one object of this kind."""
        return Ref(self.api_version, self.kind, namespace if self.namespaced else "", name)


PROXIES = Resource(API_VERSION, "AthensProxy", "athensproxies")
POLICIES = Resource(API_VERSION, "DownloadPolicy", "downloadpolicies")
CLUSTER_POLICIES = Resource(API_VERSION, "ClusterDownloadPolicy", "clusterdownloadpolicies", namespaced=False)
NAMESPACES = Resource("v1", "Namespace", "namespaces", namespaced=False)
SERVICE_ACCOUNTS = Resource("v1", "ServiceAccount", "serviceaccounts", labelled=True)
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps", labelled=True)
CLAIMS = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims", labelled=True)
DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments", labelled=True)
REPLICA_SETS = Resource("apps/v1", "ReplicaSet", "replicasets", labelled=True)
SERVICES = Resource("v1", "Service", "services", labelled=True)
AUTOSCALERS = Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", labelled=True)
DISRUPTION_BUDGETS = Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", labelled=True)
INGRESSES = Resource("networking.k8s.io/v1", "Ingress", "ingresses", labelled=True)
NETWORK_POLICIES = Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", labelled=True)
HTTP_ROUTES = Resource("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", labelled=True)
SERVICE_MONITORS = Resource("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors", labelled=True)
PROMETHEUS_RULES = Resource("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules", labelled=True)
JOBS = Resource("batch/v1", "Job", "jobs", labelled=True)
PODS = Resource("v1", "Pod", "pods", labelled=True)
SECRETS = Resource("v1", "Secret", "secrets")
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")
EVENTS = Resource("events.k8s.io/v1", "Event", "events")

POLICY_KINDS = (POLICIES, CLUSTER_POLICIES)
CHILDREN = (
    SERVICE_ACCOUNTS,
    CONFIG_MAPS,
    CLAIMS,
    DEPLOYMENTS,
    SERVICES,
    AUTOSCALERS,
    DISRUPTION_BUDGETS,
    INGRESSES,
    NETWORK_POLICIES,
)
OPTIONAL_CHILDREN = (HTTP_ROUTES, SERVICE_MONITORS, PROMETHEUS_RULES, JOBS)
"""Children of kinds that a cluster may lack, may get later and may lose again; they are listed, not watched."""
OWNED = (*CHILDREN, REPLICA_SETS, PODS)
"""Objects that carry the label of a proxy: what we write, and what Kubernetes makes of it."""
DISPENSABLE = {
    PODS: "pods: get, list, watch and patch, to say why pods do not start and which policy they enforce",
    REPLICA_SETS: "replicasets.apps: get, list and watch, to remove configuration that is no longer used",
    AUTOSCALERS: "horizontalpodautoscalers.autoscaling: all verbs of the role, for spec.autoscaling",
    DISRUPTION_BUDGETS: "poddisruptionbudgets.policy: all verbs of the role, for spec.podDisruptionBudget",
    INGRESSES: "ingresses.networking.k8s.io: all verbs of the role, for spec.ingress",
    NETWORK_POLICIES: "networkpolicies.networking.k8s.io: all verbs of the role, for spec.networkPolicy",
}
"""What the operator works without, only less well, and the rights that are missing then.

Without the policies or the namespaces it waits instead: a file without them would lack rules.
"""
KNOWN = {
    (resource.api_version, resource.kind): resource
    for resource in (PROXIES, *POLICY_KINDS, NAMESPACES, *OWNED, *OPTIONAL_CHILDREN, SECRETS, LEASES, EVENTS)
}


class Key(NamedTuple):
    """What the queue holds: one object of our own kinds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def watched(*, cluster_wide: bool) -> tuple[Resource, ...]:
    """What a running operator keeps in memory; cluster-scoped kinds need a cluster-wide installation."""
    if cluster_wide:
        return (NAMESPACES, PROXIES, *POLICY_KINDS, *OWNED)
    return (PROXIES, POLICIES, *OWNED)


def resource_of(ref: Ref) -> Resource:
    """The resource of an object.

    Raises:
        KeyError: the operator has nothing to do with that kind.
    """
    return KNOWN[ref.api_version, ref.kind]


def key_of(body: Mapping[str, Any]) -> Key:
    """The key of an object of our own kinds."""
    metadata = body["metadata"]
    return Key(body["kind"], metadata.get("namespace", ""), metadata["name"])


def owner_key(body: Mapping[str, Any]) -> Key | None:
    """The proxy that an object with our label belongs to."""
    metadata = body["metadata"]
    name = (metadata.get("labels") or {}).get(PROXY_LABEL)
    return Key(PROXIES.kind, metadata.get("namespace", ""), name) if name else None
