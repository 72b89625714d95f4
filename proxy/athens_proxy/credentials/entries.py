"""The credentials file: a JSON text without secrets becomes entries, once, at the start; pure.

Source: docs/credentials-file.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from athens_proxy.credentials.places import Match

MAX_ENTRIES: Final = 64
_MAX_REWRITES: Final = 8
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?\Z")
_FILE_NAME: Final = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._-]{1,253}\Z")
_NUMBER: Final = re.compile(r"[0-9]{1,20}\Z")
_REWRITTEN: Final = re.compile(r"[a-z][a-z0-9+]*://[^\s\"'\\]{1,500}\Z")
_USER: Final = re.compile(r"[A-Za-z0-9._@+-]{1,128}\Z")


class InvalidCredentials(ValueError):
    """The text is no credentials file; the message names the entry, the key and what is allowed."""


class Kind(StrEnum):
    """What a credential is."""

    BASIC = "basic"
    TOKEN = "token"  # noqa: S105 - the word for it
    GITHUB_APP = "githubApp"
    COMMAND = "command"
    SSH = "ssh"
    NETRC = "netrc"
    GIT_CONFIG = "gitConfig"
    HGRC = "hgrc"


FILES: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.BASIC: ("username", "password"),
    Kind.TOKEN: ("token",),
    Kind.GITHUB_APP: ("private-key.pem",),
    Kind.COMMAND: (),
    Kind.SSH: ("ssh-privatekey", "known_hosts"),
    Kind.NETRC: ("netrc",),
    Kind.GIT_CONFIG: ("gitconfig",),
    Kind.HGRC: ("hgrc",),
}
"""The names of each kind's files in the entry's folder."""

FILE_KINDS: Final = frozenset({Kind.NETRC, Kind.GIT_CONFIG, Kind.HGRC})
HTTP_KINDS: Final = frozenset({Kind.BASIC, Kind.TOKEN, Kind.GITHUB_APP, Kind.COMMAND})
_KEYS: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.TOKEN: frozenset({"username"}),
    Kind.GITHUB_APP: frozenset({"appID", "installationID", "apiURL"}),
    Kind.COMMAND: frozenset({"command"}),
    Kind.SSH: frozenset({"username", "port", "insteadOf", "insecureIgnoreHostKey"}),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One credential, without its secrets.

    Attributes:
        name: unique in the file.
        kind: what it is.
        match: the places it is for; None for the kinds that are whole files.
        files: the path of each of its files, by the names in `FILES`.
        username: as written; "" for the kind's own.
        port: of ssh.
        instead_of: addresses that become ssh addresses.
        checks_host_key: whether ssh's known hosts are enforced.
        app_id: of a GitHub App.
        installation_id: of a GitHub App.
        api_url: where the App's tokens are made, without a slash at its end.
        command: program and arguments.
    """

    name: str
    kind: Kind
    match: Match | None
    files: Mapping[str, Path] = field(default_factory=dict)
    username: str = ""
    port: int = 22
    instead_of: tuple[str, ...] = ()
    checks_host_key: bool = True
    app_id: str = ""
    installation_id: str = ""
    api_url: str = ""
    command: tuple[str, ...] = ()


