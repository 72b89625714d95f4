"""A spec with every field is taken, and hostile or endless text in any of its fields is refused at its place."""

from __future__ import annotations

import contextlib
import re
from copy import deepcopy
from typing import Any

import pytest

from athens_operator.manifests import Manifest
from athens_operator.resources import POLICIES, PROXIES
from support.crd_schema import Node, nodes, schema
from support.kube_api import KubeApi, Refused
from support.proxies import policy, proxy
from support.whole_spec import ELSEWHERE, spec_with

WHOLE = ["", *ELSEWHERE]
FREE_TEXT = ("extraEnv[].value", "upstream.goEnv{}")
"""Any text is a value here, and is quoted where it goes; annotations, too."""
TEXTS = [
    node
    for node in nodes(schema("AthensProxy", "spec"))
    if (node.schema.get("type") == "string" or node.schema.get("x-kubernetes-int-or-string"))
    and "enum" not in node.schema
]
LONGER_THAN_ANY = 8_200
HOSTILE = "a\"b'${c}%{d}\n\u65e5\u672c"


SELECTOR = {
    "matchLabels": {"a": "b"},
    "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}],
}
POLICY: dict[str, Any] = {
    "proxySelector": SELECTOR,
    "shareWith": {"from": "Selector", "namespaceSelector": SELECTOR},
    "downloadURL": "https://goproxy.example.com",
    "advisories": {
        "configMapRef": {"name": "osv"},
        "waivers": [{"id": "GO-2024-0001", "until": "2027-01-01"}],
    },
    "rules": [
        {
            "name": "one",
            "patterns": ["example.com/x"],
            "mode": "async_redirect",
            "downloadURL": "https://goproxy.example.com",
            "versions": ">=v1.0.0",
            "minAge": "72h",
            "upstream": "direct",
            "reason": "why",
        }
    ],
}


def with_text(whole: dict[str, Any], path: str, text: str) -> dict[str, Any]:
    """A copy of a spec in which one field has another text."""
    spec = deepcopy(whole)
    place: Any = spec
    *parents, last = path.replace("[]", ".0").replace("{}", ".*").split(".")
    for step in parents:
        place = place[int(step)] if isinstance(place, list) else place[next(iter(place)) if step == "*" else step]
    place[int(last) if isinstance(place, list) else next(iter(place)) if last == "*" else last] = text
    return spec


def tried(api: KubeApi, namespace: str, spec: dict[str, Any]) -> str:
    """What the API server says against the spec of an AthensProxy; nothing is stored."""
    return refusal_of(api, PROXIES.path(namespace=namespace), proxy(namespace, **spec))


def refusal_of(api: KubeApi, path: str, body: Manifest) -> str:
    """What the API server says against an object, nothing if it would take it."""
    try:
        api.call("POST", f"{path}?dryRun=All&fieldValidation=Strict", body)
    except Refused as error:
        return str(error)
    return ""


def place_of(node: Node) -> re.Pattern[str]:
    """How a refusal names the field: with the number or key of what stands in lists and maps."""
    return re.compile(r"spec\." + re.sub(r"\\\[\\\]|\\{\\}", r"(\\[[^]]+\\]|\\.[^:.]+)", re.escape(node.path)) + ": ")


@pytest.mark.parametrize("path", WHOLE)
def test_a_spec_with_every_field_is_accepted(api: KubeApi, namespace: str, path: str) -> None:
    assert tried(api, namespace, spec_with(path)) == ""


@pytest.mark.parametrize("node", TEXTS, ids=lambda node: node.path)
def test_hostile_texts_are_refused_at_their_place(api: KubeApi, namespace: str, node: Node) -> None:
    place, whole = place_of(node), spec_with(node.path)
    free = node.path in FREE_TEXT or node.path.endswith("annotations{}")

    if free:
        assert tried(api, namespace, with_text(whole, node.path, HOSTILE)) == ""
    else:
        assert place.search(tried(api, namespace, with_text(whole, node.path, HOSTILE)))


def test_endless_texts_are_refused_at_their_place(api: KubeApi, namespace: str) -> None:
    """All fields of a spec at once, each longer than any may be; the server names every one of them."""
    missed = {node.path for node in TEXTS}
    for name in WHOLE:
        spec = spec_with(name)
        for node in TEXTS:
            with contextlib.suppress(LookupError, StopIteration):
                spec = with_text(spec, node.path, "x" * LONGER_THAN_ANY)
        said = tried(api, namespace, spec)
        missed -= {node.path for node in TEXTS if place_of(node).search(said)}

    assert missed == set()
    assert max(node.schema["maxLength"] for node in TEXTS) < LONGER_THAN_ANY


@pytest.mark.parametrize("node", [TEXTS[0], TEXTS[-1]], ids=lambda node: node.path)
def test_a_megabyte_is_refused_as_well(api: KubeApi, namespace: str, node: Node) -> None:
    spec = with_text(spec_with(node.path), node.path, "x" * 1_000_000)

    assert place_of(node).search(tried(api, namespace, spec))


def test_a_policy_with_every_text_is_accepted(api: KubeApi, namespace: str) -> None:
    assert refusal_of(api, POLICIES.path(namespace=namespace), policy(namespace, **POLICY)) == ""


@pytest.mark.parametrize(
    "node",
    [
        node
        for node in nodes(schema("DownloadPolicy", "spec"))
        if node.schema.get("type") == "string" and "enum" not in node.schema
    ],
    ids=lambda node: node.path,
)
@pytest.mark.parametrize("text", [HOSTILE, "x" * 100_000], ids=["hostile", "endless"])
def test_hostile_and_endless_texts_of_a_policy_are_refused(api: KubeApi, namespace: str, node: Node, text: str) -> None:
    spec = with_text(POLICY, node.path, text)

    assert place_of(node).search(refusal_of(api, POLICIES.path(namespace=namespace), policy(namespace, **spec)))


MAPS = [
    node
    for node in nodes(schema("AthensProxy", "spec"))
    if "additionalProperties" in node.schema and "x-kubernetes-validations" in node.schema
]


@pytest.mark.parametrize("node", MAPS, ids=lambda node: node.path)
def test_a_key_that_kubernetes_or_the_proxy_would_refuse_is_refused(api: KubeApi, namespace: str, node: Node) -> None:
    place: Any = (spec := deepcopy(spec_with(node.path)))
    for step in node.path.split("."):
        place = place[step]
    place['a "b" ${c}'] = "x"

    assert f"spec.{node.path}: Invalid value" in tried(api, namespace, spec)
