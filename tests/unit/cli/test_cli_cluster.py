"""The commands that ask a cluster, in front of a kubectl that answers from files and writes down what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Run = Callable[..., Any]

PROXY: dict[str, Any] = {
    "kind": "AthensProxy",
    "metadata": {"name": "go", "namespace": "team-a", "generation": 1},
    "spec": {"storage": {"type": "memory", "memory": {}}, "server": {"pathPrefix": "/mods"}},
    "status": {
        "phase": "Ready",
        "client": {"goproxy": "http://go.team-a.svc", "gonosumdb": "git.corp.example/*"},
        "policy": {"digest": "sha256:" + "0" * 64, "revision": "00000000", "programmed": "1/2", "lagging": []},
        "conditions": [{"type": "Ready", "status": "True", "reason": "Running", "message": "2/2"}],
    },
}
EVENTS = [
    {"lastTimestamp": "2026-01-02T00:00:00Z", "type": "Normal", "reason": "Late", "message": "b", "metadata": {}},
    {"lastTimestamp": "2026-01-01T00:00:00Z", "type": "Normal", "reason": "Early", "message": "a", "metadata": {}},
]
PAGES = {
    "first": {"modules": [{"module": "example.com/a", "version": "v1.0.0"}], "next": "two"},
    "second": {"modules": [{"module": "example.com/b", "version": "v2.0.0"}]},
}
SCRIPT = """\
#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/asked"
case "$*" in
*clusterdownloadpolicies*) [ ! -e "$here/lesser" ] || {
  echo 'Error from server (Forbidden): clusterdownloadpolicies is forbidden' >&2; exit 1; }
  cat "$here/policies.json" ;;
