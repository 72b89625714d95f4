"""`docs/configuration.md`, written from the table of settings.

Run `PYTHONPATH=tests python -m support.settings_page docs/configuration.md` after a change of the table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from athens_proxy.config.effective import effective
from athens_proxy.config.load import ConfigFile, load
from athens_proxy.config.meanings import MEANINGS
from athens_proxy.config.reserved import RESERVED, WhenSet
from athens_proxy.config.sources import prefixed_env

HEAD = """# Settings

Every setting is a key of the configuration file (`-config_file`, else `./athens.toml`) and an environment variable.
The environment wins over the file, the file over the default. A variable may also be written with its long name, which
wins over the short one: `ATHENS_`, the tables of the key, and the short name (`{long}` for `{key}`).
A variable that is set but empty counts as set, except for `ATHENS_PORT` and `ATHENS_GO_BINARY_ENV_VARS`.

Bad values end the start with one line for each, naming the key as it was written. Names that nothing reads are warned
about. `GET /-/config` shows what is in force and where each value came from, without secrets.

This page is generated from the table that the proxy reads; a test keeps them equal.
"""
DIFFERENCES = (
    (
        "keeps modules in memory by default",
        "keeps them on disk, in the user's data folder, which is logged",
        "memory grows without bound",
    ),
    (
        "asks origins by default (`GOPROXY=direct`)",
        "asks the public Go proxy first, then origins",
        "faster, and it has what vanished",
    ),
    (
        "logs at `debug` by default",
        "logs at `info`",
        "made for production",
    ),
    (
        "checks settings only when a file is loaded",
        "always checks them",
        "a misspelt mode must not start",
    ),
    (
        "ignores unknown keys",
        "warns about each",
        "a misspelt key must not be silent",
    ),
    (
        "ignores one of `TLSCertFile` and `TLSKeyFile` without the other, and half of a user and password",
        "does not start",
        "nobody wants plain http or no password by mistake",
    ),
    (
        "ignores `DefaultDBName` and `DefaultCollectionName` of Mongo in the file",
        "reads them",
        "they were meant",
    ),
    (
        "keeps spaces around the items of lists in the environment",
        "trims them",
        "`a, b` means two addresses",
    ),
    (
        "serves Go's profiles on `PprofPort` with `EnablePprof`",
        "warns that there are none",
        "this is no Go program; `/metrics` has the durations, and py-spy looks into the process",
    ),
    (
        "writes netrc, hgrc and token into the user's HOME",
        "writes them into a private HOME that links to the user's other dot files",
        "the user's own files are left alone",
    ),
    (
        "reads certificates once",
        "reads changed ones within 10 seconds",
        "certificates are renewed",
    ),
    (
        "reads the download file once",
        "watches it",
        "policies change",
    ),
    (
        "calls the validator without a deadline and hides its text",
        "gives it 10 seconds and shows its text to the client",
        "a reason helps",
    ),
    (
        "ends with a panic on an empty version in a filter file",
        "matches nothing with it",
        "the intent is clear",
    ),
    (
        "gives request headers 2 seconds",
        "gives them 10",
        "slow lines exist",
    ),
    (
        "knows only the exporter `otlp`, and logs that any other word exports nothing",
        "exports to `jaeger`, `datadog` and `stackdriver` too, as older releases of Athens did",
        "their settings still exist",
    ),
)


def page() -> str:
    """The whole text."""
    key = "Storage.Disk.RootPath"
    long = prefixed_env(key, "ATHENS_DISK_STORAGE_ROOT")
    lines = [HEAD.format(key=key, long=long), "| key | environment | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*lines, *_rows(), "", *_reserved(), "", *_differences(), ""])


def _rows() -> Iterator[str]:
    for entry in effective(load([], {}, _no_file)):
        yield _row(entry["key"], entry["environment"][-1], _shown(entry["value"]))


def _reserved() -> Iterator[str]:
    yield from ("## Keys without effect", "", "Those marked with * end the start when they have a value.", "")
    yield from ("| key | environment | | meaning |", "|---|---|---|---|")
    for key in RESERVED:
        yield _row(key.toml, key.env, "*" if key.when_set is WhenSet.STOP else "")


def _differences() -> Iterator[str]:
    yield from ("## What differs from Athens", "")
    yield from ("A configuration file and an environment made for Athens load unchanged.", "")
    yield from ("| Athens | this proxy | because |", "|---|---|---|")
    for difference in DIFFERENCES:
        yield f"| {' | '.join(difference)} |"


def _row(key: str, environment: str, default: str) -> str:
    return f"| `{key}` | `{environment}` | {default} | {MEANINGS[key]} |"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value)
    if isinstance(value, dict):
        return ", ".join(f"`{name}: {item}`" for name, item in value.items())
    return f"`{value}`" if value != "" else ""


def _no_file(name: str) -> ConfigFile:
    raise FileNotFoundError(2, "No such file or directory", name)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
