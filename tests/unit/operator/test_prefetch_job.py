"""The Job of `spec.prefetch`: one for each thing to do, a client like any other, and never changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from athens_operator.desired import desired_objects
from athens_operator.desired.inputs import Inputs
from athens_operator.desired.optional import missing_apis
from athens_operator.manifests import Manifest
from athens_operator.propagation import pods_of
from support.operator_values import INPUTS, proxy_value

WITH_JOBS = replace(INPUTS, served=frozenset({"Job"}))
MODULES: dict[str, Any] = {"prefetch": {"modules": ["example.com/x@v1.0.0"]}}


def children(spec: dict[str, Any], inputs: Inputs = WITH_JOBS, *, start_pods: bool = True) -> dict[str, Manifest]:
    made = desired_objects(proxy_value(spec), 'mode = "sync"\n', inputs, start_pods=start_pods)
    return {
        f"{child['kind']} {child['metadata']['name']}": child for child in made if "-pf-" in child["metadata"]["name"]
    }


def job(spec: dict[str, Any], inputs: Inputs = WITH_JOBS) -> Manifest:
    return next(child for name, child in children(spec, inputs).items() if name.startswith("Job "))


def test_what_a_job_runs_names_it_since_a_job_cannot_change() -> None:
    other_image = replace(WITH_JOBS, default_image="registry.example.com/athens/proxy:v0.2.0")
    specs: list[tuple[dict[str, Any], Inputs]] = [
        (MODULES, WITH_JOBS),
        (MODULES, other_image),
        ({"prefetch": {"modules": ["example.com/x@v1.0.1"]}}, WITH_JOBS),
        ({"prefetch": {"goSumConfigMapRef": {"name": "build"}}}, WITH_JOBS),
        ({**MODULES, "trustedCA": [{"configMapRef": {"name": "ca"}}]}, WITH_JOBS),
    ]

    assert len({job(spec, inputs)["metadata"]["name"] for spec, inputs in specs}) == len(specs)


@pytest.mark.parametrize(
    "unrelated",
    [{"replicas": 0}, {"workers": {"fetch": 3}}, {"inheritedMetadata": {"labels": {"a": "b"}}}, {"suspend": True}],
)
def test_an_edit_of_something_else_leaves_the_job_as_it_is(unrelated: dict[str, Any]) -> None:
    assert job({**MODULES, **unrelated})["metadata"]["name"] == job(MODULES)["metadata"]["name"]
    assert job({**MODULES, **unrelated})["spec"] == job(MODULES)["spec"]


def test_the_job_waits_with_the_pods() -> None:
    """While a Secret is missing, or another proxy has the store, there is nobody to ask."""
    assert [name.partition(" ")[0] for name in children(MODULES, start_pods=False)] == ["ConfigMap"]


def test_without_the_kind_nothing_is_made_and_the_status_says_so() -> None:
    assert children(MODULES, INPUTS) == {}
    assert missing_apis(proxy_value(MODULES), INPUTS) == [
        "Job (batch/v1): the cluster does not serve it, or the operator may not list it"
    ]


def test_the_job_shows_the_login_and_trusts_the_authorities_of_the_proxy() -> None:
    spec = {
        **MODULES,
        "tls": {"secretRef": {"name": "certificate"}},
        "auth": {"basic": {"secretRef": {"name": "users", "passwordKey": "pw"}}},
        "trustedCA": [{"configMapRef": {"name": "ca"}}],
        "server": {"pathPrefix": "/go"},
    }
    pod = job(spec)["spec"]["template"]["spec"]
    container = pod["containers"][0]
    variables = {entry["name"]: entry.get("value") or entry["valueFrom"] for entry in container["env"]}

    assert "https://go.team-a.svc.cluster.local/go" in container["args"]
    assert variables["BASIC_AUTH_PASS"] == {"secretKeyRef": {"name": "users", "key": "pw"}}
    assert variables["SSL_CERT_FILE"] == "/run/ca/bundle.pem"
    assert [first["name"] for first in pod["initContainers"]] == ["ca-bundle"]


def test_no_secret_of_the_proxy_but_the_login_reaches_the_job() -> None:
    spec = {
        **MODULES,
        "storage": {
            "type": "s3",
            "s3": {"bucket": "modules", "region": "eu", "credentialsSecretRef": {"name": "bucket-keys"}},
        },
        "credentials": [
            {"name": "git", "type": "token", "match": "git.example.com", "secretRef": {"name": "git-token"}}
        ],
    }

    assert "bucket-keys" not in str(job(spec))
    assert "git-token" not in str(job(spec))


def test_pods_of_the_job_are_no_pods_of_the_proxy() -> None:
    """They count neither as ready nor as lagging, and the Service sends them nothing."""
    made = desired_objects(proxy_value(MODULES), "", WITH_JOBS)
    service = next(child for child in made if child["kind"] == "Service")
    labels = job(MODULES)["spec"]["template"]["metadata"]["labels"]
    pod = {"kind": "Pod", "metadata": {"name": "go-pf-1", "labels": labels}, "status": {"phase": "Running"}}

    assert pods_of([pod]) == ()
    assert not service["spec"]["selector"].items() <= labels.items()