*"get configmap go-policy"*) cat "$here/rendered.json" ;;
*forbidden*) echo 'Error from server (Forbidden): athensproxies is forbidden' >&2; exit 1 ;;
*gone*) echo 'Error from server (NotFound): athensproxies "gone" not found' >&2; exit 1 ;;
*token=two*) cat "$here/second.json" ;;
*/catalog*) cat "$here/first.json" ;;
*clusterdownloadpolicies*|*downloadpolicies*) cat "$here/policies.json" ;;
*athensproxies*) cat "$here/proxy.json" ;;
*events*) cat "$here/events.json" ;;
*"get namespace"*) echo '{"kind": "Namespace", "metadata": {"name": "team-a", "labels": {}}}' ;;
*) echo '{"items": []}' ;;
esac
"""


@pytest.fixture
def kubectl(tmp_path: Path) -> Path:
    script = tmp_path / "kubectl"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    for name, value in {
        "proxy": PROXY,
        "events": {"items": EVENTS},
        "policies": {"items": []},
        **PAGES,
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    return script


def asked(kubectl: Path) -> str:
    return (kubectl.parent / "asked").read_text()


def test_the_catalogue_is_read_page_by_page_below_the_prefix(run: Run, kubectl: Path) -> None:
    done = run("--kubectl", str(kubectl), "-n", "team-a", "catalog", "go", "-o", "json")

    assert [row["module"] for row in json.loads(done.out)] == ["example.com/a", "example.com/b"]
    assert "/api/v1/namespaces/team-a/services/http:go:http/proxy/mods/catalog?pagesize=1000&token=two" in asked(
        kubectl
    )


def test_the_catalogue_of_a_proxy_with_a_certificate_is_read_by_https(run: Run, kubectl: Path) -> None:
    body = {**PROXY, "spec": {**PROXY["spec"], "tls": {"secretRef": {"name": "certificate"}}}}
    (kubectl.parent / "proxy.json").write_text(json.dumps(body))

    run("--kubectl", str(kubectl), "catalog", "team-a/go")

    assert "/services/https:go:https/proxy/mods/catalog" in asked(kubectl)


def test_a_limit_asks_for_no_more_pages_than_it_needs(run: Run, kubectl: Path) -> None:
    done = run("--kubectl", str(kubectl), "catalog", "team-a/go", "--limit", "1")

    assert "example.com/a" in done.out
    assert "example.com/b" not in done.out
    assert "token=" not in asked(kubectl)


def test_client_settings_can_be_evaluated_by_a_shell(run: Run, kubectl: Path) -> None:
    done = run("--kubectl", str(kubectl), "env", "go")

    assert done.out == "export GOPROXY=http://go.team-a.svc\nexport GONOSUMDB='git.corp.example/*'\n"


def test_events_are_shown_oldest_first(run: Run, kubectl: Path) -> None:
    done = run("--kubectl", str(kubectl), "events", "go", "-o", "yaml")

    assert [event["reason"] for event in yaml.safe_load(done.out)] == ["Early", "Late"]


@pytest.mark.parametrize(
    "argv",
    [
        ("--context", "prod", "-n", "team-a", "env", "go"),
        ("env", "go", "-n", "team-a", "--context=prod"),
        ("env", "--namespace", "team-a", "go", "--context", "prod"),
    ],
)
def test_the_context_and_the_namespace_reach_kubectl(run: Run, kubectl: Path, argv: tuple[str, ...]) -> None:
    run("--kubectl", str(kubectl), *argv)

    assert asked(kubectl).startswith("--context=prod --namespace=team-a get athensproxies.athensproxy.dev go")


@pytest.mark.parametrize("argv", [("env", "go", "-n"), ("env", "--", "-n", "team-a")])
def test_an_option_without_its_value_is_one_line(run: Run, argv: tuple[str, ...]) -> None:
    done = run(*argv)

    assert (done.code, done.err.count("\n")) == (2, 1)


def test_explain_says_when_the_pods_do_not_enforce_it_yet(run: Run, kubectl: Path) -> None:
    answer = json.loads(run("--kubectl", str(kubectl), "explain", "go", "a.example/b", "-o", "json").out)

    assert answer["pods"]["same"] is False
    assert answer["pods"]["says"].startswith("not yet: 1/2 pods enforce 00000000")


@pytest.mark.parametrize(
    ("name", "says"),
    [("gone", "check the name and the namespace"), ("forbidden", "ask the administrator for this right")],
)
def test_a_refusal_of_the_cluster_is_one_line_with_the_next_step(run: Run, kubectl: Path, name: str, says: str) -> None:
    done = run("--kubectl", str(kubectl), "status", name)

    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert says in done.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_completion_script(run: Run, shell: str) -> None:
    out = run("completion", shell).out

    assert "kubectl-athens" in out
    assert "_KUBECTL_ATHENS_COMPLETE" in out


RENDERED = """\
# Rendered by athens-operator; edits are undone, change the policies instead.
# default: DownloadPolicy team-a/base (Selected)
mode = "sync"
downloadURL = ""

# ClusterDownloadPolicy guard#evil (Mandatory)
download "example.com/evil" {
  mode = "deny"
  name = "guard#evil"
  reason = "SEC-112"
}
"""


def test_without_the_right_to_cluster_policies_the_rendered_file_explains(run: Run, kubectl: Path) -> None:
    (kubectl.parent / "lesser").touch()
    (kubectl.parent / "rendered.json").write_text(json.dumps({"data": {"download.hcl": RENDERED}}))

    done = run("--kubectl", str(kubectl), "explain", "go", "example.com/evil/x@v1.0.0", "-o", "json")

    answer = json.loads(done.out)
    assert (answer["verdict"], answer["rule"], answer["reason"]) == ("deny", "guard#evil", "SEC-112")
    assert (answer["object"], answer["tier"]) == ("ClusterDownloadPolicy guard", "Mandatory")
    assert answer["takenFrom"].startswith("ConfigMap team-a/go-policy; kubectl get clusterdownloadpolicies")
    assert "pods" in answer


def test_a_rendered_file_that_cannot_be_read_is_named(run: Run, kubectl: Path) -> None:
    (kubectl.parent / "lesser").touch()
    (kubectl.parent / "rendered.json").write_text(json.dumps({"data": {"download.hcl": "download {"}}))

    done = run("--kubectl", str(kubectl), "explain", "go", "example.com/evil")

    assert done.code != 0
    assert "ConfigMap team-a/go-policy: " in done.err
    assert "Traceback" not in done.err
