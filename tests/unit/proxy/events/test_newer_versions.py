"""Which modules a proxy looks for newer versions of by itself, how often, and what it leaves alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from athens_proxy.download.listing import newest
from athens_proxy.errors import ModuleNotFound, RedirectTo, UpstreamError
from athens_proxy.events.newer import FIRST_AFTER_S, PAUSE_S, NewerVersions
from athens_proxy.modules import ModulePath, ModuleVersion
from support.virtual_time import in_virtual_time

A_DAY_S = 86_400.0


class Site:
    """A store and its upstream; what is asked for is stored."""

    def __init__(self, stored: dict[str, list[str]], upstream: dict[str, list[str] | Exception]) -> None:
        self.stored = stored
        self.upstream = upstream
        self.asked: list[tuple[float, str]] = []

    async def stored_versions(self, path: ModulePath) -> list[str]:
        return self.stored.get(path.text, [])

    async def versions(self, path: ModulePath) -> list[str]:
        self.asked.append((asyncio.get_running_loop().time(), path.text))
        listed = self.upstream[path.text]
        if isinstance(listed, Exception):
            raise listed
        return listed

    async def mod(self, wanted: ModuleVersion) -> bytes:
        self.stored[wanted.path.text].append(wanted.version)
        return b""


def looked_for(site: Site, seconds: float, *, change: Callable[[], None] = lambda: None) -> Site:
    """The site after so many seconds; half-way something changes."""

    async def main() -> None:
        newer = NewerVersions(
            site, site.stored_versions, in_use=lambda: list(site.upstream), newest=newest, every_s=A_DAY_S
        )
        running = asyncio.create_task(newer.run())
        await asyncio.sleep(seconds / 2)
        change()
        await asyncio.sleep(seconds / 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    in_virtual_time(main())
    return site


def test_the_newest_version_of_what_is_stored_comes_once_and_nothing_between() -> None:
    site = Site({"example.com/m": ["v1.0.0"]}, {"example.com/m": ["v1.0.0", "v1.1.0", "v1.2.0", "v2.0.0-rc.1"]})

    looked_for(site, 3 * A_DAY_S)

    assert site.stored == {"example.com/m": ["v1.0.0", "v1.2.0"]}


def test_what_comes_out_later_is_found_in_the_next_round() -> None:
    site = Site({"example.com/m": ["v1.0.0"]}, {"example.com/m": ["v1.0.0"]})

    looked_for(site, 3 * A_DAY_S, change=lambda: site.upstream.update({"example.com/m": ["v1.0.0", "v1.0.1"]}))

    assert site.stored == {"example.com/m": ["v1.0.0", "v1.0.1"]}


def test_modules_of_which_nothing_is_stored_are_not_asked_for() -> None:
    site = looked_for(Site({}, {"example.com/never": ["v1.0.0"]}), A_DAY_S)

    assert site.asked == []
    assert site.stored == {}


def test_one_module_is_asked_for_at_a_time_soon_after_the_start_and_then_at_every_interval() -> None:
    names = ["example.com/a", "example.com/b"]
    site = Site({name: ["v1.0.0"] for name in names}, {name: ["v1.0.0"] for name in names})

    looked_for(site, FIRST_AFTER_S + A_DAY_S + 10)

    second = FIRST_AFTER_S + 2 * PAUSE_S + A_DAY_S
    assert site.asked == [
        (FIRST_AFTER_S, names[0]),
        (FIRST_AFTER_S + PAUSE_S, names[1]),
        (second, names[0]),
        (second + PAUSE_S, names[1]),
    ]


def test_no_failure_ends_the_round() -> None:
    failures: dict[str, list[str] | Exception] = {
        "example.com/gone": ModuleNotFound("gone"),
        "example.com/elsewhere": RedirectTo("https://example.com"),
        "example.com/broken": UpstreamError("no answer"),
        "example.com/defect": ValueError("who would have thought"),
    }
    names = [*failures, "example.com/m"]
    site = Site({name: ["v1.0.0"] for name in names}, {**failures, "example.com/m": ["v1.1.0"]})

    looked_for(site, A_DAY_S)

    assert site.stored["example.com/m"] == ["v1.0.0", "v1.1.0"]
