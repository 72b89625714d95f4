"""Whose Secrets are read: those that are named, however full the cluster is, and none where that is switched off."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.api_front import ApiFront, Asked
from support.controlplane import ControlPlane
from support.installation import OPERATOR_NAMESPACE, kubeconfig_for
from support.kube_api import KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deployment_ref, proxy, proxy_ref

FULL = bool(os.environ.get("ATHENS_TEST_FULL"))
SECRETS, NAMESPACES = (5_000, 500) if FULL else (60, 6)
SECRET_BYTES = 20_000
GROWTH_BYTES = 24 * 1024 * 1024
ONE_SECRET = re.compile(r"/api/v1/namespaces/[^/]+/secrets/[^/]+")  # proxies that earlier tests left have theirs


@pytest.fixture
def asked() -> list[Asked]:
    """Every request that the operator made."""
    return []


@pytest.fixture
def secret_access() -> str:
    """How the operator is installed."""
    return "Get"


@pytest.fixture
def observed(
    plane: ControlPlane, api: KubeApi, shipped_role: Path, tmp_path: Path, asked: list[Asked], secret_access: str
) -> Iterator[OperatorProcess]:
    """An operator whose every request is written down."""
    assert shipped_role.exists()

    def note(request: Asked) -> None:
        asked.append(request)

    with ApiFront(plane.url, plane.ca) as front:
        front.fault = note
        kubeconfig = kubeconfig_for(plane, api, tmp_path / "kubeconfig", server=front.url)
        settings = {"NAMESPACE": OPERATOR_NAMESPACE, "POD_NAME": "observed", "SECRET_ACCESS": secret_access}
        process = OperatorProcess(kubeconfig, tmp_path / "log", **settings)
        try:
            yield process
        finally:
            process.stop()


def settled_bytes(operator: OperatorProcess) -> int:
    """What a fresh operator has in use once it has taken up all that earlier tests left in the cluster."""
    operator.start(own_image=True).until_leading(within_s=60)
    until(lambda: operator.metric("queue_depth") == 0, "every proxy is looked at", context=operator.tail)
    return operator.resident_bytes()


def test_no_unrelated_secret_is_read_and_memory_does_not_grow_with_them(
    observed: OperatorProcess, api: KubeApi, namespace: str, asked: list[Asked]
) -> None:
    alone = settled_bytes(observed)
    observed.stop()
    asked.clear()
    crowd = [f"{namespace}-{number}" for number in range(NAMESPACES)]
    for name in crowd:
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for number in range(SECRETS):
        metadata = {"namespace": [namespace, *crowd][number % (NAMESPACES + 1)], "name": f"unrelated-{number}"}
        text = "x" * SECRET_BYTES
        api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"text": text}})
    login = {"namespace": namespace, "name": "login"}
    words = {"username": "ada", "password": "lovelace"}
    api.create({"apiVersion": "v1", "kind": "Secret", "metadata": login, "stringData": words})
    api.create(proxy(namespace, auth={"basic": {"secretRef": {"name": "login"}}}))
    crowded = settled_bytes(observed)
    until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=observed.tail)

    paths = {(request.verb, request.path) for request in asked if request.plural == "secrets"}
    print(f"{SECRETS} Secrets, {NAMESPACES} namespaces: {crowded / 2**20:.0f} MiB, without {alone / 2**20:.0f}")
    read = f"/api/v1/namespaces/{namespace}/secrets/login"
    state = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets/athens-operator-state"
    assert ("GET", read) in paths
    here = tuple(f"/api/v1/namespaces/{name}/" for name in (namespace, *crowd, OPERATOR_NAMESPACE))
    elsewhere = {path for _, path in paths if ONE_SECRET.fullmatch(path) and not path.startswith(here)}
    assert {path for _, path in paths} - elsewhere <= {read, state, state.rpartition("/")[0]}
    assert ("GET", state.rpartition("/")[0]) not in paths
    assert crowded - alone < GROWTH_BYTES


CREDENTIALS: dict[str, dict[str, Any]] = {
    "netrc": {},
    "token": {"match": "git.example.com"},
    "ssh": {"match": "ssh.example.com", "knownHosts": {"inline": "ssh.example.com ssh-ed25519 AAAA"}},
    "githubApp": {"match": "github.com/example", "appID": 1, "installationID": 2},
}


@pytest.mark.parametrize("secret_access", ["None"])
def test_where_secrets_may_not_be_read_every_kind_of_credential_still_reaches_the_pods(
    observed: OperatorProcess, api: KubeApi, namespace: str, asked: list[Asked], secret_access: str
) -> None:
    """None of the Secrets exists; the kubelet would say so, the operator does not look."""
    entries = [
        {"name": kind.lower(), "type": kind, "secretRef": {"name": f"of-{kind.lower()}"}, **more}
        for kind, more in CREDENTIALS.items()
    ]
    api.create(proxy(namespace, credentials=entries, auth={"basic": {"secretRef": {"name": "login"}}}))
    observed.start().until_leading(within_s=60)
    deployment = until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=observed.tail)
    resolved = until(
        lambda: condition(api.get(proxy_ref(namespace)), "SecretsResolved"), "the status tells", context=observed.tail
    )

    pod = json.dumps(deployment["spec"]["template"]["spec"])
    assert [entry["secretRef"]["name"] for entry in entries if f'"{entry["secretRef"]["name"]}"' not in pod] == []
    assert (resolved["status"], resolved["reason"]) == ("Unknown", "SecretAccessDisabled")
    assert [request.path for request in asked if request.plural == "secrets"] == []
