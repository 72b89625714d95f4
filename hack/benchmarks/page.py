"""The page for people over a store of 100,000 modules, in a real browser: when something is seen, and when it answers.

The store is filled past the proxy by links to one commit mark. The browser runs on the other core.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.peers import OURS, Peer, Site
from benchmarks.report import Figure, Measured, Result, Sense
from demonstration.console import Say
from demonstration.errors import DemoError
from support.browser import BrowserError, Tab, browser
from support.modules_fixture import SampleModule

NAME: Final = "page"
MODULES: Final = 100_000
LOADS: Final = 5
PAINT_MS: Final = 1_000.0
_SAMPLE: Final = SampleModule("bench.example.com/team0/module0")
_LISTED: Final = "document.querySelectorAll('#results > li').length === 50"
_READ_DEADLINE_S: Final = 600.0
_SETTINGS: Final = {"ATHENS_NETWORK_MODE": "offline", "ATHENS_PAGE": "true"}


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Open the page and search in it, several times; `BENCH_PAGE_MODULES` sets how many modules there are.

    Raises:
        DemoError: The proxy or the browser did not start or answered with errors.
    """
    modules = int(environ.get("BENCH_PAGE_MODULES", MODULES))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        site = Site(Path(folder), Path(folder))
        say.passing(f"filling a disk store with {modules:,} modules")
        _fill(site.store(OURS), modules)
        with site.ours("off", settings=_SETTINGS) as peer:
            try:
                figures = asyncio.run(_looked_at(peer, modules, say))
            except (BrowserError, TimeoutError) as error:
                raise DemoError(f"the browser: {error}") from error
    what = f"with {modules:,} modules"
    return [
        Measured(NAME, f"first paint {what}", figures["first paint ms"], Sense.AT_MOST, PAINT_MS, "ms"),
        Measured(NAME, f"modules answered {what}", figures["modules answered ms"], Sense.AT_MOST, PAINT_MS, "ms"),
        Figure(NAME, f"{modules:,} modules", "ours", figures),
    ]


async def _looked_at(peer: Peer, modules: int, say: Say) -> dict[str, float]:
    say.passing("the proxy reads its store")
    begun_cpu_s = peer.cpu_s
    begun = time.monotonic()
    while not (state := json.loads(await asyncio.to_thread(peer.ask, "/-/summary")))["complete"]:
        if time.monotonic() - begun > _READ_DEADLINE_S:
            raise DemoError(f"{peer.name}: {state['modules']} modules were read in {_READ_DEADLINE_S:.0f} s")
        await asyncio.sleep(0.2)
    if state["modules"] != modules:
        raise DemoError(f"{peer.name}: {state['modules']} modules are listed; stored are {modules}")
    read_s = time.monotonic() - begun
    loads = []
    for number in range(LOADS):
        say.passing(f"load {number + 1} of {LOADS}")
        async with browser() as tab:
            loads.append(await _load(tab, peer))
    medians = {name: statistics.median(load[name] for load in loads) for name in loads[0]}
    found_ms, found_cpu_ms = await _searched(peer, "module4242")
    nothing_ms, nothing_cpu_ms = await _searched(peer, "nothing+like+this")
    return {
        **medians,
        "search ms": found_ms,
        "search CPU ms": found_cpu_ms,
        "vain search ms": nothing_ms,
        "vain search CPU ms": nothing_cpu_ms,
        "reading the store s": read_s,
        "CPU s so far": peer.cpu_s - begun_cpu_s,
        "peak MiB": peer.peak_resident_mib,
    }


async def _load(tab: Tab, peer: Peer) -> dict[str, float]:
    """When a fresh browser has painted, lists modules, and shows the result of a search, in ms."""
    await tab.open(f"{peer.url}/-/ui")
    await tab.until(_LISTED)
    await tab.until("performance.getEntriesByName('first-contentful-paint').length > 0")
    shown: Any = await tab.run(
        "JSON.stringify([performance.getEntriesByName('first-contentful-paint')[0].startTime,"
        " performance.getEntriesByType('resource').find(e => e.name.includes('modules')).responseEnd])"
    )
    painted, listed = json.loads(shown)
    await tab.run("document.querySelector('#query').focus()")
    begun = time.perf_counter()
    await tab.type("module99")
    await tab.until("document.querySelector('#status').textContent.includes('module99')")
    return {
        "first paint ms": painted,
        "modules answered ms": listed,
        "typed to found ms": (time.perf_counter() - begun) * 1000,
    }


async def _searched(peer: Peer, words: str) -> tuple[float, float]:
    """Median milliseconds of a search asked over HTTP, and CPU milliseconds of the proxy for each."""
    took_ms: Sequence[float] = [await asyncio.to_thread(_ask, peer, words) for _ in range(2)]
    cpu_s = peer.cpu_s
    took_ms = [await asyncio.to_thread(_ask, peer, words) for _ in range(20)]
    return statistics.median(took_ms), (peer.cpu_s - cpu_s) * 1000 / 20


def _ask(peer: Peer, words: str) -> float:
    begun = time.perf_counter()
    peer.ask(f"/-/modules?q={words}")
    return (time.perf_counter() - begun) * 1000


def _fill(root: Path, modules: int) -> None:
    """Lay down commit marks alone, which is what a catalogue is made from."""
    kept = root.parent / "original.info"
    kept.write_bytes(_SAMPLE.info)
    for number in range(modules):
        folder = root / "bench.example.com" / f"team{number % 40}" / f"module{number}" / _SAMPLE.version
        folder.mkdir(parents=True)
        try:
            os.link(kept, folder / f"{_SAMPLE.version}.info")
        except OSError:  # a file system allows only so many links of one file
            kept = Path(shutil.copyfile(kept, folder / f"{_SAMPLE.version}.info"))
