"""What the status says about stores, gateways, autoscalers and kinds that the cluster lacks."""

from __future__ import annotations

from typing import Any

import pytest

from athens_operator.desired.inputs import Inputs
from athens_operator.desired.optional import missing_apis
from athens_operator.events import of_new_spec
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import SecretReference
from athens_operator.status import status_of
from athens_operator.status_observed import MissingSecret
from support.observations import NOW, children, condition_of, judged, observed
from support.operator_values import INPUTS, proxy_value

EXTERNAL: dict[str, Any] = {"storage": {"type": "external", "external": {"url": "https://store.example.com"}}}
ROUTE: dict[str, Any] = {"httpRoute": {"parentRefs": [{"name": "edge"}]}}
GATEWAYS = Inputs(default_image=INPUTS.default_image, served=frozenset({"HTTPRoute"}))
REDIS = {"type": "redis", "redis": {"endpoint": "redis:6379"}}


def status(spec: dict[str, Any], **changes: Any) -> dict[str, Any]:
    proxy = proxy_value(spec)
    return status_of(proxy, observed(proxy, **changes), NOW)


def route(*verdicts: str) -> Manifest:
    conditions = [{"type": "Accepted", "status": each, "reason": "Why", "message": "because"} for each in verdicts]
    metadata = {"namespace": "team-a", "name": "go"}
    parents = [{"conditions": [entry]} for entry in conditions]
    kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    return {**kind, "metadata": metadata, "status": {"parents": parents}}


def test_a_store_behind_a_service_is_ready_once_a_pod_reached_it() -> None:
    assert judged(status(EXTERNAL), "StorageReady") == "True/Reachable"
    assert judged(status(EXTERNAL, pods=()), "StorageReady") == "-"


@pytest.mark.parametrize(
    ("served", "live", "verdict", "said"),
    [
        (INPUTS, [], "False/GatewayAPIMissing", "install it, or remove spec.httpRoute"),
        (GATEWAYS, [], "False/RouteNotAccepted", "no gateway has answered yet"),
        (GATEWAYS, [route()], "False/RouteNotAccepted", "no gateway has answered yet"),
        (GATEWAYS, [route("True", "False")], "False/RouteNotAccepted", "(Why: because)"),
        (GATEWAYS, [route("True", "True")], "True/Exposed", "HTTPRoute go is accepted"),
    ],
)
def test_a_route_is_ready_when_every_gateway_has_taken_it_up(
    served: Inputs, live: list[Manifest], verdict: str, said: str
) -> None:
    spec = {**EXTERNAL, **ROUTE}
    found = status(spec, live=[*children(proxy_value(spec)), *live], inputs=served)

    assert judged(found, "ExposureReady") == verdict
    assert said in condition_of(found, "ExposureReady")["message"]


def test_kinds_that_are_asked_for_and_missing_are_listed() -> None:
    proxy = proxy_value({**EXTERNAL, **ROUTE, "metrics": {"serviceMonitor": {"enabled": True}}})

    assert [text.partition(" ")[0] for text in missing_apis(proxy, INPUTS)] == ["HTTPRoute", "ServiceMonitor"]
    assert [text.partition(" ")[0] for text in missing_apis(proxy, GATEWAYS)] == ["ServiceMonitor"]
    assert missing_apis(proxy_value(EXTERNAL), INPUTS) == []


@pytest.mark.parametrize(
    ("spec", "verdict"),
    [
        ({}, "False/SingleReplica"),
        ({"replicas": 2}, "False/UnsharedSingleFlight"),
        ({"replicas": 2, "singleFlight": REDIS}, "True/Redundant"),
        ({"autoscaling": {"maxReplicas": 5}, "singleFlight": REDIS}, "True/Redundant"),
        ({"autoscaling": {"minReplicas": 1, "maxReplicas": 5}, "singleFlight": REDIS}, "False/SingleReplica"),
        ({"replicas": 2, "storage": {"type": "gcs", "gcs": {"bucket": "modules"}}}, "True/Redundant"),
    ],
)
def test_highly_available_needs_replicas_that_share_store_and_lock(spec: dict[str, Any], verdict: str) -> None:
    assert judged(status({**EXTERNAL, **spec}), "HighlyAvailable") == verdict


def test_pods_are_counted_against_what_the_autoscaler_wants() -> None:
    proxy = proxy_value({**EXTERNAL, "autoscaling": {"maxReplicas": 5}})
    live = children(proxy)
    deployment = next(child for child in live if child["kind"] == "Deployment")
    deployment["spec"]["replicas"] = 4

    assert status_of(proxy, observed(proxy, live=live), NOW)["policy"]["programmed"] == "1/4"


@pytest.mark.parametrize(
    ("spec", "internal", "external"),
    [
        ({"tls": {"secretRef": {"name": "c"}}}, "https://go.team-a.svc.cluster.local", None),
        (
            {"ingress": {"hosts": ["a.example.com", "b.example.com"], "tls": {}}, "server": {"pathPrefix": "/go"}},
            "http://go.team-a.svc.cluster.local/go",
            ["https://a.example.com/go", "https://b.example.com/go"],
        ),
    ],
)
def test_addresses_have_the_scheme_that_is_served(
    spec: dict[str, Any], internal: str, external: list[str] | None
) -> None:
    endpoints = status({**EXTERNAL, **spec})["endpoints"]

    assert (endpoints["internal"], endpoints.get("external")) == (internal, external)


@pytest.mark.parametrize(
    ("spec", "warned"),
    [
        ({}, True),
        ({"ingress": {"hosts": ["a.example.com"]}}, True),
        ({"ingress": {"hosts": ["a.example.com"], "tls": {}}}, False),
        ({"tls": {"secretRef": {"name": "c"}}}, False),
        (ROUTE, False),
    ],
)
def test_a_login_that_go_would_not_send_is_warned_about(spec: dict[str, Any], warned: bool) -> None:
    proxy = proxy_value({"auth": {"basic": {"secretRef": {"name": "users"}}}, **spec})

    assert [told.reason for told in of_new_spec(proxy)] == (["AuthWithoutTLS"] if warned else [])


def test_a_missing_config_map_is_called_one() -> None:
    spec = {**EXTERNAL, "trustedCA": [{"configMapRef": {"name": "ca"}}], "extraEnvFrom": [{"secretRef": {"name": "x"}}]}
    missing = [
        MissingSecret(SecretReference("spec.trustedCA[0].configMapRef", "ca", ("ca.crt",), kind="ConfigMap")),
        MissingSecret(SecretReference("spec.extraEnvFrom[0].secretRef", "x", ())),
    ]

    found = status(spec, missing_secrets=tuple(missing))

    assert condition_of(found, "SecretsResolved")["message"] == (
        "ConfigMap ca does not exist in namespace team-a; create it with the keys ca.crt, or correct "
        "spec.trustedCA[0].configMapRef; Secret x does not exist in namespace team-a; create it, or correct "
        "spec.extraEnvFrom[0].secretRef"
    )
