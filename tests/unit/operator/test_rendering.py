"""Rules of rendering that a golden file shows but does not explain."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_operator.desired import desired_objects, toml
from athens_operator.desired.configuration import BUNDLE_FILE
from athens_operator.desired.container import JOIN, SYSTEM_BUNDLE
from athens_operator.desired.image import image_of, version_of
from athens_operator.desired.inputs import Inputs
from athens_operator.desired.names import service_url
from athens_operator.manifests import Manifest
from athens_operator.spec import AthensProxy
from support.operator_values import INPUTS, MEMORY, UID, proxy_value

RWX = {"type": "disk", "disk": {"persistentVolumeClaim": {"size": "1Gi", "accessModes": ["ReadWriteMany"]}}}
EXISTING = {"type": "disk", "disk": {"existingClaim": "theirs"}}


def rendered(proxy: AthensProxy, text: str | None = "mode", inputs: Inputs = INPUTS) -> dict[str, Manifest]:
    """Children by kind; of the ConfigMaps the config one."""
    return {child["kind"]: child for child in reversed(desired_objects(proxy, text, inputs))}


def pod(proxy: AthensProxy, inputs: Inputs = INPUTS) -> Manifest:
    template: Manifest = rendered(proxy, inputs=inputs)["Deployment"]["spec"]["template"]
    return template


def test_children_come_in_the_order_in_which_pods_need_them() -> None:
    kinds = [child["kind"] for child in desired_objects(proxy_value(), "mode", INPUTS)]

    assert kinds == ["ServiceAccount", "ConfigMap", "ConfigMap", "PersistentVolumeClaim", "Deployment", "Service"]


def test_no_pod_starts_without_a_policy_or_while_something_is_missing() -> None:
    assert "Deployment" not in rendered(proxy_value(), text=None)
    assert "Deployment" not in {
        child["kind"] for child in desired_objects(proxy_value(), "x", INPUTS, start_pods=False)
    }


def test_a_policy_edit_changes_one_config_map_and_nothing_else() -> None:
    before, after = (desired_objects(proxy_value(), text, INPUTS) for text in ("one", "two"))

    changed = [old["metadata"]["name"] for old, new in zip(before, after, strict=True) if old != new]

    assert changed == ["go-policy"]


def test_a_configuration_change_names_a_new_config_map_and_rolls_the_pods() -> None:
    before, after = proxy_value(), proxy_value({"workers": {"fetch": 3}})

    assert rendered(before)["ConfigMap"]["metadata"]["name"] != rendered(after)["ConfigMap"]["metadata"]["name"]
    assert pod(before)["metadata"]["annotations"] != pod(after)["metadata"]["annotations"]


def test_two_renderings_share_no_part_that_could_be_edited() -> None:
    first = desired_objects(proxy_value(), "x", INPUTS)
    text = json.dumps(desired_objects(proxy_value(), "x", INPUTS))
    for child in first:
        child["metadata"]["labels"]["app.kubernetes.io/name"] = "spoilt"

    assert json.dumps(desired_objects(proxy_value(), "x", INPUTS)) == text
    assert first[0]["metadata"]["labels"] is not first[1]["metadata"]["labels"]


def test_all_children_but_a_retained_claim_are_owned() -> None:
    owners = {
        child["kind"]: [owner["uid"] for owner in child["metadata"].get("ownerReferences", ())]
        for child in desired_objects(proxy_value(), "x", INPUTS)
    }

    assert owners.pop("PersistentVolumeClaim") == []
    assert set(map(tuple, owners.values())) == {(UID,)}


def test_the_claim_is_owned_when_its_deletion_is_wanted() -> None:
    proxy = proxy_value({"deletionPolicy": {"storage": "Delete"}})

    assert rendered(proxy)["PersistentVolumeClaim"]["metadata"]["ownerReferences"][0]["uid"] == UID


@pytest.mark.parametrize(
    ("storage", "modes", "strategy", "expected"),
    [
        (None, None, "Auto", "Recreate"),
        (RWX, None, "Auto", "RollingUpdate"),
        (MEMORY, None, "Auto", "RollingUpdate"),
        ({"type": "disk", "disk": {"ephemeral": {}}}, None, "Auto", "RollingUpdate"),
        (EXISTING, None, "Auto", "Recreate"),
        (EXISTING, ("ReadWriteOnce",), "Auto", "Recreate"),
        (EXISTING, ("ReadWriteOnce", "ReadWriteMany"), "Auto", "RollingUpdate"),
        (None, None, "RollingUpdate", "RollingUpdate"),
        (RWX, None, "Recreate", "Recreate"),
    ],
)
def test_pods_are_recreated_only_where_one_node_can_mount_the_claim(
    storage: dict[str, Any] | None, modes: tuple[str, ...] | None, strategy: str, expected: str
) -> None:
    proxy = proxy_value({**({"storage": storage} if storage else {}), "rollout": {"strategy": strategy}})
    inputs = Inputs(default_image="x:1", claim_access_modes=modes)

    assert rendered(proxy, inputs=inputs)["Deployment"]["spec"]["strategy"]["type"] == expected


def test_a_rolling_update_on_a_claim_for_one_node_stays_on_that_node() -> None:
    rolling = proxy_value({"rollout": {"strategy": "RollingUpdate"}})

    assert "podAffinity" in pod(rolling)["spec"]["affinity"]
    assert "affinity" not in pod(proxy_value())["spec"]
    assert "affinity" not in pod(proxy_value({"storage": RWX}))["spec"]


def test_our_labels_and_environment_beat_those_of_the_user() -> None:
    proxy = proxy_value(
        {
            "podMetadata": {
                "labels": {"athensproxy.dev/proxy": "other"},
                "annotations": {"athensproxy.dev/config-hash": "x"},
            }
        }
    )

    assert pod(proxy)["metadata"]["labels"]["athensproxy.dev/proxy"] == "go"
    assert pod(proxy)["metadata"]["annotations"]["athensproxy.dev/config-hash"].startswith("sha256:")


def test_pods_meet_the_restricted_profile_and_get_no_service_links() -> None:
    spec = pod(proxy_value())["spec"]
    container = spec["containers"][0]

    assert (spec["enableServiceLinks"], spec["automountServiceAccountToken"]) == (False, False)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_volumes_are_never_mounted_by_sub_path_so_that_they_stay_live() -> None:
    assert all("subPath" not in mount for mount in pod(proxy_value())["spec"]["containers"][0]["volumeMounts"])


@pytest.mark.parametrize(
    ("spec", "default", "image", "version"),
    [
        ({}, "reg.example.com:5000/a/proxy:v0.1.0", "reg.example.com:5000/a/proxy:v0.1.0", "v0.1.0"),
        ({}, "proxy:0.1.0", "proxy:0.1.0", "v0.1.0"),
        ({"version": "v0.3.0"}, "reg.example.com:5000/a/proxy:v0.1.0", "reg.example.com:5000/a/proxy:v0.3.0", "v0.3.0"),
        ({"version": "v0.3.0"}, "proxy:0.1.0", "proxy:0.3.0", "v0.3.0"),
        ({"version": "v0.3.0"}, "reg.example.com:5000/proxy", "reg.example.com:5000/proxy:v0.3.0", "v0.3.0"),
        ({"version": "v0.3.0"}, "proxy:v1@sha256:ab", "proxy:v0.3.0", "v0.3.0"),
        ({"image": "mine:edge"}, "proxy:v0.1.0", "mine:edge", "edge"),
        ({"image": "mine@sha256:ab"}, "proxy:v0.1.0", "mine@sha256:ab", ""),
    ],
)
def test_the_image_follows_image_then_version_then_the_default(
    spec: dict[str, Any], default: str, image: str, version: str
) -> None:
    inputs = Inputs(default_image=default)

    assert image_of(proxy_value(spec), inputs) == image
    assert version_of(proxy_value(spec), inputs) == version


def test_a_version_that_is_no_label_value_is_left_out_of_the_labels() -> None:
    proxy = proxy_value({"image": "mine@sha256:ab"})

    assert "app.kubernetes.io/version" not in rendered(proxy)["Service"]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("spec", "url"),
    [
        ({}, "http://go.team-a.svc.cluster.local"),
        ({"service": {"name": "athens", "port": 8080}}, "http://athens.team-a.svc.cluster.local:8080"),
        ({"tls": {"secretRef": {"name": "c"}}}, "https://go.team-a.svc.cluster.local"),
        (
            {"tls": {"secretRef": {"name": "c"}}, "service": {"port": 80}},
            "https://go.team-a.svc.cluster.local:80",
        ),
        ({"server": {"pathPrefix": "/go"}}, "http://go.team-a.svc.cluster.local/go"),
    ],
)
def test_the_address_in_the_cluster(spec: dict[str, Any], url: str) -> None:
    assert service_url(proxy_value(spec), INPUTS) == url


def test_trusted_certificates_become_one_bundle_whose_parts_end_with_a_line(tmp_path: Path) -> None:
    for name, text in {"system": "system\n", "0/ca.crt": "no line break", "1/ca.crt": "second\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    proxy = proxy_value({"trustedCA": [{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "b"}}]})
    joining = pod(proxy)["spec"]["initContainers"][0]
    script = joining["command"][2]
    for path, here in {SYSTEM_BUNDLE: "system", "/etc/athens/ca": "", "/run/ca/bundle.pem": "bundle"}.items():
        script = script.replace(path, str(tmp_path / here))

    subprocess.run([*joining["command"][:2], script], check=True)

    assert (tmp_path / "bundle").read_text() == "system\n\nno line break\nsecond\n\n"
    assert [mount["mountPath"] for mount in joining["volumeMounts"]] == [
        "/etc/athens/ca/0",
        "/etc/athens/ca/1",
        "/run/ca",
    ]


def test_a_certificate_that_cannot_be_read_keeps_the_pod_from_starting(tmp_path: Path) -> None:
    script = JOIN.replace(SYSTEM_BUNDLE, str(tmp_path / "absent")).replace(BUNDLE_FILE, str(tmp_path / "bundle"))

    assert subprocess.run(["sh", "-c", script], check=False, capture_output=True).returncode != 0


def test_users_affinity_stays_beside_ours() -> None:
    theirs = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "rack"}]}}
    proxy = proxy_value({"rollout": {"strategy": "RollingUpdate"}, "scheduling": {"affinity": theirs}})

    affinity = pod(proxy)["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]

    assert [term["topologyKey"] for term in affinity] == ["rack", "kubernetes.io/hostname"]


def test_platforms_that_assign_ids_are_given_none() -> None:
    context = pod(proxy_value({"security": {"profile": "PlatformAssigned"}}))["spec"]["securityContext"]

    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


@pytest.mark.parametrize(
    ("spec", "bound"),
    [
        ({}, None),
        ({"replicas": 2}, {"maxUnavailable": 1}),
        ({"replicas": 2, "podDisruptionBudget": {"minAvailable": "50%"}}, {"minAvailable": "50%"}),
        ({"replicas": 2, "podDisruptionBudget": {"maxUnavailable": 0}}, {"maxUnavailable": 0}),
        ({"replicas": 2, "podDisruptionBudget": {"disabled": True}}, None),
        ({"autoscaling": {"minReplicas": 1, "maxReplicas": 2}}, {"maxUnavailable": 1}),
        ({"autoscaling": {"maxReplicas": 1}}, None),
    ],
)
def test_a_single_pod_never_blocks_a_drain(spec: dict[str, Any], bound: dict[str, Any] | None) -> None:
    budget = rendered(proxy_value({"storage": RWX, **spec})).get("PodDisruptionBudget")

    found = {key: budget["spec"][key] for key in budget["spec"] if key.startswith(("min", "max"))} if budget else None
    assert found == bound


@pytest.mark.parametrize(
    ("spec", "peers"),
    [
        ({}, ["podSelector", "namespaceSelector"]),
        ({"allowFrom": []}, ["namespaceSelector"]),
        ({"allowFrom": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}, ["ipBlock", "namespaceSelector"]),
    ],
)
def test_a_network_policy_always_admits_the_operator(spec: dict[str, Any], peers: list[str]) -> None:
    inputs = Inputs(default_image="x:1", operator_namespace="athens-operator")
    fence = rendered(proxy_value({"networkPolicy": {"enabled": True, **spec}}), inputs=inputs)["NetworkPolicy"]

    assert [next(iter(peer)) for peer in fence["spec"]["ingress"][0]["from"]] == peers
    assert "egress" not in fence["spec"]


def test_restricted_egress_without_peers_is_names_only() -> None:
    spec = {"networkPolicy": {"enabled": True, "egress": "Restricted"}}

    assert [sorted(rule) for rule in rendered(proxy_value(spec))["NetworkPolicy"]["spec"]["egress"]] == [["ports"]]


values = st.recursive(
    st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.lists(st.text()),
    lambda children: st.dictionaries(st.from_regex(r"[A-Za-z0-9_-]+", fullmatch=True), children, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9_-]+", fullmatch=True), values, max_size=6))
def test_written_toml_reads_back_as_it_was(table: dict[str, Any]) -> None:
    assert without_empty_tables(tomllib.loads(toml.dumps(table))) == without_empty_tables(table)


def without_empty_tables(table: dict[str, Any]) -> dict[str, Any]:
    """An empty table says nothing and is not written."""
    cleaned = {key: without_empty_tables(entry) if isinstance(entry, dict) else entry for key, entry in table.items()}
    return {key: entry for key, entry in cleaned.items() if entry != {}}
