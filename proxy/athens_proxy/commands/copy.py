"""`athens-proxy copy --from ADDRESS --to ADDRESS`: move what a store holds to another one, while both may serve.

Prints one JSON document. Exit status: 0 when the target holds everything, 1 when something failed or a store cannot be
opened, 2 for a wrong command line, 130 when interrupted. Running the same command again goes on where it ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import uvloop

from athens_proxy.commands import addresses
from athens_proxy.commands.addresses import InvalidAddress
from athens_proxy.commands.copying import Copied, Copying, Outcome, stored_versions
from athens_proxy.commands.progress import ProgressBar
from athens_proxy.commands.summary import told
from athens_proxy.config.load import ConfigError, ReadFile, load
from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart, NotSupported, ProxyError
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage.disk import DiskStorage
from athens_proxy.storage.storage import Storage
from athens_proxy.stores import open_storage

WORKERS: Final = 4
MAX_FAILURES_SHOWN: Final = 100


def main(argv: Sequence[str], environ: Mapping[str, str], read_file: ReadFile) -> int:
    """Run the command; returns its exit status.

    Args:
        argv: what follows `copy`.
        environ: the process environment: credentials, and the settings behind `config:` addresses.
        read_file: reads configuration files.
    """
    asked = _parser().parse_args(argv)
    begun = time.monotonic()
    try:
        tally = _run(asked, environ, read_file)
    except KeyboardInterrupt:
        return told("interrupted; run the same command again to go on", 130)
    except InvalidAddress as error:
        return told(str(error), 2)
    except NotSupported as error:
        return told(f"{error}; name the versions with --modules FILE, or copy from the store behind it", 1)
    except (ConfigError, CannotStart, ProxyError) as error:
        return told(str(error), 1)
    print(json.dumps(summary(asked.source, asked.target, tally, elapsed_s=time.monotonic() - begun), indent=2))
    return 1 if tally.stopped or tally.outcomes[Outcome.FAILED] else 0


def _run(asked: argparse.Namespace, environ: Mapping[str, str], read_file: ReadFile) -> Copied:
    stores = [(address, _config(address, environ, read_file)) for address in (asked.source, asked.target)]
    versions = _listed(asked.modules) if asked.modules else None
    return uvloop.run(_copied(stores, environ, versions, asked.workers))


def summary(source: str, target: str, tally: Copied, *, elapsed_s: float) -> dict[str, Any]:
    """The document that the command prints; addresses without secrets, at most `MAX_FAILURES_SHOWN` failures."""
    return {
        "from": addresses.shown(source),
        "to": addresses.shown(target),
        "found": tally.found,
        **{str(outcome): count for outcome, count in tally.outcomes.items()},
        "bytes": tally.copied_bytes,
        "seconds": round(elapsed_s, 3),
        "stopped": tally.stopped,
        "failures": [
            {"module": wanted.path.text, "version": wanted.version, "reason": reason}
            for wanted, reason in tally.failures[:MAX_FAILURES_SHOWN]
        ],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="athens-proxy copy",
        description="Copy every stored module version into another store; what is there already is left alone.",
        epilog=f"Addresses: {addresses.FORMS} (docs/guides/copy.md). Credentials come from the environment.",
    )
    parser.add_argument("--from", dest="source", required=True, metavar="ADDRESS", help="the store to read")
    parser.add_argument("--to", dest="target", required=True, metavar="ADDRESS", help="the store to fill")
    parser.add_argument("--modules", type=Path, metavar="FILE", help="copy only these: one module@version a line")
    parser.add_argument("--workers", type=_count, default=WORKERS, metavar="N", help="versions at a time (4)")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("use a number from 1 to 64")
    return int(text)


def _config(address: str, environ: Mapping[str, str], read_file: ReadFile) -> Config:
    if address.startswith(addresses.CONFIG):
        return load(["-config_file", address.removeprefix(addresses.CONFIG)], environ, read_file)

    def no_file(name: str) -> Any:
        raise FileNotFoundError(name)

    return load([], {**environ, **addresses.settings_of(address)}, no_file)


def _listed(file: Path) -> list[ModuleVersion]:
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"--modules {file}: it cannot be read: {error}") from error
    versions = []
    for line in filter(None, lines):
        path, _, version = line.partition("@")
        versions.append(ModuleVersion.parse(ModulePath.parse(path), version))
    return versions


async def _copied(
    stores: Sequence[tuple[str, Config]],
    environ: Mapping[str, str],
    versions: list[ModuleVersion] | None,
    workers: int,
) -> Copied:
    async with AsyncExitStack() as closing:
        opened: list[Storage] = []
        for address, config in stores:
            opened.append(await _opened(address, config, environ))
            closing.push_async_callback(opened[-1].close)
        if versions is None:
            versions = await stored_versions(opened[0])
        progress = ProgressBar(sys.stderr)
        closing.callback(progress.close)
        copying = Copying(opened[0], opened[1], await _scratch(opened[1]), on_progress=progress.show)
        return await copying.run(versions, workers=workers)


async def _opened(address: str, config: Config, environ: Mapping[str, str]) -> Storage:
    try:
        return await open_storage(config, environ)
    except CannotStart as error:
        if address.startswith(addresses.CONFIG):
            raise
        reason = str(error).partition(": ")[2]  # without the setting that the address stands for
        raise CannotStart(f"{addresses.shown(address)}: {reason}") from error


async def _scratch(target: Storage) -> Path:
    """Where zips wait: a disk store takes them over by renaming."""
    return target.scratch if isinstance(target, DiskStorage) else Path(await asyncio.to_thread(tempfile.gettempdir))
