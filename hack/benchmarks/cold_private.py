"""Many versions of one git repository through `direct`: this proxy and Athens, both empty."""

from __future__ import annotations

import base64
import random
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from benchmarks.cold import CORES, QUICK
from benchmarks.peers import ATHENS, OURS, Peer, Site
from benchmarks.report import Figure, Measured, Result, Sense
from demonstration.console import Say
from demonstration.errors import DemoError

NAME: Final = "cold-private"
VERSIONS: Final = 50
QUICK_VERSIONS: Final = 15
CLIENTS: Final = 8
FASTER: Final = 3.5
_MODULE: Final = "github.com/bench-example/repository"
_FILE_BYTES: Final = 200_000
_DEADLINE_S: Final = 600.0
_AUTHOR: Final = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Seconds until eight clients have the zips of all versions, each of which adds a file of 270 kB.

    Raises:
        DemoError: A server did not start or answered with an error.
    """
    count = QUICK_VERSIONS if environ.get(QUICK) else VERSIONS
    took_s: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = _home(Path(folder), count)
        settings = {"HOME": str(home), "ATHENS_GO_BINARY_ENV_VARS": "GOPROXY=direct;GOSUMDB=off"}
        site = Site(Path(folder), Path(folder), cores=CORES)
        for name in (OURS, ATHENS):
            say.passing(f"{count} versions from {name}")
            with _server(name, site, settings) as peer:
                took_s[name] = _all_zips(peer, count)
    what = f"cold, {count} versions of one git repository, times as fast as Athens"
    return [
        Measured(NAME, what, took_s[ATHENS] / took_s[OURS], Sense.AT_LEAST, FASTER),
        *(Figure(NAME, f"{count} versions", name, {"s": seconds}) for name, seconds in took_s.items()),
    ]


def _server(name: str, site: Site, settings: Mapping[str, str]) -> AbstractContextManager[Peer]:
    return (site.ours if name == OURS else site.athens)("direct", settings=settings)


def _home(folder: Path, count: int) -> Path:
    """A home whose git takes a bare repository here for the one on the net."""
    bare, home = _repository(folder, count), folder / "git-home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "file://{bare}"]\n\tinsteadOf = https://{_MODULE}\n')
    return home


def _repository(folder: Path, count: int) -> Path:
    work, bare, noise = folder / "work", folder / "repository.git", random.Random(NAME)
    _git(folder, "init", "-q", str(work))
    (work / "go.mod").write_text(f"module {_MODULE}\n\ngo 1.20\n")
    for number in range(count):
        (work / f"noise{number}.txt").write_bytes(base64.encodebytes(noise.randbytes(_FILE_BYTES)))
        _git(work, "add", ".")
        _git(work, *_AUTHOR, "commit", "-q", "-m", f"Add file {number}")
        _git(work, "tag", f"v1.{number}.0")
    _git(folder, "clone", "-q", "--bare", str(work), str(bare))
    return bare


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _all_zips(peer: Peer, count: int) -> float:
    def ask(number: int) -> None:
        url = f"{peer.url}/{_MODULE}/@v/v1.{number}.0.zip"
        try:
            with urllib.request.urlopen(url, timeout=_DEADLINE_S) as answer:
                answer.read()
        except urllib.error.URLError as error:
            raise DemoError(f"{peer.name}: GET {url}: {error}") from error

    begin = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(ask, range(count)))
    return time.monotonic() - begin
