"""`kubectl athens` and plain kubectl against a real API server: the operator's bytes and verdicts, and no surprises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.controlplane import ControlPlane
from support.fake_pods import digest_in, running_pod
from support.kube_api import KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deny, deployment_ref, policy, policy_file_ref, proxy, proxy_ref

Run = Callable[..., str]
RESTARTED = "kubectl.kubernetes.io/restartedAt"


@pytest.fixture
def athens(plane: ControlPlane, namespace: str) -> Run:
    """The command as a user with the administrator's kubeconfig runs it, found by kubectl as a plugin on PATH."""
    bin_folder = Path(sys.executable).parent
    environ = {**os.environ, "KUBECONFIG": str(plane.kubeconfig), "KUBECTL": str(plane.kubectl)}
    environ["PATH"] = f"{bin_folder}:{environ['PATH']}"

    def run(*arguments: str) -> str:
        argv = [str(plane.kubectl), "athens", "-n", namespace, *arguments]
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def rendered(api: KubeApi, namespace: str, operator: OperatorProcess) -> Any:
    return until(lambda: api.get(policy_file_ref(namespace)), "the file is rendered", context=operator.tail)


def test_what_is_rendered_from_files_is_what_the_cluster_has_and_nothing_is_left_to_change(
    operator: OperatorProcess, api: KubeApi, namespace: str, athens: Run, tmp_path: Path
) -> None:
    applied = [policy(namespace, "base", deny("example.com/evil")), proxy(namespace)]
    for manifest in applied:
        api.create(manifest)
    file = rendered(api, namespace, operator)
    tree, sums = tmp_path / "team.yaml", tmp_path / "go.sum"
    tree.write_text(yaml.safe_dump_all(applied))
    sums.write_text(f"example.com/evil/x v1.0.0 h1:{'A' * 43}=\nexample.com/good v1.0.0 h1:{'A' * 43}=\n")

    assert athens("policy", "render", "go", "-f", str(tree)) == file["data"]["download.hcl"]
    assert "no verdict of 2 module versions changes" in athens("policy", "diff", str(sums), "--to", str(tree))


def test_the_answers_are_those_of_the_operator_and_its_switches_work(
    operator: OperatorProcess, api: KubeApi, namespace: str, athens: Run
) -> None:
    api.create(policy(namespace, "base", deny("example.com/evil", reason="SEC-1")))
    api.create(proxy(namespace))
    file = rendered(api, namespace, operator)
    until(
        lambda: (api.get(proxy_ref(namespace)) or {}).get("status", {}).get("policy"), "status", context=operator.tail
    )

    assert athens("policy", "render", "go") == file["data"]["download.hcl"]
    answer = json.loads(athens("explain", "go", "example.com/evil/x@v1.0.0", "-o", "json"))
    assert (answer["verdict"], answer["rule"], answer["reason"]) == ("deny", f"{namespace}/base#no", "SEC-1")
    assert answer["digest"] == digest_in(file) == answer["pods"]["digest"]
    assert "SEC-1" in athens("explain", f"{namespace}/go", "example.com/evil/x@v1.0.0")

    tree = athens("status", "go")
    assert f"DownloadPolicy {namespace}/base (Selected), 1 rules" in tree
    assert "Deployment go" in tree
    assert "enforces" not in tree  # no node runs its pod
    assert f"export GOPROXY=http://go.{namespace}.svc" in athens("env", "go")
    assert "Created" in athens("events", "go") or "nothing happened" in athens("events", "go")

    nonce = athens("reconcile", "go").split()[-1]
    athens("suspend", "go")
    frozen = until(
        lambda: condition(found := api.get(proxy_ref(namespace)) or {}, "Suspended").get("status") == "True" and found,
        "the proxy is suspended",
        context=operator.tail,
    )
    assert frozen["status"]["lastHandledReconcileAt"] == nonce
    athens("resume", "go")
    until(lambda: not condition(api.get(proxy_ref(namespace)) or {}, "Suspended"), "it goes on", context=operator.tail)


@pytest.fixture
def kubectl(plane: ControlPlane, namespace: str) -> Run:
    """kubectl as the administrator runs it."""

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
        kubectl("wait", "athp/go", "--for=condition=Ready", "--timeout=50s")
        kubectl("wait", "dlp/base", "--for=condition=Programmed", "--timeout=50s")
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
