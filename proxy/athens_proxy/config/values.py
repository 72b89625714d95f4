"""How Athens writes values in its environment and its file, and the types they become.

Source: github.com/kelseyhightower/envconfig 1.4.0 and Go's strconv, which Athens uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_GO_INT = re.compile(r"[+-]?(0[xX](_?[0-9a-fA-F])+|0[bB](_?[01])+|0[oO]?(_?[0-7])+|0|[1-9](_?[0-9])*)", re.ASCII)
_GO_OCTAL = re.compile(r"([+-]?)0([0-7_]+)", re.ASCII)


class Secret:
    """A value that must never be shown; `reveal()` is the only way to read it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the component that needs it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('********')" if self._value else "Secret('')"


@dataclass(frozen=True, slots=True)
class EnvAssignment:
    """One `NAME=value` of `GoBinaryEnvVars`; the value may hold a credential and is not shown."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where the server listens: `host` is "" for every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def go_int(text: str) -> int:
    """An integer as Go's ParseInt with base 0 reads it: `0x10`, `0o17`, `017`, `1_000`.

    Raises:
        ValueError: the text is no such integer.
    """
    if not _GO_INT.fullmatch(text):
        raise ValueError("is not an integer")
    octal = _GO_OCTAL.fullmatch(text)
    return int(f"{octal[1]}0o{octal[2].lstrip('_')}" if octal else text, 0)


def go_bool(text: str) -> bool:
    """A boolean as Go's ParseBool reads it.

    Raises:
        ValueError: the text is none of Go's twelve spellings.
    """
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("is not a boolean; use true or false")


def comma_list(text: str) -> tuple[str, ...]:
    """The items between commas, without surrounding space; the empty text is the empty list."""
    return tuple(item.strip() for item in text.split(",")) if text else ()


def semicolon_list(text: str) -> tuple[str, ...]:
    """The items between semicolons, trimmed, empty ones dropped."""
    return tuple(item.strip() for item in text.split(";") if item.strip())


def go_map(text: str) -> dict[str, str]:
    """The pairs of `name:value,name:value`.

    Raises:
        ValueError: an item has not exactly one colon.
    """
    items = text.split(",") if text else []
    pairs = [item.split(":") for item in items]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("is not a map; use name:value,name:value")
    return {name: value for name, value in pairs}


def env_assignments(items: tuple[str, ...]) -> tuple[EnvAssignment, ...]:
    """`NAME=value` items.

    Raises:
        ValueError: an item has no `=` or no name.
    """
    assignments = []
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise ValueError("every item must have the form NAME=value")
        assignments.append(EnvAssignment(name.strip(), value))
    return tuple(assignments)


def listen_address(text: str) -> ListenAddress:
    """A Go listen address: `3000`, `:3000`, `127.0.0.1:3000`, `[::1]:3000`.

    Raises:
        ValueError: no port from 0 to 65535 can be read; Kubernetes service links get their own explanation.
    """
    if text.startswith(("tcp://", "udp://")):
        raise ValueError(
            "is a Kubernetes service link, not a port: a Service of this name exists in the namespace;"
            " set enableServiceLinks: false in the pod or rename the Service"
        )
    host, colon, port_text = text.rpartition(":")
    if not colon:
        host, port_text = "", text
    if not (port_text.isascii() and port_text.isdigit() and int(port_text) <= 65535):
        raise ValueError("is not a port; use a number up to 65535 or an address such as 127.0.0.1:3000")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("is not an address; write an IPv6 host in brackets, such as [::1]:3000")
    return ListenAddress(host, int(port_text))
