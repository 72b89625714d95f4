"""`go mod download` of a real project, straight from the public Go proxy and through empty proxies in turns."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.peers import ATHENS, GOPROXY, OURS, Peer, Site, children_cpu_s
from benchmarks.report import Figure, Measured, Result, Sense
from demonstration.console import Say
from demonstration.errors import DemoError
from localcluster.places import REPOSITORY

NAME: Final = "cold"
ROUNDS: Final = 3
QUICK: Final = "BENCH_QUICK"
"""Environment variable; when set, servers that need most of the time are left out."""
DIRECT: Final = "direct"
CORES: Final = "0,1"
_PROJECT: Final = REPOSITORY / "hack/benchmarks/project"
_TMPFS: Final = Path("/dev/shm")
_DEADLINE_S: Final = 300.0
_OFF, _ON = "off", "sum.golang.org"
_BARS: Final = {_OFF: 0.9, _ON: 1.0}
_SHOWN: Final = {_OFF: "checksum database off", _ON: "checksum database on at both ends"}


@dataclass(frozen=True)
class Download:
    """One run of the client: seconds of the clock, CPU seconds of client and server, peak memory of the server."""

    took_s: float
    client_cpu_s: float
    server_cpu_s: float = 0.0
    server_mib: float = 0.0


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Seconds of every way, three rounds in turns, medians; with the database on the project has no go.sum.

    Raises:
        DemoError: A server did not start, or the go command failed.
    """
    upstream = public_proxy(environ)
    seen: dict[tuple[str, str], list[Download]] = defaultdict(list)
    for number in range(ROUNDS):
        for database in _BARS:
            for name in _ways(database, is_first=number == 0, is_quick=bool(environ.get(QUICK))):
                say.passing(f"round {number + 1} of {ROUNDS}: {name}, {_SHOWN[database]}")
                seen[database, name].append(_round(name, database, upstream, environ))
    medians = {key: _median(downloads) for key, downloads in seen.items()}
    return [*_measured(medians), *_figures(medians)]


def public_proxy(environ: Mapping[str, str]) -> str:
    """The first module proxy of `go env GOPROXY`.

    Raises:
        DemoError: It is no HTTP address.
    """
    ran = subprocess.run(["go", "env", "GOPROXY"], env=dict(environ), capture_output=True, text=True, check=True)
    first = ran.stdout.strip().replace("|", ",").split(",")[0]
    if not first.startswith("http"):
        raise DemoError(f"GOPROXY is {first}: the scenario needs a module proxy; set GOPROXY to one")
    return first


def _ways(database: str, *, is_first: bool, is_quick: bool) -> Sequence[str]:
    if database == _ON or is_quick:
        return (DIRECT, OURS)
    return (DIRECT, OURS, GOPROXY, ATHENS) if is_first else (DIRECT, OURS, GOPROXY)


def _round(name: str, database: str, upstream: str, environ: Mapping[str, str]) -> Download:
    if name == DIRECT:
        return _download(upstream, database, environ)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        _server(name, Site(Path(folder), Path(folder), cores=CORES), database, upstream) as peer,
    ):
        before_s = peer.cpu_s
        download = _download(peer.url, database, environ)
        return Download(download.took_s, download.client_cpu_s, peer.cpu_s - before_s, peer.peak_resident_mib)


def _server(name: str, site: Site, database: str, upstream: str) -> AbstractContextManager[Peer]:
    if name == GOPROXY:
        return site.goproxy(upstream)
    if name == ATHENS:
        return site.athens(upstream)
    return site.ours(upstream, settings={"ATHENS_GO_BINARY_ENV_VARS": f"GOPROXY={upstream};GOSUMDB={database}"})


def _download(proxy: str, database: str, environ: Mapping[str, str]) -> Download:
    with _client_folder() as folder:
        project = folder / "project"
        project.mkdir()
        for name in ("go.mod", "go.sum") if database == _OFF else ("go.mod",):
            shutil.copy(_PROJECT / name, project)
        before_s, begin = children_cpu_s(), time.monotonic()
        ran = subprocess.run(
            ["go", "mod", "download"],
            cwd=project,
            env=_client_environment(environ, folder) | {"GOPROXY": proxy, "GOSUMDB": database},
            capture_output=True,
            text=True,
            check=False,
            timeout=_DEADLINE_S,
        )
        took_s = time.monotonic() - begin
        if ran.returncode:
            raise DemoError(f"go mod download from {proxy}: {ran.stderr.strip()[-500:]}")
        return Download(took_s, children_cpu_s() - before_s)


def _client_environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith("GO")}
    return kept | {
        "GOENV": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-modcacherw",
        "GOPATH": str(folder / "gopath"),
        "GOCACHE": str(folder / "cache"),
    }


@contextmanager
def _client_folder() -> Iterator[Path]:
    """A folder in memory where there is one, so that the client's disk is not what is measured."""
    parent = str(_TMPFS) if os.access(_TMPFS, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder:
        yield Path(folder)


def _median(downloads: Sequence[Download]) -> Download:
    return Download(
        statistics.median(each.took_s for each in downloads),
        statistics.median(each.client_cpu_s for each in downloads),
        statistics.median(each.server_cpu_s for each in downloads),
        max(each.server_mib for each in downloads),
    )


def _measured(medians: Mapping[tuple[str, str], Download]) -> list[Measured]:
    return [
        Measured(
            NAME,
            f"cold go mod download, {_SHOWN[database]}, time to direct",
            medians[database, OURS].took_s / medians[database, DIRECT].took_s,
            Sense.AT_MOST,
            bar,
        )
        for database, bar in _BARS.items()
    ]


def _figures(medians: Mapping[tuple[str, str], Download]) -> list[Figure]:
    return [
        Figure(
            NAME,
            _SHOWN[database],
            name,
            {
                "s": download.took_s,
                "client CPU s": download.client_cpu_s,
                "server CPU s": download.server_cpu_s,
                "peak MiB": download.server_mib,
            },
        )
        for (database, name), download in medians.items()
    ]
