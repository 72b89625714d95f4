"""Which zips go: the pure plan, and the ledger that feeds it."""

from __future__ import annotations

import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.retention.ledger import Account, Ledger
from athens_proxy.retention.ledger_record import UnreadableLedger, decoded, encoded
from athens_proxy.retention.plan import Candidate, Reason, Standing, evictions
from athens_proxy.storage.storage import StoredSizes

NEVER = float("-inf")


class Clock:
    """Seconds that only grow, by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def version(number: int) -> ModuleVersion:
    return ModuleVersion.parse(ModulePath.parse("example.com/m"), f"v1.0.{number}")


def sizes(zip_bytes: int | None = 100, small_bytes: int = 10) -> StoredSizes:
    return StoredSizes(zip_bytes, small_bytes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(clock=clock)


candidates = st.lists(
    st.tuples(st.integers(0, 1_000), st.floats(0, 1_000), st.sampled_from(Standing)), max_size=30
).map(lambda rows: [(Candidate(n, size, used), how) for n, (size, used, how) in enumerate(sorted(rows, key=_used))])


def _used(row: tuple[int, float, Standing]) -> float:
    return row[1]


@given(candidates, st.integers(-500, 5_000), st.floats(0, 1_000))
def test_a_plan_takes_the_oldest_that_may_go_and_no_more_than_it_has_to(
    rows: list[tuple[Candidate[int], Standing]], excess: int, idle_since: float
) -> None:
    standing = {candidate.wanted: how for candidate, how in rows}
    plan = evictions(
        (candidate for candidate, _ in rows),
        excess_bytes=excess,
        idle_since_s=idle_since,
        standing=standing.__getitem__,
    )

    gone = [eviction.wanted for eviction in plan.evictions]
    free = [candidate for candidate, how in rows if how is Standing.FREE]
    assert gone == [candidate.wanted for candidate in free][: len(gone)]
    assert all(candidate.wanted in gone for candidate in free if candidate.used_s < idle_since)
    freed = sum(eviction.zip_bytes for eviction in plan.evictions)
    assert plan.missing_bytes == max(0, excess - freed)
    if plan.missing_bytes:
        assert len(gone) == len(free)
    by_bytes = [eviction for eviction in plan.evictions if eviction.reason is Reason.BYTES]
    if by_bytes:
        assert freed - by_bytes[-1].zip_bytes < excess
    assert all(standing[wanted] is Standing.KEPT for wanted in plan.kept)


def test_a_plan_looks_at_no_more_zips_than_it_has_to() -> None:
    looked: list[int] = []

    def endless() -> object:
        for number in range(10**9):
            looked.append(number)
            yield Candidate(number, 100, float(number))

    evictions(endless(), excess_bytes=250, idle_since_s=NEVER, standing=lambda _: Standing.FREE)  # type: ignore[arg-type]

    assert len(looked) == 4


def test_the_order_is_that_of_last_use(ledger: Ledger, clock: Clock) -> None:
    for number in range(3):
        clock.now_s += 1
        ledger.stored(version(number), sizes())
    clock.now_s += 1
    ledger.used(version(0))

    assert [candidate.wanted for candidate in ledger.candidates()] == [version(1), version(2), version(0)]


def test_what_was_answered_elsewhere_counts_before_a_plan_is_made(clock: Clock) -> None:
    elsewhere = [version(0)]
    ledger = Ledger(clock=clock, elsewhere=lambda: [elsewhere.pop()] if elsewhere else [])
    for number in range(2):
        clock.now_s += 1
        ledger.stored(version(number), sizes())

    assert [candidate.wanted for candidate in ledger.candidates()] == [version(1), version(0)]


@given(st.lists(st.tuples(st.sampled_from(("stored", "evicted", "deleted", "used")), st.integers(0, 4)), max_size=40))
def test_the_size_is_always_the_sum_of_the_accounts(steps: list[tuple[str, int]]) -> None:
    ledger = Ledger(clock=Clock())
    for step, number in steps:
        if step == "stored":
            ledger.stored(version(number), sizes(100 * number, number + 1))
        else:
            getattr(ledger, step)(version(number))

        assert ledger.size_bytes == sum(account.size_bytes for _, account in ledger.rows())
        assert ledger.zips == sum(account.zip_bytes is not None for _, account in ledger.rows())


def test_a_wall_clock_that_jumps_makes_nothing_old(ledger: Ledger, clock: Clock) -> None:
    ledger.stored(version(0), sizes())
    clock.now_s += 60

    (candidate,) = ledger.candidates()
    assert ledger.now_s - candidate.used_s == 60
    jumped = datetime.now(UTC) + timedelta(days=5000)
    assert ledger.last_used(version(0), now=jumped) == jumped - timedelta(seconds=60)


def test_a_restart_goes_on_with_the_time_of_the_store(ledger: Ledger, clock: Clock) -> None:
    ledger.stored(version(0), sizes())
    clock.now_s += 500
    record = encoded(ledger.rows(), now_s=ledger.now_s)
    later = Clock()
    later.now_s = 7.0  # another process, another clock, any time later
    restarted = Ledger(clock=later)
    restarted.stored(version(1), sizes())

    now_s, rows = decoded(record)
    restarted.catch_up(now_s)
    restarted.merge(rows)
    restarted.reorder()

    assert [c.wanted for c in restarted.candidates()] == [version(0), version(1)]
    assert restarted.now_s == pytest.approx(500)
    assert restarted.size_bytes == 2 * ledger.size_bytes


def test_of_two_accounts_the_later_change_and_the_later_use_count(ledger: Ledger, clock: Clock) -> None:
    ledger.stored(version(0), sizes(100))
    ledger.stored(version(1), sizes(100))
    clock.now_s += 10
    ledger.evicted(version(1))
    theirs_s = ledger.now_s - 5

    ledger.merge([(version(0), Account(None, 10, 0, theirs_s)), (version(1), Account(100, 10, 0, theirs_s))])

    assert ledger.zip_bytes(version(0)) is None
    assert ledger.zip_bytes(version(1)) is None
    ledger.merge([(version(0), Account(100, 10, 10**9, 10**9))])
    assert ledger.zip_bytes(version(0)) == 100
    assert [candidate.used_s for candidate in ledger.candidates()] == [ledger.now_s]  # no time is later than now


def test_a_walk_forgets_what_is_not_there_and_keeps_what_came_meanwhile(ledger: Ledger) -> None:
    for number in range(2):
        ledger.stored(version(number), sizes())
    ledger.begin_walk()
    assert ledger.met(version(0))
    assert not ledger.met(version(7))
    ledger.stored(version(2), sizes())

    ledger.end_walk()

    assert [ledger.knows(version(number)) for number in range(3)] == [True, False, True]


def test_no_more_versions_are_looked_after_than_allowed(clock: Clock) -> None:
    ledger = Ledger(clock=clock, at_most=3)
    for number in range(5):
        ledger.stored(version(number), sizes())
    ledger.merge([(version(9), Account(1, 1, 0, 0))])

    assert len(ledger.rows()) == 3
    assert ledger.is_full


accounts = st.builds(
    Account, st.none() | st.integers(0, 2**50), st.integers(0, 2**30), st.integers(0, 10**9), st.integers(0, 10**9)
)


@given(st.dictionaries(st.integers(0, 50), accounts))
def test_a_record_comes_back_as_it_was(rows: dict[int, Account]) -> None:
    written = [(version(number), account) for number, account in rows.items()]

    now_s, read = decoded(encoded(written, now_s=12.5))

    assert now_s == 12.5
    assert list(read) == written


@given(st.binary(max_size=200) | st.binary(max_size=200).map(zlib.compress))
def test_no_bytes_break_the_reader_of_records(data: bytes) -> None:
    with suppress(UnreadableLedger):
        list(decoded(data)[1])


@pytest.mark.parametrize(
    "line",
    [
        b'["example.com/m","v1.0.1",-1,0,0,0]',
        b'["example.com/m","v1.0.1",true,0,0,0]',
        b'["../m","v1.0.1",1,0,0,0]',
        b'["example.com/m","v1.0.1",1,0,NaN,0]',
        b'["example.com/m"]',
        b"[1,2,3,4,5,6]",
        b"nonsense",
        b"[" * 100_000,
    ],
    ids=lambda line: line[:40].decode(),
)
def test_a_bad_line_costs_only_itself(line: bytes) -> None:
    good = b'["example.com/m","v1.0.2",1,2,3,4]'
    record = zlib.compress(b'{"form":1,"now_s":9}\n' + line + b"\n" + good + b"\n")

    _, rows = decoded(record)

    assert list(rows) == [(version(2), Account(1, 2, 3, 4))]
