"""A spec with every field is taken, and hostile or endless text in any of its fields is refused at its place."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest

from athens_operator.resources import PROXIES
from support.crd_schema import Node, nodes, schema
from support.kube_api import KubeApi, Refused
from support.proxies import proxy
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
HOSTILE = "a\"b'${c}%{d}\n\u65e5\u672c"


def with_text(path: str, text: str) -> dict[str, Any]:
    """A whole spec in which one field has another text."""
    spec = deepcopy(spec_with(path))
    place: Any = spec
    *parents, last = path.replace("[]", ".0").replace("{}", ".*").split(".")
    for step in parents:
        place = place[int(step)] if isinstance(place, list) else place[next(iter(place)) if step == "*" else step]
    place[int(last) if isinstance(place, list) else next(iter(place)) if last == "*" else last] = text
    return spec


def tried(api: KubeApi, namespace: str, spec: dict[str, Any]) -> str:
    """What the API server says against a spec; nothing is stored."""
    path = PROXIES.path(namespace=namespace) + "?dryRun=All&fieldValidation=Strict"
    try:
        api.call("POST", path, proxy(namespace, **spec))
    except Refused as error:
        return str(error)
    return ""


@pytest.mark.parametrize("path", WHOLE)
def test_a_spec_with_every_field_is_accepted(api: KubeApi, namespace: str, path: str) -> None:
    assert tried(api, namespace, spec_with(path)) == ""


@pytest.mark.parametrize("node", TEXTS, ids=lambda node: node.path)
def test_hostile_and_endless_texts_are_refused_at_their_place(api: KubeApi, namespace: str, node: Node) -> None:
    place = re.compile(r"spec\." + re.sub(r"\\\[\\\]|\\{\\}", r"(\\[[^]]+\\]|\\.[^:.]+)", re.escape(node.path)) + ": ")
    free = node.path in FREE_TEXT or node.path.endswith("annotations{}")

    if free:
        assert tried(api, namespace, with_text(node.path, HOSTILE)) == ""
    else:
        assert place.search(tried(api, namespace, with_text(node.path, HOSTILE)))
    assert place.search(tried(api, namespace, with_text(node.path, "x" * 1_000_000)))


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
