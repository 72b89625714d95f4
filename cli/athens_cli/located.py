"""YAML documents with the line of every field, so that findings can point into the file."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from athens_cli.errors import InputError

STDIN: Final = "-"
MAX_BYTES: Final = 8 * 1024 * 1024  # of a file; takes half a minute to read. An object of a cluster has 1.5 MiB at most

_MAX_ALIASED: Final = 1_000_000
_MERGE: Final = "tag:yaml.org,2002:merge"  # `<<`, which may stand in a map several times


@dataclass(frozen=True)
class Document:
    """One document of a file.

    Args:
        file: as the user named it; "" for an object of a cluster.
        value: what it holds.
        lines: the line of every field, by its path such as `spec.rules[0].mode`; counted from 1.
        repeated: path and line of every field that stands in its map again; the last one is in `value`.
    """

    file: str
    value: Any
    lines: Mapping[str, int]
    repeated: tuple[tuple[str, int], ...] = ()

    def line(self, path: str) -> int:
        """The line of the field, or of the nearest one around it that is written."""
        while path not in self.lines and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)


def text_of(path: str) -> str:
    """The text of a file; `-` is standard input, as for kubectl.

    Raises:
        InputError: it cannot be read, is no text, or has more than `MAX_BYTES`.
    """
    try:
        if path == STDIN:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES >> 20} MiB; name files of fewer objects")
        return data.decode()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; name a text file in UTF-8") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} cannot be read: {error}; name a text file in UTF-8") from error


def documents(text: str, file: str) -> Iterator[Document]:
    """The documents of a text; an item of a `List` is a document of its own.

    Raises:
        InputError: the text is not YAML.
    """
    try:
        for node in yaml.compose_all(text, yaml.SafeLoader):
            yield from _document(node, file)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        problem = getattr(error, "problem", None) or "not YAML"
        raise InputError(f"{where}: {problem}; write one or more YAML documents") from error
    except RecursionError as error:
        raise InputError(f"{file}: nested too deeply; write one or more YAML documents") from error


def _document(node: yaml.Node, file: str) -> Iterator[Document]:
    items = _items(node)
    if items is not None:
        for item in items.value:
            yield from _document(item, file)
        return
    if _is_blown_up(node):
        raise InputError(f"{file}:{node.start_mark.line + 1}: aliases make far more of it than is written; use fewer")
    lines, repeated = dict(_lines(node, "", set())), tuple(_repeated(node, "", set()))
    yield Document(file, _constructed(node), lines, repeated)


def _items(node: yaml.Node) -> yaml.SequenceNode | None:
    """The items of a Kubernetes `List`."""
    if not isinstance(node, yaml.MappingNode):
        return None
    fields = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    kind, items = fields.get("kind"), fields.get("items")
    is_list = kind is not None and str(kind.value).endswith("List")
    return items if is_list and isinstance(items, yaml.SequenceNode) else None


def _constructed(node: yaml.Node) -> Any:
    return yaml.SafeLoader("").construct_document(node)


def _is_blown_up(node: yaml.Node) -> bool:
    """Whether aliases make far more of a document than is written; a few lines can fill every memory."""
    sizes: dict[int, float] = {}
    size = _size(node, sizes)
    return size > max(_MAX_ALIASED, len(sizes))


def _size(node: yaml.Node, sizes: dict[int, float]) -> float:
    """How many values a node stands for with all that its aliases repeat; endless where it holds itself."""
    if id(node) not in sizes:
        sizes[id(node)] = math.inf
        inside: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            inside = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inside = node.value
        sizes[id(node)] = 1 + sum(_size(part, sizes) for part in inside)
    return sizes[id(node)]


def _lines(node: yaml.Node, path: str, known: set[int]) -> Iterator[tuple[str, int]]:
    """Every field's line; what stands behind an alias has the alias' own, since few aliases make endless fields."""
    yield path, node.start_mark.line + 1
    if id(node) in known:
        return
    known.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{path}.{key.value}" if path else str(key.value)
            yield from _lines(value, name, known)
            yield name, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, f"{path}[{index}]", known)


def _repeated(node: yaml.Node, path: str, known: set[int]) -> Iterator[tuple[str, int]]:
    """The fields that are written again, which YAML forbids and its parser takes."""
    if id(node) in known:
        return
    known.add(id(node))
    if isinstance(node, yaml.MappingNode):
        written: set[str] = set()
        for key, value in node.value:
            name = f"{path}.{key.value}" if path else str(key.value)
            if name in written:
                yield name, key.start_mark.line + 1
            if key.tag != _MERGE:
                written.add(name)
            yield from _repeated(value, name, known)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _repeated(value, f"{path}[{index}]", known)
