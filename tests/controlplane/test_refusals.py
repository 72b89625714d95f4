"""Custom resources that cannot work are refused by the API server, naming the field and the fix."""

from __future__ import annotations

from typing import Any

import pytest

from athens_operator.manifests import Manifest
from support.kube_api import KubeApi, Refused
from support.proxies import deny, policy, proxy

DISK: dict[str, Any] = {"persistentVolumeClaim": {"size": "1Gi"}}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "an unknown storage type": (
        {"storage": {"type": "floppy"}},
        "spec.storage.type",
        'Unsupported value: "floppy": supported values: "disk", "memory", "s3", "minio", "gcs", '
        '"azureBlob", "mongo", "external"',
    ),
    "two storage members": (
        {"storage": {"type": "disk", "disk": DISK, "memory": {}}},
        "spec.storage.memory",
        "set storage.memory exactly when storage.type is memory; remove the members of other types",
    ),
    "a type without its member": (
        {"storage": {"type": "disk"}},
        "spec.storage.disk",
        "set storage.disk exactly when storage.type is disk; remove the members of other types",
    ),
    "two kinds of disk": (
        {"storage": {"type": "disk", "disk": {**DISK, "ephemeral": {}}}},
        "spec.storage.disk",
        "set exactly one of ephemeral, existingClaim and persistentVolumeClaim",
    ),
    "a pattern with quotes": (
        {"download": {"rules": [deny('example.com/"x"')]}},
        "spec.download.rules[0].patterns[0]",
        "a pattern consists of letters, digits and . _ ~ - / with the wildcards * ? and [ ]; "
        "remove quotes, spaces and other characters",
    ),
    "a pattern with an empty element": (
        {"download": {"rules": [deny("example.com//x")]}},
        "spec.download.rules[0].patterns[0]",
        "//",
    ),
    "a rule that redirects nowhere": (
        {"download": {"rules": [{"name": "away", "patterns": ["*"], "mode": "redirect"}]}},
        "spec.download.rules",
        "a rule redirects without a URL; set downloadURL on the rule or beside the rules",
    ),
    "a default that redirects nowhere": (
        {"download": {"defaultMode": "redirect"}},
        "spec.download.downloadURL",
        "the default mode redirects; set downloadURL to the proxy that clients are sent to",
    ),
    "replicas that share no store": (
        {"replicas": 2},
        "spec.replicas",
        "memory storage is not shared between pods; use one replica, or disk storage with ReadWriteMany",
    ),
    "a reserved variable": (
        {"extraEnv": [{"name": "HOME", "value": "/"}]},
        "spec.extraEnv[0].name",
        "this variable is set by the operator; use the field of that setting instead",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_proxy_that_cannot_work_is_refused_with_field_and_fix(api: KubeApi, namespace: str, case: str) -> None:
    spec, path, message = REFUSED[case]

    with pytest.raises(Refused) as caught:
        api.create(proxy(namespace, **spec))

    assert caught.value.status == 422
    assert f"{path}: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["9go", "x" * 51, "a.b"])
def test_a_name_that_cannot_become_a_service_is_refused(api: KubeApi, namespace: str, name: str) -> None:
    with pytest.raises(Refused, match=r"metadata\.name becomes a Service name"):
        api.create(proxy(namespace, name))


@pytest.mark.parametrize(
    ("broken", "path"),
    [
        (policy("", "p", deny('a"b')), "spec.rules[0].patterns[0]"),
        (policy("", "p", deny("a//b")), "spec.rules[0].patterns[0]"),
        (policy("", "p", {"name": "away", "patterns": ["*"], "mode": "redirect"}), "spec.rules"),
        (policy("", "p", deny("a", name="x"), deny("b", name="x")), "spec.rules"),
    ],
    ids=["quotes", "empty element", "no url", "same name"],
)
def test_a_policy_that_cannot_work_is_refused_with_its_field(
    api: KubeApi, namespace: str, broken: Manifest, path: str
) -> None:
    manifest = {**broken, "metadata": {**broken["metadata"], "namespace": namespace}}

    with pytest.raises(Refused) as caught:
        api.create(manifest)

    assert f"{path}: " in str(caught.value)


@pytest.mark.parametrize("text", ["x" * 1_000_000, "${HOME}", "%{ if }", "line\nbreak", "ünïcode\u0000"])
def test_hostile_text_in_a_reason_is_refused(api: KubeApi, namespace: str, text: str) -> None:
    with pytest.raises(Refused) as caught:
        api.create(policy(namespace, "p", deny("example.com/x", reason=text)))

    assert "spec.rules[0].reason" in str(caught.value)
