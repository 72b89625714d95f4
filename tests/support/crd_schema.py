"""The hand-written schemas as tests read them: paths, and what an API server would refuse or drop."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from support.tree import ROOT

FILES = {
    "AthensProxy": "athensproxies.yaml",
    "DownloadPolicy": "downloadpolicies.yaml",
    "ClusterDownloadPolicy": "clusterdownloadpolicies.yaml",
}


@cache
def definition(kind: str) -> dict[str, Any]:
    """The whole CustomResourceDefinition of a kind."""
    loaded: dict[str, Any] = yaml.load((ROOT / "crds" / FILES[kind]).read_text(), yaml.CSafeLoader)
    return loaded


def schema(kind: str, part: str = "") -> dict[str, Any]:
    """The schema of a kind, or of its `spec` or `status`."""
    whole: dict[str, Any] = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return whole["properties"][part] if part else whole


@dataclass(frozen=True)
class Node:
    """One place in a schema; `[]` in the path stands for the items of a list, `{}` for the values of a map."""

    path: str
    schema: Mapping[str, Any]

    @property
    def is_leaf(self) -> bool:
        """Whether users write a value here, not a further structure."""
        return not ({"properties", "items", "additionalProperties"} & self.schema.keys())


def nodes(schema: Mapping[str, Any], path: str = "") -> Iterator[Node]:
    """Every place of a schema, parents first."""
    yield Node(path, schema)
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def messages(rule: Mapping[str, str]) -> list[str]:
    """What a validation rule may say; all texts of its expression where it has one."""
    texts = [rule["message"]] if "message" in rule else re.findall(r"'([^']*)'", rule["messageExpression"])
    return [text for text in texts if " " in text]


def violations(schema: Mapping[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """What an API server would refuse in the value, or silently drop from it."""
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        yield f"{path}: longer than {schema['maxLength']}"
    match value:
        case dict() if "properties" in schema or "additionalProperties" not in schema:
            yield from _object_violations(schema, value, path)
        case dict():
            for key, entry in value.items():
                yield from violations(schema["additionalProperties"], entry, f"{path}.{key}")
        case list():
            if len(value) > schema.get("maxItems", len(value)):
                yield f"{path}: more than {schema['maxItems']} items"
            for index, entry in enumerate(value):
                yield from violations(schema.get("items", {}), entry, f"{path}[{index}]")
        case _:
            pass


def _object_violations(schema: Mapping[str, Any], value: Mapping[str, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{path}.{key}: required"
    for key, entry in value.items():
        if key in properties:
            yield from violations(properties[key], entry, f"{path}.{key}")
        elif not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{path}.{key}: not in the schema"
