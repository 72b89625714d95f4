"""What the chart renders: the CRDs untouched, the fewest rights, and settings that the operator knows."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from athens_operator import settings
from manifests.check import VARIANTS, objects, problems_of
from manifests.derive import CHART, derived, helm, outdated, rendered
from support.tree import ROOT

SOURCES = sorted((ROOT / "crds").glob("*.yaml"))
NAMESPACED = ("rbac.scope=Namespaced", "rbac.userRoles=false", "crds.enabled=false", "watch.namespaces={team-a,team-b}")


@cache
def chart(*values: str) -> list[dict[str, Any]]:
    return [dict(manifest) for manifest in objects(rendered(*values))]


def of_kind(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def rules_on(manifests: list[dict[str, Any]], resource: str) -> list[dict[str, Any]]:
    roles = [*of_kind(manifests, "Role"), *of_kind(manifests, "ClusterRole")]
    return [rule for role in roles for rule in role["rules"] if resource in rule["resources"]]


def environment(manifests: list[dict[str, Any]]) -> dict[str, str | None]:
    (deployment,) = of_kind(manifests, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value") for entry in container["env"]}


def test_the_chart_carries_every_definition_byte_for_byte() -> None:
    copies = {path.name: path.read_bytes() for path in (CHART / "files/crds").iterdir()}

    assert copies == {path.name: path.read_bytes() for path in SOURCES}


def test_rendering_adds_to_a_definition_nothing_but_the_wish_to_keep_it() -> None:
    by_name = {manifest["metadata"]["name"]: manifest for manifest in of_kind(chart(), "CustomResourceDefinition")}
    kept = {name: manifest["metadata"].pop("annotations") for name, manifest in by_name.items()}

    assert by_name == {body["metadata"]["name"]: body for body in map(_loaded, SOURCES)}
    assert all(annotations == {"helm.sh/resource-policy": "keep"} for annotations in kept.values())


def test_definitions_can_be_left_to_somebody_else() -> None:
    assert of_kind(chart("crds.enabled=false"), "CustomResourceDefinition") == []


def test_the_plain_manifests_are_what_the_chart_renders() -> None:
    assert outdated(derived()) == []


@pytest.mark.parametrize("values", VARIANTS, ids=lambda values: ",".join(values) or "defaults")
def test_every_choice_renders_sound_objects(values: tuple[str, ...]) -> None:
    assert problems_of(list(chart(*values))) == []


def test_a_namespaced_install_has_no_right_outside_its_namespaces() -> None:
    manifests = chart(*NAMESPACED)

    assert of_kind(manifests, "ClusterRole") == of_kind(manifests, "ClusterRoleBinding") == []
    homes = {role["metadata"]["namespace"] for role in of_kind(manifests, "Role")}
    assert homes == {"team-a", "team-b", "athens-operator"}
    assert rules_on(manifests, "clusterdownloadpolicies") == []
    assert environment(manifests)["ATHENS_OPERATOR_WATCH_NAMESPACES"] == "team-a,team-b"


def test_a_namespaced_install_without_a_list_serves_its_own_namespace() -> None:
    assert environment(chart("rbac.scope=Namespaced"))["ATHENS_OPERATOR_WATCH_NAMESPACES"] == "athens-operator"


def test_without_secret_access_there_is_no_right_to_secrets() -> None:
    assert rules_on(chart("secretAccess=None"), "secrets") == []


def test_secrets_are_fetched_by_name_and_only_the_operators_own_is_written() -> None:
    everywhere = [role for role in of_kind(chart(), "ClusterRole") if role["metadata"]["name"] == "athens-operator"]
    at_home = rules_on(of_kind(chart(), "Role"), "secrets")

    assert [rule["verbs"] for rule in rules_on(everywhere, "secrets")] == [["get"]]
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in at_home] == [
        (["create"], None),
        (["get", "patch"], ["athens-operator-state"]),
    ]


def test_secrets_are_made_only_where_that_is_switched_on() -> None:
    switched_on = chart("features.generatedSecrets=true")
    everywhere = [role for role in of_kind(switched_on, "ClusterRole") if role["metadata"]["name"] == "athens-operator"]

    assert [rule["verbs"] for rule in rules_on(everywhere, "secrets")] == [["get"], ["create", "patch"]]
    assert environment(switched_on)["ATHENS_OPERATOR_FEATURES"] == "generatedSecrets"
    assert environment(chart())["ATHENS_OPERATOR_FEATURES"] == ""


def test_tenancy_reaches_the_operator() -> None:
    given = environment(chart("tenancy=Restricted", "tenants.images={a/b,c}", "tenants.loadBalancerNamespaces={edge}"))
    read = settings.Settings.from_env({name: value for name, value in given.items() if value is not None})

    assert (read.tenancy, read.allowed_images, read.load_balancer_namespaces) == ("Restricted", ("a/b", "c"), ("edge",))


def test_users_objects_are_read_and_only_their_status_is_written() -> None:
    operator = [role for role in of_kind(chart(), "ClusterRole") if role["metadata"]["name"] == "athens-operator"]

    for kind in ("athensproxies", "downloadpolicies", "clusterdownloadpolicies"):
        assert [rule["verbs"] for rule in rules_on(operator, kind)] == [["get", "list", "watch"]]
        assert [rule["verbs"] for rule in rules_on(operator, f"{kind}/status")] == [["get", "patch"]]


def test_every_setting_the_chart_writes_is_one_the_operator_knows() -> None:
    assert settings.__doc__ is not None
    known = set(re.findall(r"^\| `(ATHENS_OPERATOR_\w+)` \|", settings.__doc__, re.MULTILINE))

    assert set(environment(chart())) == known


def test_the_operator_accepts_what_the_chart_writes() -> None:
    given = {name: value for name, value in environment(chart()).items() if value is not None}

    assert settings.Settings.from_env(given).proxy_image == f"athens-operator/proxy:{settings.RELEASE}"


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("rbac.scope=Galaxy", "scope"),
        ("replica=2", "replica"),
        ("image.digest=latest", "digest"),
        ("readback=maybe", "readback"),
    ],
)
def test_a_wrong_value_is_refused_by_name(value: str, field: str) -> None:
    with pytest.raises(SystemExit, match=field):
        helm("template", "x", str(CHART), "--namespace", "y", "--kube-version", "1.36.2", "--set", value)


def test_the_checks_notice_a_wildcard_a_secret_list_and_a_writable_root() -> None:
    stream = rendered("rbac.userRoles=false", "crds.enabled=false")
    spoilt = stream.replace("verbs: [get]", "verbs: [list]").replace("resources: [pods]", "resources: ['*']")
    spoilt = spoilt.replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")

    found = "\n".join(problems_of(objects(spoilt)))

    for word in ("never listed", "instead of '*'", "can write its root"):
        assert word in found


def _loaded(path: Path) -> Any:
    return yaml.load(path.read_text(), yaml.CSafeLoader)
