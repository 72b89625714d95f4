"""From file and environment to one raw value per key, with where it came from; pure.

Precedence and names as Athens' envconfig: `ATHENS_<tables>_<NAME>`, then `NAME`, then the file, then the default; a
variable that is set but empty counts as set.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from athens_proxy.config.reserved import RESERVED, ReservedKey, WhenSet
from athens_proxy.config.sections import Key, Origin

_BYTE_ORDER_MARK: Final = "\ufeff"  # some editors begin every file with one
_NOTHING = ("", "0", "f", "F", "FALSE", "false", "False", False, None)
_SERVICE_LINK = re.compile(r"ATHENS_(SERVICE_(HOST|PORT)\w*|PORT_\d+_(TCP|UDP)\w*)", re.ASCII)


def prefixed_env(toml: str, env: str) -> str:
    """The name that envconfig tries first: the prefix, the tables of the TOML path, the plain name."""
    return "_".join(["ATHENS", *(part.upper() for part in toml.split(".")[:-1]), env])


def flattened(text: str) -> dict[str, tuple[str, Any]]:
    """Values of a TOML text by lower-case dotted path, each with the path as written.

    Raises:
        tomllib.TOMLDecodeError: the text is no TOML.
    """
    return dict(_leaves(tomllib.loads(text.removeprefix(_BYTE_ORDER_MARK)), ()))


def _leaves(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, Any]]]:
    for name, value in table.items():
        here = (*path, name)
        written = ".".join(here)
        if isinstance(value, dict):
            yield from _leaves(value, here)
        else:
            yield written.lower(), (written, value)


def found(key: Key, environ: Mapping[str, str], file: Mapping[str, tuple[str, Any]]) -> tuple[Origin, Any] | None:
    """The raw value of a key and where it was found, or None when the default holds.

    Raises:
        InvalidText: the environment's text is not UTF-8 or not of the key's type, or the file has a table there.
    """
    names = [prefixed_env(key.toml, key.env), key.env]
    if key.toml == "Port":
        names.append("PORT")
    for name in names:
        text = environ.get(name)
        if text is None or (key.empty_is_unset and not text.strip()):
            continue
        return Origin(name, "environment"), _from_text(key, name, text)
    if key.default_table is not None:
        return _table(key.toml, key.default_table, file)
    if any(path.startswith(f"{key.toml.lower()}.") for path in file):
        raise InvalidText(f"{key.toml}: is a single setting, not a table; write {key.toml.rpartition('.')[2]} = ...")
    if key.toml.lower() in file:
        written, value = file[key.toml.lower()]
        if not (key.empty_is_unset and value == ""):
            return Origin(written, "file"), value
    return None


def _from_text(key: Key, name: str, text: str) -> object:
    if any("\ud800" <= char <= "\udfff" for char in text):  # how Python shows bytes that are no UTF-8
        raise InvalidText(f"{name}: its value is not UTF-8 text")
    try:
        return key.from_text(text)
    except ValueError as error:
        raise InvalidText(f'{name}: "{text}" {error}') from error


def _table(
    toml: str, default: Mapping[str, str], file: Mapping[str, tuple[str, Any]]
) -> tuple[Origin, dict[str, Any]] | None:
    """The file's entries below a table's path, merged into the default ones; None without any."""
    below = toml.lower() + "."
    entries = {written.rpartition(".")[2]: value for path, (written, value) in file.items() if path.startswith(below)}
    return (Origin(toml, "file"), {**default, **entries}) if entries else None


class InvalidText(ValueError):
    """A variable's text, or what the file holds, is not of the key's type; the message names the variable or key."""


def reserved_findings(environ: Mapping[str, str], file: Mapping[str, tuple[str, Any]]) -> tuple[list[str], list[str]]:
    """Problems and warnings about keys whose part of the proxy is not in this build."""
    problems: list[str] = []
    warnings: list[str] = []
    for key in RESERVED:
        name, value = _reserved_value(key, environ, file)
        if key.when_set is WhenSet.SILENT or value in _NOTHING:
            continue
        (problems if key.when_set is WhenSet.STOP else warnings).append(f"{name}: {key.verdict}")
    return problems, warnings


def _reserved_value(
    key: ReservedKey, environ: Mapping[str, str], file: Mapping[str, tuple[str, Any]]
) -> tuple[str, Any]:
    for name in (prefixed_env(key.toml, key.env), key.env):
        if name in environ:
            return name, environ[name]
    return file.get(key.toml.lower(), (key.toml, None))


def unknown_names(
    keys: Mapping[str, Key], environ: Mapping[str, str], file: Mapping[str, tuple[str, Any]]
) -> list[str]:
    """Warnings for `ATHENS_*` variables and file keys that nothing reads; service links are not meant for us."""
    rows = [(key.toml, key.env) for key in keys.values()] + [(key.toml, key.env) for key in RESERVED]
    known_env = {name for toml, env in rows for name in (prefixed_env(toml, env), env)}
    known_toml = {toml.lower() for toml, _ in rows}
    strange_env = (
        name
        for name in sorted(environ)
        if name.startswith("ATHENS_") and name not in known_env and not _SERVICE_LINK.fullmatch(name)
    )
    strange_toml = (written for path, (written, _) in sorted(file.items()) if not _is_known(path, known_toml))
    return [
        *(f"{name}: no setting has this environment name; it has no effect" for name in strange_env),
        *(f"{name}: no setting has this name in the configuration file; it has no effect" for name in strange_toml),
    ]


def _is_known(path: str, known: set[str]) -> bool:
    parents = [path.rpartition(".")[0]]  # a table of free entries such as Index.Postgres.Params
    return path in known or any(parent in known for parent in parents)
