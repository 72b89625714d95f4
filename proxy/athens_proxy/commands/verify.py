"""`athens-proxy verify`: compare what the store holds with the sums it was saved under, while proxies may serve it.

With `--sumdb` the sums are compared with those of the checksum database as well, for modules that are not private.
Prints one JSON document. Exit status: 0 when all is sound, 1 when something is damaged or cannot be read, 2 for a wrong
command line, 130 when interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvloop

from athens_proxy.checksums.tlog import HASH_BYTES, TileAt
from athens_proxy.checksums.verifier import Sums, Verifier
from athens_proxy.commands.copying import stored_versions
from athens_proxy.commands.own_proxy import own_proxy, settings_inside
from athens_proxy.commands.progress import ProgressBar
from athens_proxy.commands.proxy_client import ProxyClient
from athens_proxy.commands.summary import failures_of, told
from athens_proxy.commands.trust import Trust, trust_of
from athens_proxy.commands.verifying import BAD, Verified, Verifying, Vouch, sample
from athens_proxy.config.load import ConfigError, ReadFile
from athens_proxy.config.sections import Config
from athens_proxy.config.sources import prefixed_env
from athens_proxy.errors import CannotStart, NotSupported, ProxyError
from athens_proxy.modules import ModuleVersion
from athens_proxy.stores import open_storage
from athens_proxy.upstream.sumdb_requests import MAX_LOOKUP_BYTES, Lookup

WORKERS: Final = 4
_KEEPS_ALL: Final = {
    ("Retention.MaxBytes", "ATHENS_RETENTION_MAX_BYTES"): "0",
    ("Retention.MaxIdle", "ATHENS_RETENTION_MAX_IDLE"): "0",
    ("Retention.DryRun", "ATHENS_RETENTION_DRY_RUN"): "false",
}


def main(argv: Sequence[str], environ: Mapping[str, str], read_file: ReadFile) -> int:
    """Run the command; returns its exit status.

    Args:
        argv: what follows `verify`.
        environ: the process environment.
        read_file: reads configuration files.
    """
    asked = _parser().parse_args(argv)
    begun = time.monotonic()
    try:
        quiet = {**environ, **{prefixed_env(toml, env): value for (toml, env), value in _KEEPS_ALL.items()}}
        config = settings_inside(asked.config_file, quiet, read_file)
        stored, tally = uvloop.run(_verified(config, quiet, asked))
    except KeyboardInterrupt:
        return told("interrupted", 130)
    except NotSupported as error:
        return told(f"{error}; verify the store behind it", 1)
    except (ConfigError, CannotStart, ProxyError) as error:
        return told(str(error), 1)
    sys.stdout.write(json.dumps(_summary(stored, tally, elapsed_s=time.monotonic() - begun), indent=2) + "\n")
    return 1 if any(tally.outcomes[outcome] for outcome in BAD) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="athens-proxy verify",
        description="Compare stored zips and go.mod files with the sums that they were saved under.",
        epilog="The store is that of the configuration file and the environment (docs/guides/retention.md).",
    )
    parser.add_argument("-config_file", "--config_file", default="", metavar="PATH", help="of the proxy")
    parser.add_argument("--sample", type=_count, metavar="N", help="only so many versions, chosen by chance")
    parser.add_argument("--sumdb", action="store_true", help="also ask the checksum database, through the settings")
    parser.add_argument("--workers", type=_count, default=WORKERS, metavar="N", help="versions at a time (4)")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError("use a number from 1 on")
    return int(text)


async def _verified(config: Config, environ: Mapping[str, str], asked: argparse.Namespace) -> tuple[int, Verified]:
    """How many versions the store holds, and what was found."""
    async with AsyncExitStack() as closing:
        storage = await open_storage(config, environ)
        closing.push_async_callback(storage.close)
        vouch = await closing.enter_async_context(_database(config, environ)) if asked.sumdb else None
        versions = await stored_versions(storage)
        chosen = sample(versions, asked.sample) if asked.sample else versions
        progress = ProgressBar(sys.stderr)
        closing.callback(progress.close)
        scratch = Path(config.upstream.go_get_dir or tempfile.gettempdir())
        verifying = Verifying(storage, scratch, vouch=vouch, on_progress=progress.show)
        return len(versions), await verifying.run(chosen, workers=min(asked.workers, 64))


def _summary(stored: int, tally: Verified, *, elapsed_s: float) -> dict[str, Any]:
    return {
        "stored": stored,
        "checked": tally.done,
        **{str(outcome): count for outcome, count in tally.outcomes.items()},
        "vouched": tally.vouched,
        "bytes": tally.copied_bytes,
        "seconds": round(elapsed_s, 3),
        "failures": failures_of(tally.failures),
    }


@asynccontextmanager
async def _database(config: Config, environ: Mapping[str, str]) -> AsyncIterator[Vouch]:
    """Asks the checksum database of the settings, through what the proxy keeps of it."""
    trust = trust_of(config)
    if trust.key is None:
        raise CannotStart("--sumdb: the settings name no checksum database (SumDBs, GOSUMDB of GoBinaryEnvVars)")
    async with own_proxy(config, environ, connections=WORKERS) as client:
        yield _vouch(trust, Verifier(trust.key, _RelayedTree(client, trust.key.name)))


def _vouch(trust: Trust, verifier: Verifier) -> Vouch:
    async def vouch(wanted: ModuleVersion, sums: Sums) -> bool:
        if not trust.needs_record(wanted):
            return False
        (await verifier.vouched(wanted)).check(sums)
        return True

    return vouch


class _RelayedTree:
    """A `TreeReader` through the proxy's own relay; what was proven before is of no concern to one run."""

    def __init__(self, client: ProxyClient, database: str) -> None:
        self._client = client
        self._base = f"sumdb/{database}"

    async def lookup(self, wanted: ModuleVersion, *, fresh: bool) -> bytes:
        """See `TreeReader.lookup`; the relay decides how fresh its answer is."""
        return await self._client.read(f"{self._base}/{Lookup(wanted).path}", at_most_bytes=MAX_LOOKUP_BYTES)

    async def tile(self, tile: TileAt, *, fresh: bool) -> bytes:
        """See `TreeReader.tile`."""
        return await self._client.read(f"{self._base}/{tile.path}", at_most_bytes=tile.width * HASH_BYTES)

    async def newest(self) -> bytes | None:
        """See `TreeReader.newest`."""
        return None

    async def keep_newest(self, note: bytes) -> None:
        """See `TreeReader.keep_newest`."""
