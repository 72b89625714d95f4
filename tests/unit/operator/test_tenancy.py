"""Restricted tenancy: what a tenant may not have is named by field, and everything else stays allowed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from athens_operator.desired.inputs import Inputs
from athens_operator.desired.network_policy import network_policy
from athens_operator.settings import Settings, Tenancy
from athens_operator.status import status_of_invalid
from athens_operator.tenancy import tenancy_problem
from support.operator_values import INPUTS, proxy_value
from support.whole_spec import SPEC

RESTRICTED = Settings(
    proxy_image="registry.example.com:5000/athens/proxy:v1.0.0",
    tenancy=Tenancy.RESTRICTED,
    allowed_images=("registry.example.com/mine", "mirror.example.com/athens:v1.2.3"),
    load_balancer_namespaces=("edge",),
)
REFUSED: dict[str, dict[str, Any]] = {
    "spec.image": {"image": "evil.example.com/athens:v1"},
    "spec.extraEnvFrom": {"extraEnvFrom": [{"secretRef": {"name": "a"}}]},
    "spec.extraVolumes[host]": {"extraVolumes": [{"name": "host", "hostPath": {"path": "/"}}]},
    "spec.extraVolumes[token]": {"extraVolumes": [{"name": "token", "projected": {"sources": []}}]},
    "spec.serviceAccount": {"serviceAccount": {"create": False, "name": "admin"}},
    "spec.credentials[ssh].insecureIgnoreHostKey": {
        "credentials": [
            {
                "name": "ssh",
                "type": "ssh",
                "match": "git.example.com",
                "secretRef": {"name": "a"},
                "insecureIgnoreHostKey": True,
            }
        ]
    },
    "spec.service.type": {"service": {"type": "LoadBalancer"}},
}


@pytest.mark.parametrize("path", REFUSED)
def test_what_a_tenant_may_not_have_is_refused_with_its_field(path: str) -> None:
    found = tenancy_problem(proxy_value(REFUSED[path]), RESTRICTED)

    assert found is not None
    assert [problem.path for problem in found.problems] == [path]


def test_every_fault_is_named_at_once() -> None:
    found = tenancy_problem(proxy_value({**REFUSED["spec.image"], **REFUSED["spec.service.type"]}), RESTRICTED)

    assert found is not None
    assert [problem.path for problem in found.problems] == ["spec.image", "spec.service.type"]


def test_an_open_installation_refuses_nothing() -> None:
    spec = {key: value for part in REFUSED.values() for key, value in part.items()}

    assert tenancy_problem(proxy_value(spec), Settings()) is None


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"image": "registry.example.com:5000/athens/proxy@sha256:abc"},
        {"image": "registry.example.com/mine/athens:v2"},
        {"image": "mirror.example.com/athens:v1.2.3"},
        {"version": "v9.9.9"},
        {
            "extraVolumes": [
                {"name": kind, kind: {}} for kind in ("configMap", "secret", "emptyDir", "persistentVolumeClaim")
            ]
        },
        {"serviceAccount": {"annotations": {"cloud.example.com/role": "modules"}}},
    ],
)
def test_what_stays_within_bounds_is_allowed(spec: dict[str, Any]) -> None:
    assert tenancy_problem(proxy_value(spec), RESTRICTED) is None


@pytest.mark.parametrize("image", ["registry.example.com/mine-not", "mirror.example.com/athens:v1.2.30", "mine"])
def test_a_name_that_only_begins_like_an_allowed_image_is_refused(image: str) -> None:
    assert tenancy_problem(proxy_value({"image": image}), RESTRICTED) is not None


def test_a_tenant_gets_a_network_policy_unless_the_spec_says_otherwise() -> None:
    restricted = Inputs(default_image=INPUTS.default_image, restricted_tenancy=True)
    off = proxy_value({"networkPolicy": {"enabled": False}})

    assert network_policy(proxy_value(), restricted) is not None
    assert network_policy(proxy_value(), INPUTS) is None
    assert network_policy(off, restricted) is None


def test_the_status_names_the_fields_and_leaves_what_runs() -> None:
    proxy = proxy_value(REFUSED["spec.image"])
    found = tenancy_problem(proxy, RESTRICTED)
    assert found is not None
    status = status_of_invalid(proxy.identity, found, {}, datetime(2026, 1, 1, tzinfo=UTC))
    conditions = {entry["type"]: entry for entry in status["conditions"]}

    assert {name: conditions[name]["reason"] for name in ("Ready", "ConfigurationValid", "Stalled")} == dict.fromkeys(
        ("Ready", "ConfigurationValid", "Stalled"), "TenancyViolation"
    )
    assert conditions["Ready"]["message"].startswith("spec.image: this installation runs images of its allow-list")
    assert conditions["Ready"]["message"].endswith("nothing is changed before that")


def test_a_spec_with_every_field_is_refused_for_known_reasons_only() -> None:
    found = tenancy_problem(proxy_value(SPEC), RESTRICTED)

    assert found is not None
    assert {problem.path for problem in found.problems} == {
        "spec.extraEnvFrom",
        "spec.serviceAccount",
        "spec.service.type",
    }
