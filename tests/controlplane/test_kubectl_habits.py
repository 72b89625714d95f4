"""What people do with kubectl without thinking works on our kinds, and what they do to a Deployment is not undone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from support.controlplane import ControlPlane
from support.fake_pods import running_pod
from support.kube_api import KubeApi, until
from support.operator_process import OperatorProcess
from support.proxies import deployment_ref, policy, proxy, proxy_ref

RESTARTED = "kubectl.kubernetes.io/restartedAt"
Run = Callable[..., str]


@pytest.fixture
def kubectl(plane: ControlPlane, namespace: str) -> Run:
    def run(*arguments: str) -> str:
        argv = [str(plane.kubectl), "--kubeconfig", str(plane.kubeconfig), "-n", namespace, *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_wait_explain_get_select_and_scale_work_as_for_any_kind(
    operator: OperatorProcess, api: KubeApi, namespace: str, kubectl: Run
) -> None:
    api.create(proxy(namespace, rollout={"minReadySeconds": 0}))
    api.create(policy(namespace))
    with running_pod(api, namespace):
        kubectl("wait", "athp/go", "--for=condition=Ready", "--timeout=30s")
        kubectl("wait", "dlp/base", "--for=condition=Programmed", "--timeout=30s")
    listed = kubectl("get", "goproxy", "-o", "wide")
    explained = kubectl("explain", "athensproxy.spec.storage.disk")
    selected = kubectl("get", "athp", "--field-selector", "spec.storage.type=memory", "-o", "name")
    others = kubectl("get", "athp", "--field-selector", "spec.storage.type=disk", "-o", "name")
    kubectl("scale", "athp/go", "--replicas=0")
    until(
        lambda: (api.get(deployment_ref(namespace)) or {})["spec"]["replicas"] == 0,
        "the number has arrived",
        context=operator.tail,
    )

    assert {"athensproxy.athensproxy.dev/go", "downloadpolicy.athensproxy.dev/base"} <= set(listed.split())
    assert "persistentVolumeClaim" in explained
    assert (selected.split(), others.split()) == (["athensproxy.athensproxy.dev/go"], [])


def test_a_restarted_rollout_is_not_undone(
    operator: OperatorProcess, api: KubeApi, namespace: str, kubectl: Run
) -> None:
    api.create(proxy(namespace))
    until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=operator.tail)

    kubectl("rollout", "restart", "deployment/go")
    asked = (api.get(deployment_ref(namespace)) or {})["spec"]["template"]["metadata"]["annotations"][RESTARTED]
    api.edit(proxy(namespace, server={"logLevel": "debug"}))
    until(
        lambda: (api.get(proxy_ref(namespace)) or {}).get("status", {}).get("observedGeneration") == 2,
        "another pass is over",
        context=operator.tail,
    )

    template = (api.get(deployment_ref(namespace)) or {})["spec"]["template"]
    assert template["metadata"]["annotations"][RESTARTED] == asked
