"""`athens-proxy export`: everything that a go.sum names as one verified file, for a site without network.

Fetches what the store of the settings lacks, and packs versions with the checksum records and tiles that prove them.
Prints one JSON document. Exit status: 0 when the bundle is complete, 1 when something failed (there is no bundle then,
unless --allow-missing), 2 for a wrong command line or unusable input, 130 when interrupted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from athens_proxy.bundle.archive import InvalidBundle, opened_bundle
from athens_proxy.bundle.contents import MANIFEST, MAX_MANIFEST_BYTES, Manifest
from athens_proxy.checksums.note import VerifierKey
from athens_proxy.commands.bundling import write_bundle
from athens_proxy.commands.checksum_export import ChecksumPart, checksum_part, remember_tree, remembered_trees
from athens_proxy.commands.fetching import WORKERS, Fetched, fetch_all
from athens_proxy.commands.own_proxy import own_proxy, settings_inside
from athens_proxy.commands.progress import ProgressBar
from athens_proxy.commands.proxy_client import ProxyClient
from athens_proxy.commands.summary import failures_of, publish, tell, told
from athens_proxy.commands.trust import trust_of
from athens_proxy.commands.wishes import UnusableInput, Wishes, add_wish_options, wishes_of
from athens_proxy.config.load import ConfigError, ReadFile
from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart, ModuleNotFound, ProxyError, StorageError
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.storage import Storage
from athens_proxy.stores import open_storage

_CONNECTIONS: Final = 3 * WORKERS


@dataclass(slots=True)
class Exported:
    """What became of an export.

    Attributes:
        fetched: what the proxy could bring.
        is_written: whether there is a bundle.
        packed: versions in it.
        copied_bytes: size of the zips in it.
        bundle_bytes: its size.
        part: of the checksum database, None when nothing is verified.
    """

    fetched: Fetched
    is_written: bool = False
    packed: int = 0
    copied_bytes: int = 0
    bundle_bytes: int = 0
    part: ChecksumPart | None = None

    @property
    def found(self) -> int:
        """Versions to pack."""
        return len(self.fetched.versions)

    @property
    def done(self) -> int:
        """Versions that are packed."""
        return self.packed

    @property
    def outcomes(self) -> Mapping[str, int]:
        """For the progress bar."""
        return {"packed": self.packed}


def main(argv: Sequence[str], environ: Mapping[str, str], read_file: ReadFile) -> int:
    """Run the command; returns its exit status.

    Args:
        argv: what follows `export`.
        environ: the process environment.
        read_file: reads configuration files.
    """
    asked = _parser().parse_args(argv)
    begun = time.monotonic()
    try:
        wishes = wishes_of(asked)
        _require_folder(asked.output)
        earlier = [size for file in asked.since for size in _trees_of(file)]
        exported = uvloop.run(_exported(asked, wishes, earlier, environ, read_file))
    except KeyboardInterrupt:
        return told("interrupted; run the same command again: what was fetched is stored", 130)
    except UnusableInput as error:
        return told(str(error), 2)
    except (ConfigError, CannotStart, ProxyError) as error:
        return told(str(error), 1)
    for wanted, reason in exported.fetched.failures:
        tell(f"{wanted}: {reason}")
    if not exported.is_written:
        tell(f"{asked.output} is not written: {len(exported.fetched.failures)} versions are missing")
    publish(_summary(asked.output, exported, elapsed_s=time.monotonic() - begun), as_line=asked.json)
    return 1 if exported.fetched.failures else 0


def _summary(output: Path, exported: Exported, *, elapsed_s: float) -> dict[str, Any]:
    part, failures = exported.part, exported.fetched.failures
    return {
        "bundle": str(output) if exported.is_written else "",
        "total": exported.fetched.found,
        "succeeded": exported.packed,
        "failed": len(failures),
        "failures": failures_of(failures),
        "verified": len(part.sums) if part else 0,
        "checksumTree": part.tree_size if part else 0,
        "continuesTrees": list(part.earlier) if part else [],
        "bytes": exported.bundle_bytes,
        "seconds": round(elapsed_s, 3),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="athens-proxy export",
        description="Write everything that is asked for into one verified file.",
        epilog="The other side reads it with `athens-proxy import`; docs/guides/air-gap.md tells more.",
    )
    add_wish_options(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="such as bundle.tar.zst")
    parser.add_argument("-config_file", "--config_file", default="", metavar="PATH", help="settings of the proxy")
    parser.add_argument(
        "--since", type=Path, action="append", default=[], metavar="BUNDLE", help="the other side has imported this one"
    )
    parser.add_argument(
        "--allow-missing", action="store_true", help="write the bundle without the versions that cannot be fetched"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one line")
    return parser


def _require_folder(output: Path) -> None:
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise UnusableInput(f"-o {output}: name a file in a folder that exists")


def _trees_of(file: Path) -> list[int]:
    try:
        with opened_bundle(file) as members:
            first = next(members)
            if first.name != MANIFEST:
                raise InvalidBundle("its manifest is missing")
            manifest = Manifest.parse(first.content.all(at_most_bytes=MAX_MANIFEST_BYTES))
    except (InvalidBundle, OSError) as error:
        raise UnusableInput(f"--since {file}: {error}") from error
    return [size for part in manifest.databases.values() for size in (part.tree_size, *part.earlier)]


async def _exported(
    asked: argparse.Namespace,
    wishes: Wishes,
    earlier: Sequence[int],
    environ: Mapping[str, str],
    read_file: ReadFile,
) -> Exported:
    config = settings_inside(asked.config_file, environ, read_file)
    async with AsyncExitStack() as closing:
        records = await closing.enter_async_context(_records(config, environ))
        for wanted, wish in wishes.items():  # the other side's store holds whole versions
            wish.needs_zip = not await _has_zip(records, wanted)
        client = await closing.enter_async_context(own_proxy(config, environ, connections=_CONNECTIONS))
        progress = ProgressBar(sys.stderr)
        closing.callback(progress.close)
        exported = Exported(await fetch_all(client, wishes, workers=WORKERS, on_progress=progress.show))
        if exported.fetched.failures and not (asked.allow_missing and exported.fetched.versions):
            return exported
        key = trust_of(config).key
        if key is not None:
            exported.part = await _part(client, key, config, exported.fetched.versions, earlier, records)

        def packed(size_bytes: int) -> None:
            exported.packed += 1
            exported.copied_bytes += size_bytes
            progress.show(exported)

        exported.bundle_bytes = await write_bundle(
            client, records, exported.fetched.versions, exported.part, asked.output, on_packed=packed
        )
        exported.is_written = True
        if exported.part:
            await _remember(records, exported.part)
        return exported


@asynccontextmanager
async def _records(config: Config, environ: Mapping[str, str]) -> AsyncIterator[Storage]:
    """The store of the settings, for what exports remember."""
    storage = await open_storage(config, environ)
    try:
        yield storage
    finally:
        await storage.close()


async def _has_zip(storage: Storage, wanted: ModuleVersion) -> bool:
    try:
        return wanted.is_canonical and bool((await storage.sizes(wanted)).zip_bytes)
    except ModuleNotFound:
        return False


async def _part(
    client: ProxyClient,
    key: VerifierKey,
    config: Config,
    versions: Wishes,
    earlier: Sequence[int],
    records: Storage,
) -> ChecksumPart | None:
    needs_record = trust_of(config).needs_record
    public = [version for version in versions if needs_record(version)]
    if not public:
        return None
    sizes = [*earlier, *await remembered_trees(records, key.name)]
    return await checksum_part(client, key, public, earlier=sizes)


async def _remember(records: Storage, part: ChecksumPart) -> None:
    try:
        await remember_tree(records, part.database, part.tree_size)
    except StorageError as error:
        tell(f"{error}; name this bundle with --since at the next export")
