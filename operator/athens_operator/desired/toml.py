"""Just enough TOML to write a configuration: tables of texts, finite numbers, booleans and lists of texts.

Source: https://toml.io/en/v1.0.0 (basic strings have JSON's escapes, and DEL must be escaped too).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Value = str | int | float | bool | Sequence[str]
Table = Mapping[str, "Value | Table"]


def dumps(table: Table, *, path: str = "") -> str:
    """The table as a document: plain keys first, then the tables, both in the given order."""
    plain = [f"{key} = {_value(value)}\n" for key, value in table.items() if not isinstance(value, Mapping)]
    tables = [
        dumps(value, path=f"{path}.{key}" if path else key)
        for key, value in table.items()
        if isinstance(value, Mapping)
    ]
    head = f"[{path}]\n" if path and plain else ""
    return "\n".join(filter(None, [head + "".join(plain), *tables]))


def _value(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case _:
            return f"[{', '.join(map(_value, value))}]"
