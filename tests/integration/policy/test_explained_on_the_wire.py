"""What `kubectl athens explain` says is what clients see, of our proxy and, for rules that Athens knows, of Athens."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from athens_cli.explain import Explainer, Question
from athens_cli.located import documents
from athens_cli.objects import of_documents
from athens_policy.render import render
from support import athens, proxy_process
from support.exchange import Answer
from support.module_tree import ModuleTree
from support.proxy_process import ModuleProxy, Settings

POLICIES = """\
apiVersion: athensproxy.dev/v1beta1
kind: ClusterDownloadPolicy
metadata: {name: guard}
spec:
  enforcement: Mandatory
  namespaceSelector: {}
  rules:
    - {name: blocked, patterns: ["example.com/blocked"], mode: none}
---
apiVersion: athensproxy.dev/v1beta1
kind: DownloadPolicy
metadata: {name: base, namespace: team-a}
spec:
  proxySelector: {}
  defaultMode: redirect
  downloadURL: https://goproxy.example.com
  rules:
    - {name: plain, patterns: ["example.com/m", "*/yaml.v?"], mode: sync}
    - {name: capitals, patterns: ["example.com/[A-Z]*"], mode: none}
    - {name: names, patterns: ["example.com/z?n*"], mode: async_redirect}
    - {name: later, patterns: ["example.com/i*"], mode: async}
    - {name: lost, patterns: ["example.com/m", "example.com/blocked"], mode: redirect}
    - {name: elsewhere, patterns: ["github.com/Azure"], mode: redirect, downloadURL: "https://other.example.com"}
---
apiVersion: athensproxy.dev/v1beta1
kind: AthensProxy
metadata: {name: go, namespace: team-a}
spec: {storage: {type: memory, memory: {}}}
"""
OURS = """\
---
apiVersion: athensproxy.dev/v1beta1
kind: DownloadPolicy
metadata: {name: ours, namespace: team-a}
spec:
  proxySelector: {}
  priority: 5
  rules:
    - {name: old, patterns: ["example.com/m"], mode: deny, versions: "<v1.1.0", reason: too old}
    - {name: young, patterns: ["example.com/foo"], mode: sync, minAge: 72h, reason: cooling down}
    - {name: trial, patterns: ["example.com/*"], mode: deny, audit: true}
"""
ASKED = {
    "example.com/m": "v1.0.0",
    "example.com/m/v2": "v2.0.0",
    "example.com/foo": "v1.0.0",
    "example.com/Upper": "v1.0.0",
    "example.com/zone": "v1.0.0",
    "example.com/inc": "v1.0.0",
    "example.com/blocked": "v1.0.0",
    "github.com/Azure/x": "v1.0.0",
    "gopkg.in/yaml.v2": "v2.4.0",
    "example.com/pre": "v0.9.0-rc.1",
}


def explained(explainer: Explainer, module: str, version: str) -> tuple[int, str]:
    """Status and text or address that clients must see, from what `explain` says."""
    answer = explainer.explanation(Question(module, version))
    match answer["verdict"]:
        case "sync":
            return 200, ""
        case "deny":
            return 403, f"denied by {answer['rule']}: {answer['reason']}"
        case "redirect" | "async_redirect":
            return 302, answer["url"]
        case _:
            return 404, ""


def seen(answer: Answer) -> tuple[int, str]:
    """The same of an answer, any redirect as 302, and a refusal without the date."""
    if answer.status in (301, 302):
        return 302, "/".join(answer.headers["location"].split("/")[:3])
    text = answer.body.decode().strip() if answer.status == 403 else ""
    return answer.status, text.partition("; available after")[0]


def target(module: str, version: str) -> str:
    escaped = "".join(f"!{letter.lower()}" if letter.isupper() else letter for letter in module)
    return f"/{escaped}/@v/{version}.info"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explained")


def settings(folder: Path, name: str, text: str, upstream: str) -> tuple[Settings, Explainer]:
    objects = of_documents(documents(text, name))
    merged = objects.merged(objects.proxy("go"))
    hcl = folder / f"{name}.hcl"
    hcl.write_text(render(merged))
    return Settings(upstream, env={"ATHENS_DOWNLOAD_MODE": f"file:{hcl}"}), Explainer(merged)


@pytest.fixture(scope="module")
def proxies(folder: Path, module_tree: ModuleTree) -> Iterator[dict[str, tuple[ModuleProxy, Explainer]]]:
    """Athens and ours with the same file, and ours with rules that only it knows."""
    shared, explainer = settings(folder, "shared", POLICIES, module_tree.url)
    extended, more = settings(folder, "extended", POLICIES + OURS, module_tree.url)
    with ExitStack() as running:
        yield {
            "athens": (running.enter_context(athens.running(folder / "athens", shared)), explainer),
            "shared": (running.enter_context(proxy_process.running(folder / "ours", shared)), explainer),
            "extended": (running.enter_context(proxy_process.running(folder / "more", extended)), more),
        }


@pytest.mark.parametrize("name", ["athens", "shared", "extended"])
def test_every_client_sees_what_explain_says(proxies: dict[str, tuple[ModuleProxy, Explainer]], name: str) -> None:
    proxy, explainer = proxies[name]

    def both(asked: tuple[str, str]) -> tuple[tuple[int, str], tuple[int, str]]:
        return explained(explainer, *asked), seen(proxy.ask(target(*asked)))

    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(ASKED, pool.map(both, ASKED.items()), strict=True))

    assert {module: wire for module, (_, wire) in found.items()} == {
        module: expected for module, (expected, _) in found.items()
    }
    assert {wire[0] for _, wire in found.values()} >= {200, 302, 404}


def test_the_line_about_a_rule_on_trial_names_the_request(proxies: dict[str, tuple[ModuleProxy, Explainer]]) -> None:
    proxy, _ = proxies["extended"]

    proxy.ask(target("example.com/m", "v1.1.0"), headers={"Athens-Request-ID": "on-trial-1"})

    def of_request(lines: list[str]) -> list[str]:
        return [line for line in lines if "request-id=on-trial-1" in line]

    written = proxy.process.until_logged(lambda lines: len(of_request(lines)) >= 2, what="done with its lines")
    lines = of_request(written)
    assert "audit rule matched" in lines[0]
    assert "rule=team-a/ours#trial wanted=example.com/m@v1.1.0" in lines[0]
    assert "http-status=200" in lines[1]
