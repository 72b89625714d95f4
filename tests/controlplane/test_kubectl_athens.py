"""`kubectl athens` against a real API server: the same bytes and verdicts as the operator, switches that it obeys."""

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
from support.fake_pods import digest_in
from support.kube_api import KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deny, policy, policy_file_ref, proxy, proxy_ref

Athens = Callable[..., str]


@pytest.fixture
def athens(plane: ControlPlane, namespace: str) -> Athens:
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
    operator: OperatorProcess, api: KubeApi, namespace: str, athens: Athens, tmp_path: Path
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
    operator: OperatorProcess, api: KubeApi, namespace: str, athens: Athens
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
