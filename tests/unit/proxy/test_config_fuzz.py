"""Whatever a setting is set to, the start has a value for it or lines that name what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hypothesis import example, given, settings
from hypothesis import strategies as st

from athens_proxy.config.effective import effective
from athens_proxy.config.load import ConfigError, ConfigFile, load
from athens_proxy.config.sections import Config

PIECES = st.one_of(
    st.sampled_from(["1", "-1", "0x10", "1e9", "9" * 5000, "true", "h", "10m", "3s", "72h", "file:", "\\", "custom:"]),
    st.sampled_from(["http://", "https://[::1", ":80", "u:p@", "redis://", "tcp://", "/", "..", "%zz", ",", ";", "*"]),
    st.sampled_from(["=", "\n", "\udcff", "é", "\u202e", "'", '"', "${HOME}", "\t", " ", "{{", "GOPROXY=", "direct"]),
    st.text(max_size=6),
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)
VALUES = st.recursive(
    st.one_of(TEXTS.map(json.dumps), st.integers().map(str), st.sampled_from(["true", "nan", "-inf", "1979-05-27"])),
    lambda inner: st.lists(inner, max_size=3).map(lambda values: f"[{', '.join(values)}]"),
    max_leaves=4,
)
EXAMPLES = settings().max_examples * 3 // 2  # so much can be written
WORDS = st.sampled_from(["[", "]", "=", "\n", '"', "'", "Port", "Storage", "Storage.Disk", ".", "#", "{", "}", ","])


def loaded(environ: Mapping[str, str], toml: str = "") -> Config:
    return load(["-config_file=config.toml"], environ, lambda _: ConfigFile(toml, 0o644))


ENTRIES = effective(loaded({}))
VARIABLES = sorted({name for entry in ENTRIES for name in entry["environment"]})
KEYS = sorted(entry["key"] for entry in ENTRIES)


def problems_of(environ: Mapping[str, str], toml: str = "") -> tuple[str, ...]:
    """What is wrong with these settings; those that are used can be shown."""
    try:
        json.dumps(effective(loaded(environ, toml)))
    except ConfigError as error:
        return error.problems
    return ()


@settings(max_examples=EXAMPLES)
@example(environ={"ATHENS_INDEX_TYPE": "\udcff"})
@given(environ=st.dictionaries(st.sampled_from(VARIABLES), TEXTS, min_size=1, max_size=4))
def test_any_environment_is_used_or_refused_in_printable_lines(environ: dict[str, str]) -> None:
    assert all(problem.isprintable() for problem in problems_of(environ))


@settings(max_examples=EXAMPLES)
@given(key=st.sampled_from(KEYS), value=VALUES)
def test_any_value_in_the_file_is_used_or_refused_in_printable_lines(key: str, value: str) -> None:
    assert all(problem.isprintable() for problem in problems_of({}, f"{key} = {value}\n"))


@settings(max_examples=EXAMPLES)
@given(toml=st.lists(WORDS | TEXTS, max_size=12).map("".join))
def test_any_file_is_used_or_refused_in_printable_lines(toml: str) -> None:
    assert all(problem.isprintable() for problem in problems_of({}, toml))
