"""What a store holds and when each zip was used last, kept in memory and counted as it changes.

Time is the store's own: seconds in which some proxy watched it. It goes on from where the last proxy left it, is the
same for all replicas up to the pause between two exchanges, and knows no wall clock. So a clock that jumps makes
nothing old, and a weekend in which nothing ran does not either.

Replicas exchange their ledgers through one record (`ledger_record.py`): of two accounts of a version the one that
changed last is right, of two uses the later one. Whatever one of them overwrites there comes back with its next write.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from athens_proxy.modules import ModuleVersion
from athens_proxy.retention.plan import Candidate
from athens_proxy.storage.storage import StoredSizes

MAX_VERSIONS: Final = 500_000
RECORD_BYTES: Final = 256  # about what our own records of one version take
FORGET_AFTER_S: Final = 2 * 24 * 3600.0


@dataclass(slots=True)
class Account:
    """What is known of one version.

    Attributes:
        zip_bytes: size of its zip, None when that was evicted; both sizes are 0 for a version that was deleted.
        small_bytes: size of its other files.
        used_s: when its zip was used last.
        changed_s: when the sizes changed last.
        seen: the walk over the store that met it last.
    """

    zip_bytes: int | None
    small_bytes: int
    used_s: float
    changed_s: float
    seen: int = 0

    @property
    def size_bytes(self) -> int:
        """What it takes in the store."""
        is_deleted = self.zip_bytes is None and not self.small_bytes
        return 0 if is_deleted else (self.zip_bytes or 0) + self.small_bytes + RECORD_BYTES


Row = tuple[ModuleVersion, Account]


class Ledger:
    """The accounts of one store.

    Args:
        clock: seconds that only grow.
        at_most: how many versions are looked after; what is beyond is neither counted nor evicted.
        elsewhere: takes the versions whose zips were answered without asking the store since it was called last.

    Attributes:
        stored_bytes: size of all zips that were ever noted here as stored.
        is_full: whether there are more versions than are looked after.
        is_changed: whether anything was noted that is not in the record yet; whoever writes that resets it.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        at_most: int = MAX_VERSIONS,
        elsewhere: Callable[[], Iterable[ModuleVersion]] = tuple,
    ) -> None:
        self._clock = clock
        self._elsewhere = elsewhere
        self._at_most = at_most
        self._base_s = -clock()
        self._with_zip: OrderedDict[ModuleVersion, Account] = OrderedDict()  # in the order of last use
        self._without: dict[ModuleVersion, Account] = {}
        self._size_bytes = 0
        self._walk = 0
        self._has_met_others = False
        self.stored_bytes = 0
        self.is_full = False
        self.is_changed = False

    @property
    def now_s(self) -> float:
        """The time of the store."""
        return self._base_s + self._clock()

    @property
    def size_bytes(self) -> int:
        """What all known versions take."""
        return self._size_bytes

    @property
    def zips(self) -> int:
        """How many versions have their zip."""
        return len(self._with_zip)

    def knows(self, wanted: ModuleVersion) -> bool:
        """Whether there is an account of a stored version."""
        account = self._of(wanted)
        return account is not None and account.size_bytes > 0

    def zip_bytes(self, wanted: ModuleVersion) -> int | None:
        """The size of a stored zip, None if there is none."""
        account = self._with_zip.get(wanted)
        return account.zip_bytes if account else None

    def used_s(self, wanted: ModuleVersion) -> float:
        """When a stored zip was used last, in the time of the store; never ends for what is not stored."""
        account = self._with_zip.get(wanted)
        return account.used_s if account else float("inf")

    def last_used(self, wanted: ModuleVersion, *, now: datetime | None = None) -> datetime | None:
        """When a stored zip was used last, as far as a proxy was watching; None if there is none."""
        account = self._with_zip.get(wanted)
        if account is None:
            return None
        return (now or datetime.now(UTC)) - timedelta(seconds=max(0.0, self.now_s - account.used_s))

    def candidates(self) -> Iterator[Candidate[ModuleVersion]]:
        """Every stored zip, the one that was used least lately first."""
        self.settle()
        for wanted, account in self._with_zip.items():
            yield Candidate(wanted, account.zip_bytes or 0, account.used_s)

    def used(self, wanted: ModuleVersion) -> None:
        """A zip was asked for."""
        account = self._with_zip.get(wanted)
        if account is not None:
            account.used_s = self._base_s + self._clock()
            self._with_zip.move_to_end(wanted)
            self.is_changed = True

    def settle(self) -> None:
        """Note the uses that nobody has told of yet."""
        for wanted in self._elsewhere():
            self.used(wanted)

    def later(self, wanted: ModuleVersion) -> None:
        """Look at a zip that must stay only after all the others again."""
        if wanted in self._with_zip:
            self._with_zip.move_to_end(wanted)

    def stored(self, wanted: ModuleVersion, sizes: StoredSizes) -> None:
        """A version is stored like this; of one that was met for the first time the use counts from now."""
        now_s = self.now_s
        known = self._of(wanted)
        if known is None and len(self._with_zip) + len(self._without) >= self._at_most:
            self.is_full = True
            return
        self.stored_bytes += sizes.zip_bytes or 0
        used_s = known.used_s if known and known.zip_bytes is not None else now_s
        self._put(wanted, Account(sizes.zip_bytes, sizes.small_bytes, used_s, now_s, self._walk))

    def evicted(self, wanted: ModuleVersion) -> None:
        """The zip of a version is gone, the rest is there."""
        known = self._with_zip.get(wanted)
        if known is not None:
            self._put(wanted, Account(None, known.small_bytes, known.used_s, self.now_s, known.seen))

    def deleted(self, wanted: ModuleVersion) -> None:
        """A whole version is gone."""
        if self._of(wanted) is not None:
            self._put(wanted, Account(None, 0, self.now_s, self.now_s, self._walk))

    def begin_walk(self) -> None:
        """A walk over the whole store begins."""
        self._walk += 1

    def met(self, wanted: ModuleVersion) -> bool:
        """The walk met a version; False if its sizes are not known."""
        if not self.knows(wanted):
            return False
        account = self._of(wanted)
        if account is not None:
            account.seen = self._walk
        return True

    def end_walk(self) -> None:
        """The walk met everything that is stored: what it did not meet and did not change meanwhile is gone."""
        gone = [wanted for wanted, account in self.rows() if account.seen < self._walk and account.size_bytes]
        for wanted in gone:
            self.deleted(wanted)
        horizon_s = self.now_s - FORGET_AFTER_S
        self._without = {
            wanted: account
            for wanted, account in self._without.items()
            if account.size_bytes or account.changed_s >= horizon_s
        }

    def rows(self) -> list[Row]:
        """Every account."""
        return [*self._with_zip.items(), *self._without.items()]

    def catch_up(self, now_s: float) -> None:
        """Another proxy's account of the store's time; it never goes back.

        What was noted before the first one was noted on a clock that began at 0.
        """
        ahead_s = now_s - self.now_s
        if ahead_s > 0:
            self._base_s += ahead_s
            if not self._has_met_others:
                for _, account in self.rows():
                    account.used_s += ahead_s
                    account.changed_s += ahead_s
        self._has_met_others = True

    def merge(self, rows: Iterable[Row]) -> bool:
        """Take over what another proxy knows better; True if the order of last use may be wrong now."""
        is_disordered = False
        now_s = self.now_s
        for wanted, theirs in rows:
            theirs.used_s, theirs.changed_s = min(theirs.used_s, now_s), min(theirs.changed_s, now_s)
            own = self._of(wanted)
            if own is None and len(self._with_zip) + len(self._without) >= self._at_most:
                self.is_full = True
                continue
            if own is None or theirs.changed_s > own.changed_s:
                theirs.used_s = max(theirs.used_s, own.used_s if own else theirs.used_s)
                theirs.seen = own.seen if own else self._walk
                self._put(wanted, theirs)
                is_disordered = True
            elif theirs.used_s > own.used_s:
                own.used_s = theirs.used_s
                is_disordered = True
        return is_disordered

    def reorder(self) -> None:
        """Put the zips into the order of last use again."""
        self._with_zip = OrderedDict(sorted(self._with_zip.items(), key=lambda row: row[1].used_s))

    def _of(self, wanted: ModuleVersion) -> Account | None:
        return self._with_zip.get(wanted) or self._without.get(wanted)

    def _put(self, wanted: ModuleVersion, account: Account) -> None:
        before = self._with_zip.pop(wanted, None) or self._without.pop(wanted, None)
        self._size_bytes += account.size_bytes - (before.size_bytes if before else 0)
        if account.zip_bytes is None:
            self._without[wanted] = account
        else:
            self._with_zip[wanted] = account
        self.is_changed = True
