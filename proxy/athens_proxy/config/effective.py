"""The settings as they are in force, with where each came from, for people: secrets are masked; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from athens_proxy.config.sections import Config, Key, Section
from athens_proxy.config.sources import prefixed_env
from athens_proxy.config.values import EnvAssignment, ListenAddress, Secret

MASK: Final = "********"
_USER: Final = re.compile(r"(?<=://)[^/\s,|]*@")
_QUERY: Final = re.compile(r"(://[^\s,|?]*\?)[^\s,|#]+")
# Variables of the go command that hold addresses, patterns and switches; any other might hold a credential.
_SHOWN_VARIABLES: Final = re.compile(r"GO[A-Z0-9]*|CGO_ENABLED|(https?|no)_proxy|GIT_TERMINAL_PROMPT", re.IGNORECASE)


def key_of(section: type[Section], field: str) -> Key:
    """The key of a section's field."""
    return next(item for item in section.model_fields[field].metadata if isinstance(item, Key))


def sections_of(config: Config) -> tuple[Section, ...]:
    """The sections in the order of the class."""
    values = (getattr(config, name) for name in Config.__dataclass_fields__)
    return tuple(value for value in values if isinstance(value, Section))


def effective(config: Config) -> list[dict[str, Any]]:
    """One entry per key: its value, and whether that is the default or came from the file or the environment."""
    return list(_entries(config))


def _entries(config: Config) -> Iterator[dict[str, Any]]:
    for section in sections_of(config):
        for field in type(section).model_fields:
            key = key_of(type(section), field)
            origin = config.origins[key.toml]
            yield {
                "key": key.toml,
                "value": shown(getattr(section, field)),
                "source": origin.source,
                "from": "" if origin.source == "default" else origin.name,
                "environment": [prefixed_env(key.toml, key.env), key.env],
            }


def shown(value: object) -> Any:
    """A value without what is secret in it: whole secrets, and users and queries of addresses."""
    match value:
        case Secret():
            return MASK if value else ""
        case EnvAssignment(name=name, value=text):
            return f"{name}={_masked(text) if _SHOWN_VARIABLES.fullmatch(name) else MASK}"
        case ListenAddress():
            return str(value)
        case str():
            return _masked(value)
        case tuple() | list():
            return [shown(item) for item in value]
        case Mapping():
            return {str(name): shown(item) for name, item in value.items()}
        case _:
            return value


def _masked(text: str) -> str:
    return _QUERY.sub(rf"\1{MASK}", _USER.sub(f"{MASK}@", text))
