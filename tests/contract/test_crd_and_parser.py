"""The schema and the operator's parser know the same fields: both ways, with the same words and defaults."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from athens_operator.policies import Content, Reach
from athens_operator.spec.fields import ProxySpec
from athens_operator.spec.values import Spec
from support.crd_schema import nodes, schema

PARSERS: dict[str, tuple[type[Spec], ...]] = {
    "AthensProxy": (ProxySpec,),
    "DownloadPolicy": (Reach, Content),
    "ClusterDownloadPolicy": (Reach, Content),
}
OF_THE_OTHER_KIND = {
    "DownloadPolicy": ("enforcement", "namespaceSelector", "advisories.configMapRef.namespace"),
    "ClusterDownloadPolicy": ("shareWith",),
}


def parts(annotation: Any) -> Iterator[Any]:
    """The types inside an annotation, without None."""
    if get_origin(annotation) in (Union, UnionType):
        for inner in get_args(annotation):
            yield from parts(inner)
    elif annotation is not type(None):
        yield annotation


def parsed_fields(model: type[Spec], path: str = "") -> Iterator[tuple[str, FieldInfo, type[Enum] | None]]:
    """Every field that the parser reads, with its path as users write it."""
    for name, field in model.model_fields.items():
        where = f"{path}.{field.alias or name}".lstrip(".")
        for part in parts(field.annotation):
            items = get_origin(part) is tuple
            inner = get_args(part)[0] if items else part
            is_enum = isinstance(inner, type) and issubclass(inner, Enum)
            yield where, field, inner if is_enum else None
            if isinstance(inner, type) and issubclass(inner, Spec):
                yield from parsed_fields(inner, f"{where}[]" if items else where)


def parser_paths(kind: str) -> set[str]:
    skipped = OF_THE_OTHER_KIND.get(kind, ())
    found = {path for model in PARSERS[kind] for path, _, _ in parsed_fields(model)}
    return {path for path in found if not f"{path}.".startswith(tuple(f"{part}." for part in skipped))}


def schema_paths(kind: str) -> set[str]:
    named = {node.path for node in nodes(schema(kind, "spec"))}
    return {path for path in named if path and not path.endswith(("[]", "{}"))}


def is_inside_an_opaque_field(path: str, known: set[str]) -> bool:
    """Whether the parser reads a parent of the path as a whole, such as tolerations."""
    parents = [path[:index] for index, char in enumerate(path) if char in ".[{"]
    deepest = [parent for parent in parents if parent in known]
    return bool(deepest) and not any(other.startswith((deepest[-1] + ".", deepest[-1] + "[")) for other in known)


@pytest.mark.parametrize("kind", PARSERS)
def test_the_parser_reads_no_field_that_the_schema_would_drop(kind: str) -> None:
    assert parser_paths(kind) - schema_paths(kind) == set()


@pytest.mark.parametrize("kind", PARSERS)
def test_the_schema_offers_no_field_that_the_parser_ignores(kind: str) -> None:
    known = parser_paths(kind)
    ignored = {path for path in schema_paths(kind) - known if not is_inside_an_opaque_field(path, known)}

    assert ignored == set()


@pytest.mark.parametrize("kind", PARSERS)
def test_words_are_the_same_on_both_sides(kind: str) -> None:
    enums = {node.path: node.schema["enum"] for node in nodes(schema(kind, "spec")) if "enum" in node.schema}
    for model in PARSERS[kind]:
        for path, _, words in parsed_fields(model):
            if words is not None and path in enums and path.rpartition(".")[2] != "defaultMode":
                assert {word.value for word in words} == set(enums[path]), path


@pytest.mark.parametrize("kind", PARSERS)
def test_defaults_of_the_schema_are_those_of_the_parser(kind: str) -> None:
    defaults = {node.path: node.schema["default"] for node in nodes(schema(kind, "spec")) if "default" in node.schema}
    parser = {path: field.default for model in PARSERS[kind] for path, field, _ in parsed_fields(model)}

    assert {path: parser[path] for path in defaults} == defaults


@pytest.mark.parametrize("kind", PARSERS)
def test_required_fields_are_those_without_a_default(kind: str) -> None:
    required = {
        f"{node.path}.{name}".lstrip(".")
        for node in nodes(schema(kind, "spec"))
        for name in node.schema.get("required", ())
    }
    demanded = {
        path
        for model in PARSERS[kind]
        for path, field, _ in parsed_fields(model)
        if field.default is PydanticUndefined and field.default_factory is None
    }
    known = parser_paths(kind)

    assert demanded & schema_paths(kind) == (required & known) - {"enforcement"}
