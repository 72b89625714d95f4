"""Writing a bundle: versions come from a proxy, are checked against everything that vouches for them, and are packed.

The next versions are on their way while one is packed; a bundle appears under its name only when it is complete.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from athens_proxy.bundle.archive import BundleWriter
from athens_proxy.bundle.contents import (
    MANIFEST,
    DatabasePart,
    Manifest,
    name_of_database_file,
    name_of_module_file,
)
from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.commands.checksum_export import ChecksumPart
from athens_proxy.commands.fetching import MAX_INFO_BYTES
from athens_proxy.commands.known_sums import Known
from athens_proxy.commands.proxy_client import ProxyClient, file_path
from athens_proxy.commands.wishes import Wishes
from athens_proxy.errors import ModuleNotFound, StorageError
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.disk import DiskStorage
from athens_proxy.storage.disk_save import disk_reason
from athens_proxy.storage.layout import h1_record
from athens_proxy.storage.storage import Storage
from athens_proxy.storage.zip_damage import recorded_sums
from athens_proxy.upstream.zipcheck import MAX_GO_MOD_BYTES, checked_zip_h1

AHEAD: Final = 4
OnPacked = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of one version, checked; the zip can be read until `zip_held` is closed."""

    wanted: ModuleVersion
    info: bytes
    mod: bytes
    zip_h1: str
    zip_path: Path
    zip_held: AsyncExitStack


async def write_bundle(
    client: ProxyClient,
    storage: Storage,
    wishes: Wishes,
    part: ChecksumPart | None,
    output: Path,
    *,
    on_packed: OnPacked,
) -> int:
    """Pack these versions; returns the size of the bundle.

    Args:
        client: asks a proxy that has them.
        storage: the proxy's store; what a disk store finds sound need not be checked twice.
        wishes: canonical versions with the sums that they must have.
        part: of the checksum database, None when nothing is verified.
        output: replaced if it exists.
        on_packed: told the size of each zip that was packed.

    Raises:
        ChecksumMismatch: bytes are not those that go.sum or the checksum database has.
        ProxyError: the proxy fails.
        StorageError: the file cannot be written.
    """
    versions = sorted(wishes, key=lambda version: (version.path.text, version.version))
    unfinished = output.with_name(f".{output.name}.{uuid.uuid4().hex}.partial")
    try:
        with tempfile.TemporaryDirectory(prefix="athens-export-") as folder, unfinished.open("xb") as file:
            writer = BundleWriter(file)
            await asyncio.to_thread(_write_start, writer, versions, part)
            async with aclosing(_checked(client, storage, versions, wishes, part, Path(folder))) as coming:
                async for files in coming:
                    await asyncio.to_thread(_pack, writer, files)
                    on_packed(files.zip_path.stat().st_size)
                    await files.zip_held.aclose()
            await asyncio.to_thread(_finish, writer, file.fileno())
        unfinished.rename(output)
    except OSError as error:
        raise StorageError(f"write {output}: {disk_reason(error)}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return (await asyncio.to_thread(output.stat)).st_size


def _write_start(writer: BundleWriter, versions: Sequence[ModuleVersion], part: ChecksumPart | None) -> None:
    databases = {part.database: DatabasePart(part.tree_size, part.earlier)} if part else {}
    writer.add(MANIFEST, Manifest(versions, databases).encode())
    if part:
        for path in sorted(part.files):
            writer.add(name_of_database_file(part.database, path), part.files[path])


def _pack(writer: BundleWriter, files: _Files) -> None:
    small = {"info": files.info, "mod": files.mod, "ziphash": files.zip_h1.encode()}
    for extension, data in small.items():
        writer.add(name_of_module_file(files.wanted, extension), data)
    writer.add_file(name_of_module_file(files.wanted, "zip"), files.zip_path)


def _finish(writer: BundleWriter, descriptor: int) -> None:
    writer.close()
    os.fsync(descriptor)


async def _checked(
    client: ProxyClient,
    storage: Storage,
    versions: Sequence[ModuleVersion],
    wishes: Wishes,
    part: ChecksumPart | None,
    folder: Path,
) -> AsyncGenerator[_Files, None]:
    """Versions in order; a few of the next are on their way."""

    def begin(wanted: ModuleVersion) -> asyncio.Task[_Files]:
        zip_h1, mod_h1 = part.sums.get(wanted, ("", "")) if part else ("", "")
        wish = wishes[wanted]
        known = [Known("go.sum", wish.zip_h1, wish.mod_h1), Known("the checksum database", zip_h1, mod_h1)]
        return asyncio.create_task(_files(client, storage, wanted, known, folder))

    waiting = iter(versions)
    coming = [begin(wanted) for wanted in islice(waiting, AHEAD)]
    try:
        while coming:
            files = await coming[0]
            del coming[0]
            coming += [begin(wanted) for wanted in islice(waiting, 1)]
            yield files
    finally:
        for task in coming:
            task.cancel()
        for ended in await asyncio.gather(*coming, return_exceptions=True):
            if isinstance(ended, _Files):
                await ended.zip_held.aclose()


async def _files(
    client: ProxyClient, storage: Storage, wanted: ModuleVersion, known: Sequence[Known], folder: Path
) -> _Files:
    async with AsyncExitStack() as closing:
        info, mod, (zip_path, zip_h1) = await asyncio.gather(
            client.read(file_path(wanted, "info"), at_most_bytes=MAX_INFO_BYTES),
            client.read(file_path(wanted, "mod"), at_most_bytes=MAX_GO_MOD_BYTES),
            _zip(client, storage, wanted, folder, closing),
        )
        found = Known("", zip_h1, mod_hash1(mod))
        for one in known:
            found.require(wanted, one)
        return _Files(wanted, info, mod, zip_h1, zip_path, closing.pop_all())


async def _zip(
    client: ProxyClient, storage: Storage, wanted: ModuleVersion, folder: Path, closing: AsyncExitStack
) -> tuple[Path, str]:
    """A zip that was compared with its sum, and the sum; it can be read until `closing` is."""
    if isinstance(storage, DiskStorage):
        with suppress(ModuleNotFound):
            zip_h1, _ = recorded_sums(await storage.read_record(h1_record(wanted)))
            stored = await closing.enter_async_context(await storage.open_zip(wanted))
            if zip_h1:
                return Path(f"/proc/self/fd/{stored.descriptor}"), zip_h1
    zip_path = folder / uuid.uuid4().hex
    closing.callback(zip_path.unlink, missing_ok=True)
    await client.download(file_path(wanted, "zip"), zip_path)
    return zip_path, await asyncio.to_thread(checked_zip_h1, zip_path, wanted)
