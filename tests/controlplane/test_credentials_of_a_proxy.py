"""What pods say of their credentials reaches the status, its condition and an Event; and Ready is not affected."""

from __future__ import annotations

from typing import Any

from athens_operator.resources import EVENTS
from support.fake_pods import running_pod
from support.kube_api import KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import proxy, proxy_ref

TOKEN = {"name": "git", "type": "token", "match": "git.example.com", "secretRef": {"name": "git-token"}}
REQUESTED_AT = "athensproxy.dev/requestedAt"


def until_judged(operator: OperatorProcess, api: KubeApi, namespace: str, status: str) -> Any:
    return until(
        lambda: (
            (found := api.get(proxy_ref(namespace)))
            and condition(found, "CredentialsReady").get("status") == status
            and found
        ),
        f"CredentialsReady={status}",
        context=operator.tail,
    )


def test_a_refused_credential_is_named_until_it_is_accepted(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    metadata = {"namespace": namespace, "name": "git-token"}
    api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": "p1anted"}})
    api.create(proxy(namespace, credentials=[TOKEN], rollout={"minReadySeconds": 0}))
    with running_pod(api, namespace) as pod:
        pod.credentials = [{"name": "git", "state": "Refused", "expires": None, "message": "git.example.com: 401"}]

        refused = until_judged(operator, api, namespace, "False")

        assert refused["status"]["credentials"] == [{"name": "git", "state": "Refused"}]
        assert condition(refused, "CredentialsReady")["reason"] == "CredentialRefused"
        assert "git.example.com: 401" in condition(refused, "CredentialsReady")["message"]
        until(
            lambda: condition(api.get(proxy_ref(namespace)), "Ready").get("status") == "True",
            "Ready all the same",
            context=operator.tail,
        )
        told = until(
            lambda: [body for body in api.list(EVENTS, namespace) if body["reason"] == "CredentialRefused"],
            "an Event",
            context=operator.tail,
        )
        assert told[0]["type"] == "Warning"

        pod.credentials = [{"name": "git", "state": "Valid", "expires": "2099-01-01T00:00:00Z"}]
        api.edit({**proxy(namespace), "metadata": {**metadata, "name": "go", "annotations": {REQUESTED_AT: "now"}}})
        accepted = until_judged(operator, api, namespace, "True")

        assert accepted["status"]["credentials"] == [
            {"name": "git", "state": "Valid", "expires": "2099-01-01T00:00:00Z"}
        ]
        assert "p1anted" not in operator.log.read_text()
