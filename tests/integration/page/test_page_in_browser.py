"""The page for people in a real browser: what it shows, by keyboard, for screen readers, and against hostile text."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from athens_proxy.events.kinds import Event, EventKind, encode
from localcluster import binaries
from support.browser import Tab, browser
from support.modules_fixture import SampleModule, write_file_proxy
from support.proxy_process import ModuleProxy, Settings, running

HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'"&amp;'
AUTHORIZATION = {"Authorization": f"Basic {base64.b64encode(b'alice:secret').decode()}"}
POLICY = """mode = "sync"
downloadURL = ""
download "example.com/refused" {
  mode = "deny"
  name = "no-refused"
  reason = "<b onmouseover=alert(1)>broken</b>"
}
download "example.com/team/late" {
  mode = "deny"
  name = "too-late"
  reason = "withdrawn"
}
"""


def put(store: Path, module: SampleModule) -> None:
    """Lay a version into a disk store, as Athens would."""
    folder = store / module.path / module.version
    folder.mkdir(parents=True)
    for name, data in (("go.mod", module.mod), ("source.zip", module.zip), (f"{module.version}.info", module.info)):
        (folder / name).write_bytes(data)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleProxy]:
    """A proxy with a page, a prefix and a password, which stored some modules and refused one."""
    folder = tmp_path_factory.mktemp("page")
    upstream = folder / "upstream"
    modules = [SampleModule("example.com/team/many", f"v1.{n}.0") for n in range(25)]
    write_file_proxy(upstream, modules)
    (folder / "policy.hcl").write_text(POLICY)
    store = folder / "proxy" / "store"
    for path in ("example.com/team/late", *(f"example.org/other{n}" for n in range(60))):
        put(store, SampleModule(path))  # stored before, by somebody else
    record = store / ".athens" / "events" / "recent"
    record.parent.mkdir(parents=True)
    record.write_bytes(encode([Event(1, EventKind.REFUSED, HOSTILE, HOSTILE, HOSTILE, "somebody")]))
    settings = Settings(
        f"file://{upstream}",
        env={
            "ATHENS_PAGE": "true",
            "ATHENS_PATH_PREFIX": "/go",
            "BASIC_AUTH_USER": "alice",
            "BASIC_AUTH_PASS": "secret",
            "ATHENS_DOWNLOAD_MODE": f"file:{folder / 'policy.hcl'}",
        },
    )
    with running(folder / "proxy", settings) as proxy:
        for module in modules:
            answer = proxy.ask(f"/{module.wanted.path.escaped}/@v/{module.version}.zip", headers=AUTHORIZATION)
            assert answer.status == 200, answer.text
        assert proxy.ask("/example.com/refused/@v/v1.0.0.info", headers=AUTHORIZATION).status == 403
        yield proxy


@pytest.fixture
async def tab(proxy: ModuleProxy) -> AsyncIterator[Tab]:
    """The page, opened by an address with the password in it, once it shows all modules."""
    async with browser() as tab:
        await tab.open(f"http://alice:secret@{urlsplit(proxy.address).netloc}/go/-/ui")
        await tab.until("document.querySelectorAll('#results > li').length > 0 && document.querySelector('#recent tr')")
        yield tab


async def violations(tab: Tab) -> list[str]:
    axe = await asyncio.to_thread(binaries.ensure("axe").read_text, encoding="utf-8")
    await tab.run(f"{axe};0")
    told = "v => [v.id, v.nodes.map(n => n.failureSummary + n.html)]"
    found = await tab.run(f"axe.run().then(result => JSON.stringify(result.violations.map({told})))")
    return [str(violation) for violation in json.loads(found)]


async def test_search_finds_modules_and_shows_what_is_known_of_their_versions(tab: Tab, proxy: ModuleProxy) -> None:
    await tab.run("document.querySelector('#query').focus()")
    await tab.type("MANY team")
    await tab.until("document.querySelector('#status').textContent.startsWith('1 module with')")
    await tab.run("document.querySelector('.open').click()")
    await tab.until("document.querySelectorAll('#results tbody tr').length === 20")

    rows = await tab.run("[...document.querySelectorAll('#results tbody tr')].map(row => row.innerText)")
    cells = rows[0].split("\t")
    assert cells[0] == "v1.24.0"
    assert cells[1].endswith(" B")
    assert cells[3].startswith("file:///")
    assert cells[4].startswith("alice at ")
    assert cells[6] == "allowed (sync)"
    await tab.run("[...document.querySelectorAll('#results button')].at(-1).click()")
    await tab.until("document.querySelectorAll('#results tbody tr').length === 25")
    assert await tab.run("location.search") == "?q=MANY+team"


async def test_refused_modules_show_why_and_the_rest_of_the_list_comes_on_demand(tab: Tab) -> None:
    text = await tab.run("document.querySelector('#results > li').innerText")
    assert "denied by too-late: withdrawn" in text
    assert "denied by no-refused" in await tab.run("document.querySelector('#refusals').innerText")
    assert (await tab.run("document.querySelector('#ratio').innerText")).endswith("files since the start")

    await tab.run("document.querySelector('#more').click()")
    await tab.until("document.querySelectorAll('#results > li').length === 62")
    assert await tab.run("document.querySelector('#more').hidden")
    assert await tab.run("document.activeElement.textContent") == "example.org/other52"


async def test_everything_works_with_the_keyboard_alone(tab: Tab) -> None:
    await tab.press("Tab")
    assert await tab.run("document.activeElement.textContent") == "Skip to the modules"
    await tab.press("Tab")
    assert await tab.run("document.activeElement.id") == "query"
    await tab.type("late")
    await tab.press("Enter")
    await tab.until("document.querySelectorAll('#results > li').length === 1")
    await tab.press("Tab")
    await tab.press("Tab")
    assert await tab.run("document.activeElement.textContent") == "example.com/team/late"
    await tab.press("Enter")
    await tab.until("document.querySelector('#results tbody th')?.textContent === 'v1.0.0'")
    assert await tab.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    await tab.press(" ")
    assert await tab.run("document.activeElement.getAttribute('aria-expanded')") == "false"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_checker_for_screen_readers_finds_nothing(tab: Tab, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    await tab.send("Emulation.setEmulatedMedia", features=features)
    await tab.run("document.querySelectorAll('.open')[0].click(); document.querySelectorAll('.open')[1].click()")
    await tab.until("document.querySelectorAll('#results tbody tr').length > 20")

    assert await violations(tab) == []


async def test_text_of_strangers_stays_text_and_no_other_host_is_asked(tab: Tab, proxy: ModuleProxy) -> None:
    refusals = await tab.run("document.querySelector('#refusals').textContent")
    assert HOSTILE in refusals
    assert "<b onmouseover" in refusals
    await tab.run("document.querySelector('#query').focus()")
    await tab.type(HOSTILE)
    await tab.until("document.querySelector('#status').textContent.startsWith('0 modules with')")

    assert await tab.run("[typeof window.hacked, document.querySelectorAll('img, b, main script').length]") == [
        "undefined",
        0,
    ]
    assert tab.console == []
    assert {urlsplit(url).hostname for url in tab.requested} == {"127.0.0.1"}


async def test_markup_that_got_in_all_the_same_would_not_run(tab: Tab) -> None:
    await tab.run("document.body.append(Object.assign(document.createElement('p'), {id: 'in'}))")
    refused = await tab.run(
        "(() => { try { document.querySelector('#in').innerHTML = '<img src=x onerror=window.hacked=1>';"
        " return 'taken' } catch (error) { return error.name } })()"
    )

    assert refused == "TypeError", "trusted types are required for markup"


def test_the_home_page_leads_to_it(proxy: ModuleProxy) -> None:
    home = proxy.ask("/", headers=AUTHORIZATION).text

    assert '<a href="/go/-/ui">' in home


def test_the_page_stands_behind_the_password(proxy: ModuleProxy) -> None:
    for target in ("/-/ui", "/-/modules", "/-/versions?module=example.com/team/late", "/-/summary", "/-/events"):
        assert proxy.ask(target).status == 401


def test_questions_that_make_no_sense_get_one_line(proxy: ModuleProxy) -> None:
    for target, status, text in (
        ("/-/modules?limit=many", 400, "limit"),
        (f"/-/modules?q={'x' * 256}", 400, "at most 255"),
        ("/-/versions?module=../..", 404, "malformed module path"),
        ("/-/versions", 404, "malformed module path"),
        ("/-/versions?module=example.com/none", 404, "nothing of example.com/none is stored"),
    ):
        answer = proxy.ask(target, headers=AUTHORIZATION)
        assert (answer.status, answer.text.count("\n")) == (status, 1)
        assert text in answer.text


def test_pages_of_modules_follow_each_other_without_loss(proxy: ModuleProxy) -> None:
    seen: list[str] = []
    after = ""
    while True:
        page = json.loads(proxy.ask(f"/-/modules?limit=7&after={after}", headers=AUTHORIZATION).body)
        seen += [entry["module"] for entry in page["modules"]]
        after = page["next"]
        if not after:
            break

    assert len(seen) == page["total"] == 62
    assert seen == sorted(set(seen))
