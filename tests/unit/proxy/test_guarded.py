"""The policy in front of the store: what is shown, what is refused, and what happens to what is not stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from athens_proxy.download.first_seen import FirstSeen
from athens_proxy.download.listing import NetworkMode
from athens_proxy.errors import (
    AccessDenied,
    ModuleNotFound,
    NotServed,
    Overloaded,
    ProxyError,
    RedirectTo,
    UpstreamError,
)
from athens_proxy.metrics import Metrics
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage.memory import MemoryStorage
from athens_proxy.web.handlers import policy_json
from support.modules_fixture import SampleModule
from support.proxy_parts import Proxy, SampleUpstream, download_file, policy

M = SampleModule()
NEWER = SampleModule(version="v1.1.0")
NEWEST = SampleModule(version="v1.2.0")
PATH = M.wanted.path


@pytest.fixture
def upstream(tmp_path: Path) -> SampleUpstream:
    return SampleUpstream(tmp_path / "scratch", [M, NEWER, NEWEST])


@pytest.fixture
def proxy(tmp_path: Path, upstream: SampleUpstream) -> Proxy:
    return Proxy(tmp_path / "store", upstream)


def block(pattern: str, **attributes: str) -> str:
    lines = [
        f"  {name} = {value}" if value == "true" else f'  {name} = "{value}"' for name, value in attributes.items()
    ]
    return "\n".join([f'download "{pattern}" {{', *lines, "}"])


async def test_denied_versions_vanish_from_the_list_and_from_latest(proxy: Proxy) -> None:
    proxy.policy = policy(download_file(block("example.com/m", mode="deny", versions=">=v1.2.0", name="cve")))
    modules = proxy.modules()

    assert await modules.versions(PATH) == ["v1.0.0", "v1.1.0"]
    assert (await modules.latest(PATH)).version == "v1.1.0"
    with pytest.raises(AccessDenied, match="denied by cve: no reason is given"):
        await modules.zip(NEWEST.wanted)
    assert await modules.mod(NEWER.wanted) == NEWER.mod


async def test_a_query_that_resolves_to_a_denied_version_is_denied_and_not_fetched(
    proxy: Proxy, upstream: SampleUpstream
) -> None:
    proxy.policy = policy(download_file(block("example.com/m", mode="deny", versions=">=v1.2.0", name="cve")))
    upstream.queries = {"example.com/m@main": "v1.2.0"}
    modules = proxy.modules()

    with pytest.raises(AccessDenied):
        await modules.info(await modules.resolve(ModuleVersion(PATH, "main")))

    assert not [what for what in upstream.asked if what.startswith("fetch")]


async def test_a_denial_without_a_name_says_that_the_policy_denies(proxy: Proxy) -> None:
    proxy.policy = policy(download_file(block("example.com", mode="deny")))

    with pytest.raises(AccessDenied, match="denied by the download policy: no reason is given"):
        await proxy.modules().versions(PATH)


async def test_young_versions_are_held_back_until_their_age(proxy: Proxy) -> None:
    proxy.policy = policy(download_file(block("example.com/m", mode="sync", minAge="72h", name="quarantine")))
    modules = proxy.modules()

    assert await modules.versions(PATH) == []
    with pytest.raises(AccessDenied, match=r"denied by quarantine: .*available after \d{4}-\d\d-\d\dT"):
        await modules.mod(M.wanted)


async def test_versions_that_are_old_enough_are_served(proxy: Proxy) -> None:
    proxy.policy = policy(download_file(block("example.com/m", mode="sync", minAge="72h", name="quarantine")))
    long_ago = datetime.now(UTC) - timedelta(hours=73)
    await FirstSeen(proxy.storage, now=lambda: long_ago).of(PATH, ["v1.0.0", "v1.1.0"])

    assert await proxy.modules().versions(PATH) == ["v1.0.0", "v1.1.0"]
    assert await proxy.modules().mod(M.wanted) == M.mod


async def test_a_first_seen_time_survives_a_restart() -> None:
    storage = MemoryStorage()
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    await FirstSeen(storage, now=lambda: begin).of(PATH, ["v1.0.0"])

    later = await FirstSeen(storage, now=lambda: begin + timedelta(days=9)).of(PATH, ["v1.0.0", "v1.1.0"])

    assert later == {"v1.0.0": begin, "v1.1.0": begin + timedelta(days=9)}


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"v1.0.0": 5}', b'{"v1.0.0": "yesterday"}'])
async def test_a_damaged_first_seen_record_counts_as_never_seen(damaged: bytes) -> None:
    storage = MemoryStorage()
    await storage.write_record(f"first-seen/{PATH.escaped}/@.json", damaged)
    now = datetime(2026, 1, 1, tzinfo=UTC)

    assert await FirstSeen(storage, now=lambda: now).of(PATH, ["v1.0.0"]) == {"v1.0.0": now}


async def test_audit_rules_are_reported_and_let_through(proxy: Proxy) -> None:
    proxy.policy = policy(download_file(block("example.com/m", mode="deny", audit="true", name="soon")))

    assert await proxy.modules().mod(M.wanted) == M.mod
    assert proxy.audits == ["soon"]


async def test_a_rule_can_choose_the_chain(proxy: Proxy, upstream: SampleUpstream) -> None:
    proxy.policy = policy(download_file(block("example.com/m", mode="sync", upstream="https://other.example.com")))
    modules = proxy.modules()

    await modules.mod(M.wanted)
    await modules.versions(PATH)

    assert upstream.chains == ["https://other.example.com"] * 2


async def test_mode_none_serves_only_what_is_stored(proxy: Proxy, upstream: SampleUpstream, tmp_path: Path) -> None:
    proxy.policy = policy("none")
    await proxy.save([M], tmp_path)

    assert await proxy.modules().mod(M.wanted) == M.mod
    with pytest.raises(NotServed, match="not stored, and the download mode does not fetch it"):
        await proxy.modules().mod(NEWER.wanted)
    assert not upstream.asked


async def test_async_modes_answer_not_yet_and_fetch_later(proxy: Proxy, upstream: SampleUpstream) -> None:
    proxy.policy = policy("async")
    with pytest.raises(NotServed, match="being fetched in the background"):
        await proxy.modules().mod(M.wanted)

    proxy.policy = policy("async_redirect", download_url="https://mirror.example.com")
    with pytest.raises(RedirectTo):
        await proxy.modules().mod(NEWER.wanted)

    assert proxy.background.added == [str(M.wanted), str(NEWER.wanted)]
    assert not upstream.asked


async def test_an_async_mode_does_not_claim_to_fetch_what_its_queue_has_no_room_for(proxy: Proxy) -> None:
    proxy.policy, proxy.background.is_full = policy("async"), True

    with pytest.raises(NotServed, match="not stored, and too many fetches wait; try again later"):
        await proxy.modules().mod(M.wanted)


async def test_a_redirect_without_any_address_is_not_found(proxy: Proxy) -> None:
    proxy.policy = policy("redirect")

    with pytest.raises(NotServed, match="downloadURL"):
        await proxy.modules().mod(M.wanted)


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_offline_fetches_nothing_in_any_mode(proxy: Proxy, upstream: SampleUpstream, mode: str) -> None:
    proxy.policy = policy(mode)
    proxy.network_mode = NetworkMode.OFFLINE

    with pytest.raises(ModuleNotFound, match="offline"):
        await proxy.modules().zip(M.wanted)

    assert not upstream.asked
    assert not proxy.background.added


async def test_latest_falls_back_to_the_store_when_upstream_has_lost_the_module(
    proxy: Proxy, upstream: SampleUpstream, tmp_path: Path
) -> None:
    await proxy.save([M, NEWER], tmp_path)
    upstream.failure = ModuleNotFound("not found: gone")

    assert (await proxy.modules().latest(PATH)).version == "v1.1.0"


async def test_latest_fails_with_upstream_in_strict_mode_only(
    proxy: Proxy, upstream: SampleUpstream, tmp_path: Path
) -> None:
    await proxy.save([M], tmp_path)
    upstream.failure = UpstreamError("down")
    with pytest.raises(UpstreamError):
        await proxy.modules().latest(PATH)

    proxy.network_mode = NetworkMode.FALLBACK
    assert (await proxy.modules().latest(PATH)).version == "v1.0.0"
    with pytest.raises(ModuleNotFound, match="nothing is stored, and down"):
        await proxy.modules().latest(ModulePath.parse("example.com/unknown"))


@pytest.mark.parametrize("failure", [UpstreamError("upstream is down"), Overloaded("too much is asked")])
@pytest.mark.parametrize("mode", [NetworkMode.OFFLINE, NetworkMode.FALLBACK])
async def test_without_upstream_a_query_means_what_is_stored_and_the_policy_still_holds(
    proxy: Proxy, upstream: SampleUpstream, tmp_path: Path, mode: NetworkMode, failure: ProxyError
) -> None:
    upstream.failure = failure
    await proxy.save([M, SampleModule(version="v2.0.0+incompatible")], tmp_path)
    proxy.policy = policy(download_file(block("example.com/m", mode="deny", versions=">=v2.0.0", name="cve")))
    modules = proxy.modules(mode)

    assert (await modules.resolve(ModuleVersion(PATH, "v1"))).version == "v1.0.0"
    assert (await modules.resolve(ModuleVersion(PATH, "v2.0.0"))).version == "v2.0.0+incompatible"
    with pytest.raises(AccessDenied):
        await modules.info(await modules.resolve(ModuleVersion(PATH, "v2.0.0")))
    with pytest.raises(ModuleNotFound):
        await modules.resolve(ModuleVersion(PATH, "main"))


async def test_in_strict_mode_a_failure_answers_no_query(
    proxy: Proxy, upstream: SampleUpstream, tmp_path: Path
) -> None:
    upstream.failure = UpstreamError("upstream is down")
    await proxy.save([M], tmp_path)

    with pytest.raises(UpstreamError):
        await proxy.modules().resolve(ModuleVersion(PATH, "v1"))


async def test_decisions_are_counted_by_rule_and_rules_that_nothing_met_show(proxy: Proxy) -> None:
    proxy.policy = policy(
        download_file(
            block("example.com/m", mode="deny", audit="true", name="soon"),
            block("example.com/m", mode="deny", versions=">=v1.2.0", name="cve"),
            block("example.com/other", mode="none"),
        )
    )
    modules = proxy.modules()
    await modules.mod(M.wanted)
    with pytest.raises(AccessDenied):
        await modules.mod(NEWEST.wanted)
    document = policy_json(proxy.policy)

    assert [(rule["name"], rule["hits"], rule["versions"]) for rule in document["rules"]] == [
        ("soon", 2, ""),
        ("cve", 1, ">=v1.2.0"),
        ("", 0, ""),
    ]
    assert document["unused"] == 1
    text = proxy.metrics.render(policy_digest="x")[0].decode()
    assert 'athens_policy_decisions_total{audit="true",rule="soon",verdict="deny"} 2.0' in text
    assert 'athens_policy_decisions_total{audit="false",rule="cve",verdict="deny"} 1.0' in text
    assert 'athens_policy_decisions_total{audit="false",rule="default",verdict="sync"} 1.0' in text


def test_the_metric_of_decisions_stays_bounded_whatever_rules_come_and_go() -> None:
    metrics = Metrics()
    for number in range(2_000):
        metrics.decision(f"r{number}", "deny", audit=False)
    text = metrics.render(policy_digest="x")[0].decode()

    assert text.count("athens_policy_decisions_total{") == 501
    assert 'rule="other",verdict="deny"} 1500.0' in text


async def test_a_new_file_starts_counting_anew(proxy: Proxy) -> None:
    proxy.policy = policy(download_file(block("example.com/m", mode="sync")))
    await proxy.modules().mod(M.wanted)
    before = policy_json(proxy.policy)["rules"][0]["hits"]
    proxy.policy.swap(proxy.policy.loaded)

    assert (before, policy_json(proxy.policy)["rules"][0]["hits"]) == (1, 0)
