"""Making a proxy have versions: each file is asked for once, several versions at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.commands.proxy_client import ProxyClient, file_path
from athens_proxy.commands.tally import Tally
from athens_proxy.commands.wishes import Wish, Wishes
from athens_proxy.errors import BadUpstreamAnswer, ChecksumMismatch, ProxyError
from athens_proxy.modules import ModuleVersion, RevInfo
from athens_proxy.upstream.zipcheck import MAX_GO_MOD_BYTES

MAX_INFO_BYTES: Final = 1024 * 1024
WORKERS: Final = 8


class Outcome(StrEnum):
    """What became of one version."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(slots=True)
class Fetched(Tally[Outcome]):
    """What a run has done so far.

    Attributes:
        versions: what is there now: queries as the versions that they stand for.
    """

    versions: Wishes = field(default_factory=dict)


async def fetch_all(
    client: ProxyClient, wishes: Wishes, *, workers: int, on_progress: Callable[[Fetched], None]
) -> Fetched:
    """Ask for everything; failures are counted, not raised."""
    fetched = Fetched.of(Outcome)
    fetched.found = len(wishes)
    on_progress(fetched)
    waiting = iter(wishes.items())
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(_work(client, waiting, fetched, on_progress))
    return fetched


async def _work(
    client: ProxyClient,
    waiting: Iterable[tuple[ModuleVersion, Wish]],
    fetched: Fetched,
    on_progress: Callable[[Fetched], None],
) -> None:
    for wanted, wish in waiting:
        try:
            version = await _resolved(client, wanted)
            fetched.copied_bytes += await _fetch(client, version, wish)
            fetched.versions[version] = wish
            outcome = Outcome.SUCCEEDED
        except ProxyError as error:
            fetched.failures.append((wanted, str(error).removeprefix("not found: ")))
            outcome = Outcome.FAILED
        fetched.outcomes[outcome] += 1
        on_progress(fetched)


async def _resolved(client: ProxyClient, wanted: ModuleVersion) -> ModuleVersion:
    if wanted.is_canonical:
        return wanted
    path = f"{wanted.path.escaped}/@latest" if wanted.version == "latest" else file_path(wanted, "info")
    info = RevInfo.parse(await client.read(path, at_most_bytes=MAX_INFO_BYTES))
    resolved = ModuleVersion.parse(wanted.path, info.version)
    if not resolved.is_canonical:
        raise BadUpstreamAnswer(f"{wanted}: the proxy calls it {info.version}, which is no version of this module")
    return resolved


async def _fetch(client: ProxyClient, wanted: ModuleVersion, wish: Wish) -> int:
    size_bytes, *_ = await asyncio.gather(
        _zip_bytes(client, wanted, wish), _check_info(client, wanted), _check_mod(client, wanted, wish)
    )
    return size_bytes


async def _zip_bytes(client: ProxyClient, wanted: ModuleVersion, wish: Wish) -> int:
    return await client.size_of(file_path(wanted, "zip")) if wish.needs_zip else 0


async def _check_info(client: ProxyClient, wanted: ModuleVersion) -> None:
    RevInfo.parse(await client.read(file_path(wanted, "info"), at_most_bytes=MAX_INFO_BYTES))


async def _check_mod(client: ProxyClient, wanted: ModuleVersion, wish: Wish) -> None:
    mod = await client.read(file_path(wanted, "mod"), at_most_bytes=MAX_GO_MOD_BYTES)
    if wish.mod_h1 and mod_hash1(mod) != wish.mod_h1:
        raise ChecksumMismatch(
            f"{wanted}/go.mod: checksum mismatch: the proxy has {mod_hash1(mod)}, go.sum has {wish.mod_h1}"
        )