def parse_entries(text: str, *, folder: Path) -> tuple[Entry, ...]:
    """The entries of a credentials file, in its order.

    Args:
        text: the JSON.
        folder: where the JSON file lies.

    Raises:
        InvalidCredentials: see the class.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidCredentials(f"it is no JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("credentials"), list):
        raise InvalidCredentials('it must be an object with the list "credentials"')
    _refuse_unknown(document, frozenset({"dir", "credentials"}), "")
    secrets = folder / _text(document, "dir", "", default="credentials")
    listed = document["credentials"]
    if len(listed) > MAX_ENTRIES:
        raise InvalidCredentials(f"credentials: {len(listed)} entries; use at most {MAX_ENTRIES}")
    entries = tuple(_entry(item, number, secrets) for number, item in enumerate(listed))
    _refuse_repeated(entries)
    return entries


def _entry(item: object, number: int, secrets: Path) -> Entry:
    where = f"credentials[{number}]"
    if not isinstance(item, dict):
        raise InvalidCredentials(f"{where}: must be an object")
    name = _text(item, "name", where)
    if not _NAME.match(name):
        raise InvalidCredentials(f"{where}.name: use at most 63 small letters, digits, dots and dashes")
    where = f"credentials[{name}]"
    kind = _kind(item, where)
    is_file = kind in FILE_KINDS
    keys = _KEYS.get(kind, frozenset()) | {"name", "type", "files"} | (frozenset() if is_file else {"match"})
    _refuse_unknown(item, keys, where)
    match = None if is_file else _match(item, kind, where)
    return Entry(
        name,
        kind,
        match,
        files=_files(item, kind, secrets / name, where),
        username=_username(item, where),
        port=_port(item, where),
        instead_of=_instead_of(item, match, where) if kind is Kind.SSH else (),
        checks_host_key=not _switch(item, "insecureIgnoreHostKey", where),
        app_id=_number(item, "appID", where) if kind is Kind.GITHUB_APP else "",
        installation_id=_number(item, "installationID", where) if kind is Kind.GITHUB_APP else "",
        api_url=_api_url(item, match, where) if kind is Kind.GITHUB_APP and match else "",
        command=_command(item, where) if kind is Kind.COMMAND else (),
    )


def _kind(item: Mapping[str, Any], where: str) -> Kind:
    word = _text(item, "type", where)
    try:
        return Kind(word)
    except ValueError as error:
        raise InvalidCredentials(f"{where}.type: use one of {', '.join(Kind)}") from error


def _match(item: Mapping[str, Any], kind: Kind, where: str) -> Match:
    text = _text(item, "match", where)
    try:
        match = Match.parse(text)
    except ValueError as error:
        raise InvalidCredentials(f"{where}.match: {error}") from error
    if kind is Kind.SSH and match.port:
        raise InvalidCredentials(f"{where}.match: write the port of ssh as port")
    return match


def _files(item: Mapping[str, Any], kind: Kind, folder: Path, where: str) -> dict[str, Path]:
    named = item.get("files", {})
    if not isinstance(named, dict):
        raise InvalidCredentials(f"{where}.files: must be an object")
    _refuse_unknown(named, frozenset(FILES[kind]), f"{where}.files")
    files = {}
    for name in FILES[kind]:
        actual = _text(named, name, f"{where}.files", default=name)
        if not _FILE_NAME.match(actual):
            raise InvalidCredentials(f"{where}.files.{name}: use the name of a file in the entry's folder")
        files[name] = folder / actual
    return files


def _username(item: Mapping[str, Any], where: str) -> str:
    name = _text(item, "username", where, default="")
    if name and not _USER.match(name):
        raise InvalidCredentials(f"{where}.username: use letters, digits and . _ @ + -")
    if name.startswith("-"):
        raise InvalidCredentials(f"{where}.username: must not begin with a dash")
    return name


def _port(item: Mapping[str, Any], where: str) -> int:
    port = item.get("port", 22)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        raise InvalidCredentials(f"{where}.port: use a number from 1 to 65535")
    return port


def _instead_of(item: Mapping[str, Any], match: Match | None, where: str) -> tuple[str, ...]:
    urls = item.get("insteadOf", [f"https://{match}"])
    if not isinstance(urls, list) or len(urls) > _MAX_REWRITES:
        raise InvalidCredentials(f"{where}.insteadOf: must be a list of at most {_MAX_REWRITES} addresses")
    for url in urls:
        if not isinstance(url, str) or not _REWRITTEN.match(url) or "@" in url:
            raise InvalidCredentials(f"{where}.insteadOf: use addresses such as https://git.example.com/team/")
    return tuple(urls)


def _switch(item: Mapping[str, Any], key: str, where: str) -> bool:
    value = item.get(key, False)
    if not isinstance(value, bool):
        raise InvalidCredentials(f"{where}.{key}: use true or false")
    return value


def _number(item: Mapping[str, Any], key: str, where: str) -> str:
    value = item.get(key)
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not _NUMBER.match(text):
        raise InvalidCredentials(f"{where}.{key}: must be the number that GitHub shows")
    return text


def _api_url(item: Mapping[str, Any], match: Match, where: str) -> str:
    port = f":{match.port}" if match.port else ""
    default = "https://api.github.com" if match.host == "github.com" else f"https://{match.host}{port}/api/v3"
    url = _text(item, "apiURL", where, default=default).rstrip("/")
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc and not parts.query
    except ValueError:
        is_sound = False
    if not is_sound:
        raise InvalidCredentials(f"{where}.apiURL: use an https:// address without user name and query")
    return url


def _command(item: Mapping[str, Any], where: str) -> tuple[str, ...]:
    words = item.get("command")
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
        raise InvalidCredentials(f"{where}.command: must be a list of program and arguments")
    return tuple(words)


def _text(item: Mapping[str, Any], key: str, where: str, *, default: str | None = None) -> str:
    value = item.get(key, default)
    place = f"{where}.{key}" if where else key
    if value is None:
        raise InvalidCredentials(f"{place}: is missing")
    if not isinstance(value, str) or "\0" in value:
        raise InvalidCredentials(f"{place}: must be a text")
    return value


def _refuse_unknown(item: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    for key in item:
        if key not in known:
            place = f"{where}: " if where else ""
            raise InvalidCredentials(f"{place}unknown key {key[:40]!r}; use {', '.join(sorted(known))}")


def _refuse_repeated(entries: tuple[Entry, ...]) -> None:
    names: set[str] = set()
    kinds: set[Kind] = set()
    for entry in entries:
        if entry.name in names:
            raise InvalidCredentials(f"credentials[{entry.name}]: the name is used twice")
        if entry.kind in kinds and entry.kind in FILE_KINDS:
            raise InvalidCredentials(f"credentials[{entry.name}]: there is another entry of type {entry.kind}")
        names.add(entry.name)
        kinds.add(entry.kind)
