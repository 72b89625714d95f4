"""Every key by both of its environment names, in a file, and by default: which one wins, and what `/-/config` says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from athens_proxy.config.effective import MASK, effective
from athens_proxy.config.load import ConfigError, ConfigFile, load
from athens_proxy.config.reserved import RESERVED, ReservedKey, WhenSet
from athens_proxy.config.sources import prefixed_env

# Two values each for keys that do not take any text; the second is in the file, the first in the environment.
CHOICES = {
    "Port": ("4001", "4002"),
    "PathPrefix": ("/a", "/b"),
    "UpstreamErrors": ("notfound", "strict"),
    "Processes": ("1", "1"),
    "LogLevel": ("warn", "error"),
    "LogFormat": ("json", "plain"),
    "StorageType": ("memory", "disk"),
    "GoBinaryEnvVars": ("GOPROXY=off", "GOPROXY=direct"),
    "NetworkMode": ("offline", "fallback"),
    "DownloadURL": ("https://a.example.com", "https://b.example.com"),
    "GlobalEndpoint": ("https://a.example.com", "https://b.example.com"),
    "ValidatorHook": ("https://a.example.com", "https://b.example.com"),
    "Follow": ("https://a.example.com", "https://b.example.com"),
    "FollowAction": ("both", "prefetch"),
    "Index.MySQL.Protocol": ("unix", "tcp"),
    "SingleFlightType": ("redis", "etcd"),
    "IndexType": ("memory", "none"),
    "TraceExporter": ("jaeger", "otlp"),
    "TraceSamplingFraction": ("0.25", "0.5"),
}
# Keys that are refused alone.
COMPANIONS = {
    "TLSCertFile": {"ATHENS_TLSKEY_FILE": "x"},
    "TLSKeyFile": {"ATHENS_TLSCERT_FILE": "x"},
    "BasicAuthUser": {"BASIC_AUTH_PASS": "x"},
    "BasicAuthPass": {"BASIC_AUTH_USER": "x"},
}


def loaded(environ: Mapping[str, str], toml: str = "") -> dict[str, dict[str, Any]]:
    """What is in force, by key."""
    config = load(["-config_file=c.toml"], environ, lambda _: ConfigFile(toml, 0o644))
    return {entry["key"]: entry for entry in effective(config)}


DEFAULTS = loaded({})
# The parameters of an index's connection are merged with the default ones; see test_replica_settings.py.
KEYS = [key for key in DEFAULTS if not key.endswith(".Params")]


def two_values(key: str) -> tuple[str, str]:
    """Texts that the key takes, as they stand in the environment."""
    default = DEFAULTS[key]["value"]
    if key in CHOICES:
        return CHOICES[key]
    if isinstance(default, bool):
        return "true", "false"
    if isinstance(default, int):
        return "7", "8"
    return ("https://a.example.com", "https://b.example.com") if isinstance(default, list) else ("a", "b")


def shown(key: str, text: str) -> object:
    """A value as `/-/config` shows it."""
    default = DEFAULTS[key]["value"]
    if isinstance(default, bool):
        return text == "true"
    if isinstance(default, int | float):
        return type(default)(text)
    if isinstance(default, list):
        return [text]
    return f":{text}" if key == "Port" else text


def in_file(key: str, text: str) -> str:
    """The line of a file, with the key in lower case, as Athens also reads it."""
    value = shown(key, text)
    return f"{key.lower()} = {json.dumps(text if key == 'Port' else value)}\n"


@pytest.mark.parametrize("key", KEYS)
def test_the_long_name_beats_the_short_one_that_beats_the_file_that_beats_the_default(key: str) -> None:
    first, second = two_values(key)
    long, short = DEFAULTS[key]["environment"]
    extra = COMPANIONS.get(key, {})

    by_long = loaded({long: first, short: second, **extra}, in_file(key, second))[key]
    by_short = loaded({short: first, **extra}, in_file(key, second))[key]
    by_file = loaded(extra, in_file(key, second))[key]

    assert (by_long["source"], by_long["from"]) == ("environment", long)
    assert (by_short["source"], by_short["from"]) == ("environment", short)
    assert (by_file["source"], by_file["from"]) == ("file", key.lower())
    assert (DEFAULTS[key]["source"], DEFAULTS[key]["from"]) == ("default", "")
    assert by_long["value"] in (shown(key, first), MASK)
    assert by_short["value"] in (shown(key, first), MASK)
    assert by_file["value"] in (shown(key, second), MASK)


@pytest.mark.parametrize("key", RESERVED, ids=lambda key: key.toml)
def test_a_key_without_its_part_is_told_about_or_accepted_and_never_unknown(key: ReservedKey) -> None:
    config = ConfigFile(f'{key.toml} = "x"\n', 0o644)
    for environ, name in (
        ({key.env: "x"}, key.env),
        ({prefixed_env(key.toml, key.env): "x"}, "ATHENS_"),
        ({}, key.toml),
    ):
        try:
            said = load(["-config_file=c.toml"], environ, lambda _: config).warnings
            stopped = False
        except ConfigError as error:
            said, stopped = error.problems, True
        about_it = [line for line in said if line.startswith(name)]
        assert stopped == (key.when_set is WhenSet.STOP)
        assert len(about_it) == (key.when_set is not WhenSet.SILENT), said
        assert not [line for line in said if re.search("no setting has this", line)]
