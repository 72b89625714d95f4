"""Every attribute of a rule on every endpoint: list, latest, `.info`, `.mod`, `.zip`, queries; stored and absent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from athens_proxy.download.first_seen import FirstSeen
from support.exchange import Answer, ask
from support.modules_fixture import SampleModule
from support.proxy_parts import Proxy, SampleUpstream, download_file, policy

OLD, NEW = SampleModule(version="v1.0.0"), SampleModule(version="v1.1.0")
FILES = ("info", "mod", "zip")


@pytest.fixture(params=["absent", "stored"])
async def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Proxy:
    """A proxy whose two versions are upstream, and in the store as well for the second run."""
    proxy = Proxy(tmp_path / "store", SampleUpstream(tmp_path / "scratch", [OLD, NEW]))
    proxy.upstream.queries = {"example.com/m@main": NEW.version}
    if request.param == "stored":
        await proxy.save([OLD, NEW], tmp_path)
    return proxy


def enforce(proxy: Proxy, *blocks: Mapping[str, str], mode: str = "sync") -> None:
    """Put a policy of rules for the sample module in force."""
    texts = []
    for attributes in blocks:
        lines = [f"  {k} = {v}" if v in ("true", "false") else f'  {k} = "{v}"' for k, v in attributes.items()]
        texts.append("\n".join(['download "example.com/m" {', *lines, "}"]))
    proxy.policy = policy(download_file(*texts, mode=mode))


async def answers(proxy: Proxy) -> dict[str, Answer]:
    """What every endpoint says, by its name."""
    names = ["@v/list", "@latest", "@v/main.info"]
    names += [f"@v/{version}.{file}" for version in (OLD.version, NEW.version) for file in FILES]
    async with proxy.serving() as address:
        return {name: await asyncio.to_thread(ask, address, f"/example.com/m/{name}") for name in names}


def statuses(found: Mapping[str, Answer], version: str) -> set[int]:
    return {found[f"@v/{version}.{file}"].status for file in FILES}


def latest(found: Mapping[str, Answer]) -> str:
    return str(json.loads(found["@latest"].body)["Version"])


async def test_deny_is_403_everywhere_with_name_and_reason(proxy: Proxy) -> None:
    enforce(proxy, {"mode": "deny", "name": "cve-7", "reason": "use n"})

    found = await answers(proxy)

    assert {(answer.status, answer.text) for answer in found.values()} == {(403, "denied by cve-7: use n\n")}
    assert not proxy.upstream.asked


async def test_denied_versions_are_403_as_files_and_absent_from_list_and_latest(proxy: Proxy) -> None:
    enforce(proxy, {"mode": "deny", "versions": ">=v1.1.0", "name": "cve-8", "reason": "broken"})

    found = await answers(proxy)

    assert (found["@v/list"].text, latest(found)) == ("v1.0.0\n", OLD.version)
    assert (statuses(found, OLD.version), statuses(found, NEW.version)) == ({200}, {403})
    assert (found["@v/main.info"].status, found["@v/main.info"].text) == (403, "denied by cve-8: broken\n")
    assert not [what for what in proxy.upstream.asked if what.startswith("fetch") and NEW.version in what]


async def test_allowed_versions_are_the_only_ones_on_every_endpoint(proxy: Proxy) -> None:
    enforce(proxy, {"mode": "allow", "versions": "<v1.1.0"}, {"mode": "deny", "name": "rest"})

    found = await answers(proxy)

    assert (found["@v/list"].text, latest(found)) == ("v1.0.0\n", OLD.version)
    assert (statuses(found, OLD.version), statuses(found, NEW.version)) == ({200}, {403})
    assert found["@v/main.info"].status == 403


async def test_young_versions_wait_on_every_endpoint(proxy: Proxy) -> None:
    await FirstSeen(proxy.storage, now=lambda: datetime.now(UTC) - timedelta(hours=73)).of(
        OLD.wanted.path, [OLD.version]
    )
    enforce(proxy, {"mode": "sync", "minAge": "72h", "name": "quarantine"})

    found = await answers(proxy)

    assert (found["@v/list"].text, latest(found)) == ("v1.0.0\n", OLD.version)
    assert (statuses(found, OLD.version), statuses(found, NEW.version)) == ({200}, {403})
    for name in ("@v/main.info", "@v/v1.1.0.zip"):
        assert found[name].status == 403
        assert found[name].text.startswith("denied by quarantine: ")
        assert "available after" in found[name].text


async def test_a_module_of_young_versions_alone_has_an_empty_list_and_no_latest(proxy: Proxy) -> None:
    enforce(proxy, {"mode": "sync", "minAge": "72h", "name": "quarantine"})

    found = await answers(proxy)

    assert (found["@v/list"].status, found["@v/list"].text) == (200, "")
    assert {answer.status for name, answer in found.items() if name != "@v/list"} == {403}


async def test_audited_rules_count_versions_and_change_nothing(proxy: Proxy) -> None:
    enforce(proxy, {"mode": "deny", "audit": "true", "name": "soon"})

    found = await answers(proxy)

    assert {answer.status for answer in found.values()} == {200}
    assert (found["@v/list"].text, latest(found)) == ("v1.0.0\nv1.1.0\n", NEW.version)
    assert proxy.audits == ["soon"] * 8  # six files, what the query means, and the latest


async def test_evaluation_goes_on_behind_an_audited_rule(proxy: Proxy) -> None:
    enforce(proxy, {"mode": "deny", "audit": "true", "name": "soon"}, {"mode": "deny", "name": "now"})

    found = await answers(proxy)

    assert {(answer.status, answer.text.partition(":")[0]) for answer in found.values()} == {(403, "denied by now")}


async def test_every_question_about_a_rules_module_goes_to_its_upstream(proxy: Proxy) -> None:
    enforce(proxy, {"mode": "sync", "upstream": "https://other.example.com"})

    found = await answers(proxy)

    assert {answer.status for answer in found.values()} == {200}
    assert {what.partition(" ")[0] for what in proxy.upstream.asked} >= {"versions", "latest", "resolve"}
    assert set(proxy.upstream.chains) == {"https://other.example.com"}


@pytest.mark.parametrize(
    ("mode", "status"), [("none", 404), ("async", 404), ("redirect", 301), ("async_redirect", 301)]
)
async def test_modes_decide_about_absent_files_and_stored_ones_are_served(
    proxy: Proxy, mode: str, status: int, request: pytest.FixtureRequest
) -> None:
    enforce(proxy, {"mode": mode, "downloadURL": "https://mirror.example.com"})
    is_stored = request.node.callspec.params["proxy"] == "stored"

    found = await answers(proxy)

    assert statuses(found, OLD.version) == statuses(found, NEW.version) == {200 if is_stored else status}
    assert found["@v/main.info"].status == status  # what it means now is known upstream alone
    assert (found["@v/list"].text, latest(found)) == ("v1.0.0\nv1.1.0\n", NEW.version)
    assert not [what for what in proxy.upstream.asked if what.startswith("fetch")]
