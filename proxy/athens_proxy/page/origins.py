"""Where each stored version came from: one small record per version, written while the page is on."""

from __future__ import annotations

import asyncio
import json
import logging
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from athens_proxy.errors import ModuleNotFound, StorageError
from athens_proxy.events.kinds import one_line
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.owner import Records
from athens_proxy.storage.storage import FetchedModule

WRITES: Final = 4
_MAX_BYTES: Final = 16 * 1024
_LOG = logging.getLogger(__name__)

asked_by: ContextVar[str] = ContextVar("asked_by", default="")
"""The user name that the client of the current request showed, "" for none."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a version came from.

    Attributes:
        at: when it was stored, RFC 3339, "" if nobody knows.
        source: which upstream had it.
        user: the user whose request made this proxy fetch it, "" for nobody with a name.
        host: on which host it was fetched.
    """

    at: str = ""
    source: str = ""
    user: str = ""
    host: str = ""


UNKNOWN: Final = Origin()


class Origins:
    """Writes and reads the records.

    Args:
        records: of the store.
        host: this one's name.
        names_users: whether the names that clients show are theirs, because they have to prove it.
    """

    def __init__(self, records: Records, *, host: str, names_users: bool) -> None:
        self._records = records
        self._host = host
        self._names_users = names_users
        self._writing: set[asyncio.Task[None]] = set()
        self._writes = asyncio.Semaphore(WRITES)

    def saved(self, fetched: FetchedModule) -> None:
        """A version was stored; never waits and never fails."""
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        user = one_line(asked_by.get()) if self._names_users else ""
        origin = Origin(now, one_line(fetched.source), user, self._host)
        task = asyncio.create_task(self._write(fetched.wanted, origin), name=f"origin-{fetched.wanted}")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def of(self, wanted: ModuleVersion) -> Origin:
        """Where a version came from; `UNKNOWN` if it was stored while the page was off.

        Raises:
            StorageError: the store cannot answer.
        """
        try:
            data = await self._records.read_record(_record(wanted))
            fields = json.loads(data) if len(data) <= _MAX_BYTES else {}
            return Origin(**{name: one_line(str(fields[name])) for name in Origin.__slots__})
        except (ModuleNotFound, ValueError, KeyError, TypeError, RecursionError):
            return UNKNOWN

    async def aclose(self) -> None:
        """Return when everything is written."""
        await asyncio.gather(*self._writing, return_exceptions=True)

    async def _write(self, wanted: ModuleVersion, origin: Origin) -> None:
        try:
            async with self._writes:
                await self._records.write_record(_record(wanted), json.dumps(asdict(origin)).encode())
        except StorageError as error:
            _LOG.warning("where %s came from is not kept: %s", wanted, error)


def _record(wanted: ModuleVersion) -> str:
    return f"origin/{wanted.path.escaped}/@v/{wanted.escaped_version}"
