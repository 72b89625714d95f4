"""`athens-proxy import`: take a bundle, or a folder of module versions, into the store of the settings.

A folder is a module cache's `cache/download`, a goproxy store or an Athens disk store, as it is. Proxies may serve from
the store meanwhile. Prints one JSON document. Exit status: 0 when the store has everything, 1 when something was
refused or the store cannot be used, 2 for a wrong command line or unusable input, 130 when interrupted. Running the
same command again goes on where it ended.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from athens_proxy.bundle.archive import InvalidBundle, opened_bundle
from athens_proxy.checksums.tree_slice import Unproven
from athens_proxy.commands.bundle_offers import BundleContent
from athens_proxy.commands.checksum_import import Kept, ProvenPart, continuation_problem, keep, proven_part
from athens_proxy.commands.download_trees import download_tree
from athens_proxy.commands.importing import WORKERS, Imported, Importing, Offer
from athens_proxy.commands.known_sums import Known
from athens_proxy.commands.own_proxy import settings_inside
from athens_proxy.commands.progress import ProgressBar
from athens_proxy.commands.summary import failures_of, publish, tell, told
from athens_proxy.commands.trust import Trust, trust_of
from athens_proxy.commands.wishes import UnusableInput, Wish, Wishes, wishes_of
from athens_proxy.config.load import ConfigError, ReadFile
from athens_proxy.errors import BadUpstreamAnswer, CannotStart, ProxyError, StorageError
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.disk import DiskStorage
from athens_proxy.storage.scratch import COPY
from athens_proxy.storage.storage import Storage
from athens_proxy.stores import open_storage


@dataclass(slots=True)
class _Source:
    """What is imported, before it is read.

    Attributes:
        versions: all that is there.
        offers: gives them one by one, zips in the folder it is told where they have to be unpacked.
        part: of the checksum database, None without any.
        earlier: sizes of trees that the part says to continue.
        notes: what people should know, one line each.
    """

    versions: Sequence[ModuleVersion]
    offers: Callable[[Path], Iterator[Offer]]
    part: ProvenPart | None = None
    earlier: Sequence[int] = ()
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of an import; an offline proxy lacks what was not kept of a bundle's records."""

    imported: Imported
    kept: Kept
    unverified: int
    notes: Sequence[str]
    lacks_records: bool


def main(argv: Sequence[str], environ: Mapping[str, str], read_file: ReadFile) -> int:
    """Run the command; returns its exit status.

    Args:
        argv: what follows `import`.
        environ: the process environment.
        read_file: reads configuration files.
    """
    asked = _parser().parse_args(argv)
    begun = time.monotonic()
    try:
        result = uvloop.run(_imported(asked, environ, read_file))
    except KeyboardInterrupt:
        return told("interrupted; run the same command again to go on", 130)
    except UnusableInput as error:
        return told(str(error), 2)
    except InvalidBundle as error:
        return told(f"{asked.source}: {error}", 1)
    except (ConfigError, CannotStart, ProxyError) as error:
        return told(str(error), 1)
    for line in result.notes:
        tell(line)
    for wanted, reason in () if asked.json else result.imported.failures:
        tell(reason if str(wanted) in reason else f"{wanted}: {reason}")
    publish(_summary(asked.source, result, elapsed_s=time.monotonic() - begun), as_line=asked.json)
    if result.imported.stopped:
        tell(f"stopped: {result.imported.stopped}; then run the same command again to go on")
    return 1 if result.imported.stopped or result.imported.failures or result.lacks_records else 0


def _summary(source: Path, result: _Result, *, elapsed_s: float) -> dict[str, Any]:
    imported = result.imported
    return {
        "from": str(source),
        "found": imported.found,
        **{str(outcome): count for outcome, count in imported.outcomes.items()},
        "unverified": result.unverified,
        "checksumRecords": result.kept.records,
        "checksumRecordsLeftOut": len(result.kept.left_out),
        "bytes": imported.copied_bytes,
        "seconds": round(elapsed_s, 3),
        "stopped": imported.stopped,
        "failures": failures_of(imported.failures),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="athens-proxy import",
        description="Take module versions into the store of the settings; what is stored already stays as it is.",
        epilog="docs/guides/air-gap.md tells more.",
    )
    parser.add_argument("source", type=Path, metavar="BUNDLE|FOLDER", help="a bundle, cache/download, or another store")
    parser.add_argument(
        "--go-sum", type=Path, action="append", default=[], metavar="FILE", help="versions must have the sums in it"
    )
    parser.add_argument(
        "--unverified",
        action="store_true",
        help="take public versions of a bundle for which it has no record of the checksum database",
    )
    parser.add_argument(
        "-config_file", "--config_file", default="", metavar="PATH", help="settings of the store to fill"
    )
    parser.add_argument("--workers", type=_count, default=WORKERS, metavar="N", help=f"versions at a time ({WORKERS})")
    parser.add_argument("--json", action="store_true", help="print the result as one line")
    parser.set_defaults(modules=[], versions=[], toolchain=[], platform=[])
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("use a number from 1 to 64")
    return int(text)


