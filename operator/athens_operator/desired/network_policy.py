"""The NetworkPolicy of the pods: who may reach them, and where they may go."""

from __future__ import annotations

from collections.abc import Sequence

from athens_operator.desired.configuration import PORT
from athens_operator.desired.inputs import Inputs
from athens_operator.desired.names import COMPONENT_LABEL, metadata, selector
from athens_operator.desired.prefetch import COMPONENT
from athens_operator.manifests import PROXY_LABEL, Manifest
from athens_operator.spec.proxy import AthensProxy

NAMESPACE_NAME = "kubernetes.io/metadata.name"
OPERATOR_LABELS = {"app.kubernetes.io/name": "athens-operator", "app.kubernetes.io/component": "operator"}
DNS_PORTS = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]


def network_policy(proxy: AthensProxy, inputs: Inputs) -> Manifest | None:
    """The policy, or None where none is wanted; the operator is always admitted, since it asks the pods."""
    wanted = proxy.spec.network_policy
    if not (inputs.restricted_tenancy if wanted.enabled is None else wanted.enabled):
        return None
    clients = [{"podSelector": {}}] if wanted.allow_from is None else [dict(peer) for peer in wanted.allow_from]
    job = [_prefetch(proxy)] if proxy.spec.prefetch and wanted.allow_from is not None else []
    peers = [*clients, *map(dict, wanted.allow_metrics_from), *job, *_operator(inputs)]
    restricted = wanted.egress == "Restricted"
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(proxy, inputs, name=proxy.name),
        "spec": {
            "podSelector": {"matchLabels": selector(proxy)},
            "policyTypes": ["Ingress", "Egress"] if restricted else ["Ingress"],
            "ingress": [{"from": peers, "ports": [{"protocol": "TCP", "port": PORT}]}] if peers else [],
            **({"egress": _egress([dict(peer) for peer in wanted.egress_to])} if restricted else {}),
        },
    }


def _prefetch(proxy: AthensProxy) -> Manifest:
    """The pods of the Job that is a client like any other."""
    return {"podSelector": {"matchLabels": {PROXY_LABEL: proxy.name, COMPONENT_LABEL: COMPONENT}}}


def _operator(inputs: Inputs) -> list[Manifest]:
    if not inputs.operator_namespace:
        return []
    where = {"matchLabels": {NAMESPACE_NAME: inputs.operator_namespace}}
    return [{"namespaceSelector": where, "podSelector": {"matchLabels": OPERATOR_LABELS}}]


def _egress(peers: Sequence[Manifest]) -> list[Manifest]:
    """Names may always be asked for; an empty list of peers would mean everybody, so it is left out."""
    return [{"ports": DNS_PORTS}, *([{"to": list(peers)}] if peers else [])]
