"""The hand-written schemas keep the rules that an API server, server-side apply and CEL cost limits ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from support.crd_schema import FILES, Node, definition, messages, nodes, schema
from support.tree import ROOT

KINDS = tuple(FILES)
RESERVED_IN_CEL = re.compile(
    r"\.(namespace|package|import|let|function|const|for|if|else|loop|return|var|void|while)\b"
)


def own(kind: str) -> Iterator[Node]:
    """Every place below spec and status."""
    for part in ("spec", "status"):
        yield from nodes(schema(kind, part), part)


@pytest.mark.parametrize("kind", KINDS)
def test_every_place_has_a_type(kind: str) -> None:
    assert [
        n.path for n in own(kind) if "type" not in n.schema and not n.schema.get("x-kubernetes-int-or-string")
    ] == []


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_structural_schemas_forbid(kind: str) -> None:
    forbidden = {"$ref", "definitions", "uniqueItems", "oneOf", "allOf", "not", "title", "nullable", "example"}

    assert [n.path for n in own(kind) if forbidden & n.schema.keys()] == []
    assert [n.path for n in own(kind) if {"properties", "additionalProperties"} <= n.schema.keys()] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_list_says_how_it_merges_and_is_bounded(kind: str) -> None:
    lists = [n for n in own(kind) if n.schema.get("type") == "array"]

    assert [n.path for n in lists if "x-kubernetes-list-type" not in n.schema] == []
    assert [n.path for n in lists if "maxItems" not in n.schema] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_and_map_is_bounded(kind: str) -> None:
    texts = [n for n in own(kind) if n.schema.get("type") == "string" and "enum" not in n.schema]
    either = [n for n in own(kind) if n.schema.get("x-kubernetes-int-or-string")]
    maps = [n for n in own(kind) if "additionalProperties" in n.schema]

    assert [n.path for n in (*texts, *either) if "maxLength" not in n.schema] == []
    assert [n.path for n in maps if "maxProperties" not in n.schema] == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_number_where_a_text_may_stand_is_negative(kind: str) -> None:
    """A pattern judges texts only; a pod with a volume of -1 bytes is refused where nobody looks for the reason."""
    either = [n for n in own(kind) if n.schema.get("x-kubernetes-int-or-string")]
    ruled = [
        n for n in either if any("isGreaterThan" in r["rule"] for r in n.schema.get("x-kubernetes-validations", ()))
    ]

    assert [n.path for n in either if n not in ruled and n.schema.get("minimum", -1) < 0] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described_for_users(kind: str) -> None:
    fields = [n for n in own(kind) if not n.path.endswith(("[]", "{}"))]

    assert [n.path for n in fields if not n.schema.get("description", "").endswith(".")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_has_a_message_and_names_no_reserved_word(kind: str) -> None:
    rules = [(n.path, rule) for n in own(kind) for rule in n.schema.get("x-kubernetes-validations", ())]

    assert [path for path, rule in rules if not messages(rule)] == []
    assert [path for path, rule in rules if RESERVED_IN_CEL.search(rule["rule"])] == []


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_only_those_whose_meaning_can_never_change(kind: str) -> None:
    defaults = {n.path: n.schema["default"] for n in own(kind) if "default" in n.schema}

    assert defaults == {
        "AthensProxy": {"spec.replicas": 1, "spec.suspend": False, "spec.deletionPolicy.storage": "Retain"},
        "DownloadPolicy": {"spec.priority": 0},
        "ClusterDownloadPolicy": {"spec.priority": 0},
    }.get(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_status_is_a_subresource_and_one_version_is_served(kind: str) -> None:
    versions = definition(kind)["spec"]["versions"]

    assert [(v["name"], v["served"], v["storage"]) for v in versions] == [("v1beta1", True, True)]
    assert "status" in versions[0]["subresources"]


@pytest.mark.parametrize(
    ("kind", "plural", "short", "scope"),
    [
        ("AthensProxy", "athensproxies", "athp", "Namespaced"),
        ("DownloadPolicy", "downloadpolicies", "dlp", "Namespaced"),
        ("ClusterDownloadPolicy", "clusterdownloadpolicies", "cdlp", "Cluster"),
    ],
)
def test_names_of_the_kinds(kind: str, plural: str, short: str, scope: str) -> None:
    spec = definition(kind)["spec"]

    assert definition(kind)["metadata"]["name"] == f"{plural}.athensproxy.dev"
    assert (spec["names"]["plural"], spec["names"]["shortNames"], spec["scope"]) == (plural, [short], scope)
    assert spec["names"]["categories"] == ["goproxy"]


def test_printer_columns_and_selectable_fields_name_fields_of_the_schema() -> None:
    for kind in KINDS:
        version = definition(kind)["spec"]["versions"][0]
        known = {n.path for n in own(kind)} | {"metadata.creationTimestamp"}
        paths = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
        paths += [field["jsonPath"] for field in version.get("selectableFields", ())]

        named = {re.sub(r"\[\?[^]]*\]", "[]", path.removeprefix(".")) for path in paths}

        assert named - known == set(), kind


def test_both_policy_kinds_share_rules_word_by_word() -> None:
    for field in ("rules", "defaultMode", "downloadURL", "priority"):
        one, other = (schema(kind, "spec")["properties"][field] for kind in ("DownloadPolicy", "ClusterDownloadPolicy"))
        assert one == other, field


def test_inline_rules_are_the_rules_of_policies() -> None:
    inline = schema("AthensProxy", "spec")["properties"]["download"]["properties"]["rules"]["items"]

    assert inline == schema("DownloadPolicy", "spec")["properties"]["rules"]["items"]


def test_no_other_file_lies_among_the_definitions() -> None:
    assert {path.name for path in (ROOT / "crds").iterdir()} == set(FILES.values())