async def _imported(asked: argparse.Namespace, environ: Mapping[str, str], read_file: ReadFile) -> _Result:
    sums = wishes_of(asked) if asked.go_sum else {}
    config = settings_inside(asked.config_file, environ, read_file)
    trust = trust_of(config)
    must_serve_records = asked.source.is_file() and config.upstream.network_mode == "offline"
    async with AsyncExitStack() as closing:
        source = await asyncio.to_thread(_source, asked.source, trust, closing)
        vouched = source.part.sums() if source.part else {}
        unverified = [version for version in source.versions if trust.needs_record(version) and version not in vouched]
        if trust.key is not None and unverified and asked.source.is_file() and not asked.unverified:
            raise BadUpstreamAnswer(
                f"{asked.source}: refused: {len(unverified)} versions have no proven record of {trust.key.name}, the"
                f" first is {unverified[0]}; if they are private, list them in NoSumPatterns, else export them again;"
                " --unverified takes them as they are"
            )
        storage = await open_storage(config, environ)
        closing.push_async_callback(storage.close)
        kept = Kept()
        if source.part is not None and trust.key is not None:
            problem = await continuation_problem(storage, trust.key, source.part, source.earlier)
            if problem and must_serve_records:
                raise BadUpstreamAnswer(f"{asked.source}: refused: {problem}")
            kept = await keep(storage, trust.key, source.part)
            source.notes += _left_out(kept, trust.key.name)
        imported = await _taken(asked, source, storage, _known(sums, vouched, trust))
        lacks_records = bool(kept.left_out) and must_serve_records
        return _Result(imported, kept, len(unverified), source.notes, lacks_records)


def _left_out(kept: Kept, database: str) -> list[str]:
    if not kept.left_out:
        return []
    return [f"{len(kept.left_out)} records of {database} are not kept; the first: {kept.left_out[0]}"]


async def _taken(
    asked: argparse.Namespace,
    source: _Source,
    storage: Storage,
    known: Callable[[ModuleVersion], list[Known]],
) -> Imported:
    scratch = storage.scratch if isinstance(storage, DiskStorage) else Path(tempfile.gettempdir())
    progress = ProgressBar(sys.stderr)
    try:
        with tempfile.TemporaryDirectory(dir=scratch, prefix=COPY) as folder:
            importing = Importing(storage, Path(folder), known=known, on_progress=progress.show)
            offers = source.offers(Path(folder))
            return await importing.run(offers, found=len(source.versions), workers=asked.workers)
    except OSError as error:
        raise StorageError(f"make a temporary folder in {scratch}: {error.strerror}; set TMPDIR") from error
    finally:
        progress.close()


def _known(
    sums: Wishes, vouched: Mapping[ModuleVersion, tuple[str, str]], trust: Trust
) -> Callable[[ModuleVersion], list[Known]]:
    database = trust.key.name if trust.key else ""

    def known(wanted: ModuleVersion) -> list[Known]:
        wish = sums.get(wanted, Wish())
        zip_h1, mod_h1 = vouched.get(wanted, ("", ""))
        return [Known("go.sum", wish.zip_h1, wish.mod_h1), Known(database, zip_h1, mod_h1)]

    return known


def _source(path: Path, trust: Trust, closing: AsyncExitStack) -> _Source:
    if path.is_dir():
        return _folder(path, trust)
    try:
        content = BundleContent.begun(closing.enter_context(opened_bundle(path)))
    except OSError as error:
        raise UnusableInput(f"{path}: cannot be read: {error.strerror}") from error
    source = _Source(content.manifest.versions, content.offers)
    if trust.key is None:
        source.notes.append("nothing is verified: GOSUMDB is off or SumDBs is empty; checksum records are not kept")
        return source
    files = content.answers.get(trust.key.name, {})
    lookups = {name: data for name, data in files.items() if name.startswith("lookup/")}
    try:
        source.part = proven_part(trust.key, lookups, files)
    except Unproven as error:
        raise InvalidBundle(f"its records of {trust.key.name} are not proven: {error}") from error
    if source.part and source.part.left_out:
        raise InvalidBundle(f"its records of {trust.key.name} are not proven: {source.part.left_out[0]}")
    if part := content.manifest.databases.get(trust.key.name):
        source.earlier = part.earlier
    return source


def _folder(path: Path, trust: Trust) -> _Source:
    tree = download_tree(path)
    if not tree.versions:
        raise UnusableInput(
            f"{path}: no module versions are in it; name a module cache's cache/download, a goproxy or an Athens store"
        )
    source = _Source(tree.wanted, lambda folder: tree.offers())
    if tree.without_zip:
        source.notes.append(f"{tree.without_zip} versions have no zip there and are left out")
    if trust.key is None:
        return source
    try:
        source.part = proven_part(trust.key, tree.lookups(trust.key.name), tree.tiles(trust.key.name))
    except Unproven as error:
        source.notes.append(f"the records of {trust.key.name} there are not kept: {error}")
    return source
