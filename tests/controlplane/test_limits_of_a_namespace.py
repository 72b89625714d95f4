"""What a namespace does not allow is said with its own reason, and ends when the namespace or the spec changes."""

from __future__ import annotations

from typing import Any

from athens_operator.manifests import Manifest
from athens_operator.resources import PROXIES
from support.fake_pods import running_pod
from support.kube_api import KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import proxy, proxy_ref


def until_unavailable(api: KubeApi, namespace: str, reason: str) -> str:
    found: dict[str, Any] = until(
        lambda: (
            held if (held := condition(api.get(proxy_ref(namespace)), "Available")).get("reason") == reason else None
        ),
        f"Available has the reason {reason}",
        context=lambda: (api.get(proxy_ref(namespace)) or {}).get("status"),
    )
    return str(found["message"])


def test_a_quota_that_is_used_up_is_named(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
    quota: Manifest = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
    api.call("POST", quotas, {**quota, "spec": {"hard": {"pods": "0"}}})
    until(lambda: api.call("GET", f"{quotas}/few").get("status", {}).get("hard"), "the quota counts")
    api.create(proxy(namespace))

    said = until_unavailable(api, namespace, "QuotaExceeded")

    assert "exceeded quota: few" in said
    assert "raise the quota" in said


def test_pod_security_that_refuses_a_pod_is_named_and_a_corrected_spec_is_enough(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    host = [{"name": "host", "hostPath": {"path": "/"}}]
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.edit({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    api.create(proxy(namespace, extraVolumes=host, rollout={"minReadySeconds": 0}))

    said = until_unavailable(api, namespace, "PodSecurityDenied")
    where = {"namespace": namespace, "name": "go"}
    none: dict[str, Any] = {"spec": {"extraVolumes": None}}
    api.edit({"apiVersion": PROXIES.api_version, "kind": PROXIES.kind, "metadata": where, **none})

    assert 'volume "host" uses restricted volume type "hostPath"' in said
    with running_pod(api, namespace):
        until(
            lambda: condition(api.get(proxy_ref(namespace)), "Available").get("status") == "True",
            "a pod of the corrected spec serves",
            context=lambda: (api.get(proxy_ref(namespace)) or {}).get("status"),
        )
