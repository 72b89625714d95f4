"""`athens-proxy purge MODULE@VERSION…`: take versions out of a store for good, while proxies may serve it.

Each version is deleted and gets a tombstone in the store: every proxy on it refuses the version from then on, within
seconds, and does not fetch it again. With `--allow-refetch` there is no tombstone, and an older one is taken away.
One JSON line for each version is written to standard error, for audits, and one JSON document to standard output.
Exit status: 0 when all is done, 1 when something failed or the store cannot be opened, 2 for a wrong command line, 130
when interrupted. Running it again changes nothing.
"""

from __future__ import annotations

import argparse
import getpass
import json
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import uvloop

from athens_proxy.commands.summary import told
from athens_proxy.config.load import ConfigError, ReadFile, load
from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart, ModuleNotFound, ProxyError
from athens_proxy.modules import ModuleVersion
from athens_proxy.retention.purges import allow, buried_in, bury, stamp
from athens_proxy.retention.tombstones import MAX_REASON, BadPurgeList, Tombstone, purgeable
from athens_proxy.storage.storage import Storage
from athens_proxy.stores import open_storage

_OF_ONE_PROCESS: Final = "memory"


def main(argv: Sequence[str], environ: Mapping[str, str], read_file: ReadFile) -> int:
    """Run the command; returns its exit status.

    Args:
        argv: what follows `purge`.
        environ: the process environment.
        read_file: reads configuration files.
    """
    asked = _parser().parse_args(argv)
    try:
        versions = [_named(text) for text in asked.versions]
        if not versions and not asked.list:
            raise BadPurgeList("name at least one version as MODULE@VERSION, or ask for --list")
        config = load(["-config_file", asked.config_file] if asked.config_file else [], environ, read_file)
        done = uvloop.run(_run(config, environ, versions, asked))
    except KeyboardInterrupt:
        return told("interrupted; run the same command again", 130)
    except BadPurgeList as error:
        return told(str(error), 2)
    except (ConfigError, CannotStart, ProxyError) as error:
        return told(str(error), 1)
    sys.stdout.write(json.dumps(done, indent=2) + "\n")
    return 1 if done.get("failed") else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="athens-proxy purge",
        description="Delete module versions from the store and keep them out of every proxy that uses it.",
        epilog="The store is that of the configuration file and the environment (docs/guides/retention.md).",
    )
    parser.add_argument("versions", nargs="*", metavar="MODULE@VERSION", help="a canonical version of a module")
    parser.add_argument("-config_file", "--config_file", default="", metavar="PATH", help="of the proxy")
    parser.add_argument("--reason", type=_reason, default="", metavar="TEXT", help="why, in one line; clients see it")
    parser.add_argument("--allow-refetch", action="store_true", help="delete only: the version may be fetched again")
    parser.add_argument("--list", action="store_true", help="print what was purged, and change nothing")
    return parser


def _reason(text: str) -> str:
    if len(text) > MAX_REASON or not text.isprintable():
        raise argparse.ArgumentTypeError(f"use one printable line of at most {MAX_REASON} characters")
    return text


def _named(text: str) -> ModuleVersion:
    module, at, version = text.rpartition("@")
    if not at:
        raise BadPurgeList(f"{text}: name a version as MODULE@VERSION")
    return purgeable(module, version)


async def _run(
    config: Config, environ: Mapping[str, str], versions: Sequence[ModuleVersion], asked: argparse.Namespace
) -> dict[str, Any]:
    if config.storage.type == _OF_ONE_PROCESS:
        name = config.origins["StorageType"].name
        raise CannotStart(f'{name}: "memory" is a store inside the proxy; list the versions in its PurgeFile')
    storage = await open_storage(config, environ)
    try:
        if asked.list:
            return {"purged": [asdict(tombstone) for tombstone in (await buried_in(storage)).values()]}
        if not asked.allow_refetch:
            await bury(storage, {wanted: _tombstone(wanted, asked.reason) for wanted in versions})
        return _summary([await _purged(storage, wanted, asked) for wanted in versions])
    finally:
        await storage.close()


def _tombstone(wanted: ModuleVersion, reason: str) -> Tombstone:
    return Tombstone(wanted.path.text, wanted.version, reason, at=stamp(), by=_who())


async def _purged(storage: Storage, wanted: ModuleVersion, asked: argparse.Namespace) -> dict[str, Any]:
    line: dict[str, Any] = {
        "audit": "purge",
        "at": stamp(),
        "by": _who(),
        "module": wanted.path.text,
        "version": wanted.version,
        "reason": asked.reason,
        "refetch": asked.allow_refetch,
    }
    try:
        if asked.allow_refetch:
            line["tombstone_removed"] = await allow(storage, wanted)
        try:
            await storage.delete(wanted)
            line["was_stored"] = True
        except ModuleNotFound:
            line["was_stored"] = False
    except ProxyError as error:
        line["error"] = str(error)
    sys.stderr.write(json.dumps(line) + "\n")
    return line


def _summary(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    versions = [{name: value for name, value in line.items() if name not in ("audit", "by")} for line in lines]
    return {"purged": len(versions), "failed": sum("error" in line for line in versions), "versions": versions}


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
