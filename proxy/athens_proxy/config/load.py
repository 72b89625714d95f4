"""`load()`: arguments, environment and file become one frozen `Config`, or every problem at once."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from athens_proxy.config.client_section import ClientSection
from athens_proxy.config.credential_section import CredentialSection
from athens_proxy.config.event_section import EventSection
from athens_proxy.config.object_section import ObjectSection, missing_settings
from athens_proxy.config.remote_section import RemoteSection, missing_addresses
from athens_proxy.config.replica_section import IndexSection, LockSection
from athens_proxy.config.retention_section import RetentionSection
from athens_proxy.config.sections import (
    Config,
    Key,
    LogSection,
    Origin,
    PolicySection,
    Section,
    ServerSection,
    StorageSection,
    UpstreamSection,
)
from athens_proxy.config.sources import InvalidText, flattened, found, reserved_findings, unknown_names
from athens_proxy.config.trace_section import TraceSection
from athens_proxy.config.values import Secret

DEFAULT_FILE = "athens.toml"
GROUP_OR_OTHER_MAY_WRITE_OR_RUN = 0o033
_S = TypeVar("_S", bound=Section)


class ConfigError(Exception):
    """The settings cannot be used.

    Args:
        problems: one line each, beginning with the key as the user wrote it.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UsageError(Exception):
    """The command line is not one of ours."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the command line asks for; `config_file` is "" when none is named, `ignored` is what follows the flags."""

    config_file: str = ""
    version: bool = False
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file that was read: its text and its permission bits."""

    text: str
    mode: int


ReadFile = Callable[[str], ConfigFile]


def arguments(argv: Sequence[str]) -> Arguments:
    """The flags in Go's notation: `-flag value`, `--flag=value`; positional arguments are ignored, as in Athens.

    Raises:
        UsageError: an unknown flag, or one without its value.
    """
    result = Arguments()
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "--"):
        name, equals, value = rest.pop(0).lstrip("-").partition("=")
        if name == "version" and not equals:
            result = Arguments(result.config_file, version=True)
        elif name == "config_file":
            if not equals:
                if not rest:
                    raise UsageError("flag needs an argument: -config_file")
                value = rest.pop(0)
            result = Arguments(value, result.version)
        else:
            raise UsageError(f"flag provided but not defined: -{name}")
    return replace(result, ignored=tuple(rest))


def load(argv: Sequence[str], environ: Mapping[str, str], read_file: ReadFile) -> Config:
    """The settings from the file named in `argv` (else `./athens.toml` when it exists) and the environment.

    Args:
        argv: the command line without the program's name.
        environ: the process environment.
        read_file: reads a file; its `FileNotFoundError` is expected for the default file.

    Raises:
        ConfigError: every problem found, one line each.
        UsageError: see `arguments`.
    """
    asked = arguments(argv)
    file_name, file = _read(asked.config_file, read_file)
    values = _flattened(file_name, file)
    problems, warnings = reserved_findings(environ, values)
    reader = _Reader(environ, values)
    config = Config(
        server=reader.section(ServerSection),
        log=reader.section(LogSection),
        traces=reader.section(TraceSection),
        storage=reader.section(StorageSection),
        objects=reader.section(ObjectSection),
        remotes=reader.section(RemoteSection),
        upstream=reader.section(UpstreamSection),
        policy=reader.section(PolicySection),
        credentials=reader.section(CredentialSection),
        clients=reader.section(ClientSection),
        lock=reader.section(LockSection),
        index=reader.section(IndexSection),
        retention=reader.section(RetentionSection),
        events=reader.section(EventSection),
        origins=reader.origins,
        warnings=(*warnings, *unknown_names(reader.keys, environ, values), *_no_file(file), *_not_read(asked.ignored)),
    )
    problems = [*reader.problems, *problems, *_problems_between_keys(config, file_name, file)]
    if problems:
        raise ConfigError(*problems)
    return config


def _not_read(arguments: Sequence[str]) -> list[str]:
    if not arguments:
        return []
    return [f"argument {arguments[0]!r}: it is no command of athens-proxy; it and what follows has no effect"]


def _no_file(file: ConfigFile | None) -> list[str]:
    return [] if file else ["no configuration file is given: default settings, overridden by the environment"]


def _read(named: str, read_file: ReadFile) -> tuple[str, ConfigFile | None]:
    name = named or DEFAULT_FILE
    try:
        return name, read_file(name)
    except (OSError, UnicodeDecodeError) as error:
        if not named and isinstance(error, FileNotFoundError):
            return name, None
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8 text"
        raise ConfigError(f"-config_file: {name} cannot be read: {why}") from error


def _flattened(name: str, file: ConfigFile | None) -> dict[str, tuple[str, Any]]:
    if file is None:
        return {}
    try:
        return flattened(file.text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: {' '.join(str(error).split())}") from error


def _keys(section: type[Section]) -> dict[str, Key]:
    return {
        name: next(item for item in field.metadata if isinstance(item, Key))
        for name, field in section.model_fields.items()
    }


class _Reader:
    """Reads sections one after the other and collects what is wrong."""

    def __init__(self, environ: Mapping[str, str], file: Mapping[str, tuple[str, Any]]) -> None:
        self._environ = environ
        self._file = file
        self.problems: list[str] = []
        self.origins: dict[str, Origin] = {}
        self.keys: dict[str, Key] = {}

    def section(self, section: type[_S]) -> _S:
        """The section, or its defaults when something was wrong."""
        raw: dict[str, Any] = {}
        keys = _keys(section)
        for name, key in keys.items():
            self.keys[key.toml] = key
            self.origins[key.toml] = Origin(key.toml, "default")
            try:
                value = found(key, self._environ, self._file)
            except InvalidText as error:
                self.problems.append(_one_line(str(error)))
                continue
            if value is not None:
                self.origins[key.toml], raw[name] = value
        try:
            return section.model_validate(raw)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                key = keys[str(detail["loc"][0])]
                self.problems.append(_one_line(f"{self.origins[key.toml].name}: {_explained(detail)}"))
            return section()


_EXPLANATIONS: Mapping[str, str] = {
    "athens": "{message}",
    "greater_than_equal": "{shown} is not allowed; use {ge} or more",
    "less_than_equal": "{shown} is not allowed; use {le} or less",
    "string_too_short": "must not be empty",
    "int_type": "{shown} is not an integer",
    "bool_type": "{shown} is not a boolean; use true or false",
    "string_type": "{shown} is not a text; put it in quotes",
    "dataclass_exact_type": "{shown} is not a text; put it in quotes",
    "dataclass_type": "{shown} is not a text; put it in quotes",
    "is_instance_of": "{shown} is not a text; put it in quotes",
    "tuple_type": "must be a list of texts",  # not shown: the environment of the go command may hold credentials
}


def _explained(detail: ErrorDetails) -> str:
    """A pydantic finding in the words of this program."""
    explanation = _EXPLANATIONS.get(detail["type"], "{shown} is not allowed")
    return explanation.format_map({"shown": _shown(detail["input"]), **detail.get("ctx", {})})


def _shown(value: object) -> str:
    if isinstance(value, Secret):
        return repr(value)
    return f'"{value}"' if isinstance(value, str) else str(value)


def _one_line(text: str) -> str:
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return printable if len(printable) <= 400 else printable[:400] + "…"


def _problems_between_keys(config: Config, file_name: str, file: ConfigFile | None) -> list[str]:
    """What breaks the rules that need more than one key."""
    server = config.server
    problems = missing_settings(config.storage.type, config.objects, lambda key: config.origins[key].name)
    problems += missing_addresses(config.storage.type, config.remotes, lambda key: config.origins[key].name)
    if bool(server.tls_cert_file) != bool(server.tls_key_file):
        missing, given = ("TLSKeyFile", "TLSCertFile") if server.tls_cert_file else ("TLSCertFile", "TLSKeyFile")
        problems.append(f"{config.origins[given].name}: needs {missing} as well")
    if bool(server.basic_auth_user) != bool(server.basic_auth_pass):
        given, missing = "BasicAuthUser", "BasicAuthPass"
        if server.basic_auth_pass:
            given, missing = missing, given
        problems.append(f"{config.origins[given].name}: needs {missing} as well")
    if config.credentials.github_token and config.credentials.netrc_path:
        problems.append(f"{config.origins['GithubToken'].name}: cannot provide both GithubToken and NETRCPath")
    if file and config.log.go_env == "production" and file.mode & GROUP_OR_OTHER_MAY_WRITE_OR_RUN:
        problems.append(f"{file_name}: others than its owner may write or execute it; run chmod 0644 {file_name}")
    return problems
