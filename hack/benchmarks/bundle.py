"""How quickly bundles are written and stores are filled, and a real project carried to a site without network."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.cold import public_proxy
from benchmarks.peers import Site, children_cpu_s
from benchmarks.report import Figure, Measured, Result, Sense
from benchmarks.sample_modules import VERSION, BenchModule, write
from demonstration.console import Say
from demonstration.errors import DemoError
from localcluster.places import REPOSITORY

NAME: Final = "bundle"
VERSIONS: Final = 10_000
VERSIONS_PER_S: Final = 300.0
LARGE: Final = [BenchModule(f"bench.example.com/large{number:02}", 16 << 20) for number in range(32)]
EXPORT_MB_PER_S: Final = 100.0
_PROJECT: Final = REPOSITORY / "hack/benchmarks/project"
_NOWHERE: Final = "http://127.0.0.1:9"
_NO_NETWORK: Final = {"HTTP_PROXY": _NOWHERE, "HTTPS_PROXY": _NOWHERE, "ATHENS_NETWORK_MODE": "offline"}
_CORES: Final = "0,1"
_DEADLINE_S: Final = 900.0


@dataclass(frozen=True)
class Ran:
    """One command: what it said, seconds of the clock with and without its start, CPU seconds."""

    document: Mapping[str, Any]
    took_s: float
    cpu_s: float

    @property
    def working_s(self) -> float:
        """Without starting Python."""
        return float(self.document["seconds"])


def measure(environ: Mapping[str, str], say: Say) -> list[Result]:
    """Import many small versions, export large zips, carry a real project across.

    Raises:
        DemoError: A command failed, or the go command did where there is no network.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root = Path(folder)
        many = _many(root / "many", environ, say)
        large = _large(root / "large", environ, say)
        project = _project(root / "project", environ, say)
    large_mb = sum(module.zip_bytes for module in LARGE) / 1e6
    return [
        Measured(
            NAME, f"import of {VERSIONS:,} small versions", VERSIONS / many.took_s, Sense.AT_LEAST, VERSIONS_PER_S, "/s"
        ),
        Measured(
            NAME,
            f"export of {large_mb:,.0f} MB of zips",
            large_mb / large.took_s,
            Sense.AT_LEAST,
            EXPORT_MB_PER_S,
            "MB/s",
        ),
        _figure(f"import of {VERSIONS:,}", many),
        _figure(f"export of {large_mb:,.0f} MB", large),
        *(
            _figure(f"{project['export'].document['total']}-version project: {what}", ran)
            for what, ran in project.items()
        ),
    ]


def _many(folder: Path, environ: Mapping[str, str], say: Say) -> Ran:
    say.passing(f"writing {VERSIONS:,} versions")
    for number in range(VERSIONS):
        _small(folder / "tree", f"bench.example.com/team{number % 40}/module{number // 10}", f"v1.{number % 10}.0")
    say.passing(f"importing {VERSIONS:,} versions")
    ran = _run(folder, ["import", folder / "tree"], environ, GOPROXY="off", GOSUMDB="off")
    if ran.document["imported"] != VERSIONS:
        raise DemoError(f"{ran.document['imported']} of {VERSIONS} versions were imported")
    return ran


def _large(folder: Path, environ: Mapping[str, str], say: Say) -> Ran:
    say.passing("filling a store with large zips")
    write(folder / "tree", LARGE)
    names = [f"{module.path}@{VERSION}" for module in LARGE]
    settings = {"GOPROXY": f"file://{folder / 'tree'}", "GOSUMDB": "off"}
    _run(folder, ["prefetch", *names], environ, **settings)
    say.passing("exporting large zips")
    return _run(folder, ["export", *names, "-o", folder / "bundle.tar.zst"], environ, **settings)


def _project(folder: Path, environ: Mapping[str, str], say: Say) -> dict[str, Ran]:
    """The project's go.sum, from an empty store here to `go mod verify` there."""
    go_sum, bundle = _PROJECT / "go.sum", folder / "bundle.tar.zst"
    chain = {"GOPROXY": public_proxy(environ)}
    export: list[str | Path] = ["export", "--go-sum", go_sum, "-o", bundle]
    say.passing("fetching and exporting a project")
    cold = _run(folder / "here", export, environ, **chain)
    warm = _run(folder / "here", export, environ, **chain)
    say.passing("importing the project without network")
    imported = _run(folder / "there", ["import", bundle], {**environ, **_NO_NETWORK}, GOPROXY=_NOWHERE)
    site = Site(folder, folder / "modules", cores=_CORES)
    site.store("athens-operator").rmdir()
    (folder / "there" / "store").rename(site.store("athens-operator"))
    with site.ours(_NOWHERE, settings=_NO_NETWORK) as peer:
        say.passing("running go without network")
        _go_without_network(folder / "client", peer.url, environ)
    return {"fetch and export": cold, "export": warm, "import": imported}


def _go_without_network(folder: Path, url: str, environ: Mapping[str, str]) -> None:
    """Download and verify everything with the checksum database on and no go.sum."""
    shutil.copytree(_PROJECT, folder / "work")
    (folder / "work" / "go.sum").unlink()
    env = {
        **{name: environ[name] for name in ("PATH", "GOROOT") if name in environ},
        **{"HOME": str(folder), "GOPATH": str(folder / "gopath"), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"},
        **{"GOPROXY": url, "GOSUMDB": "sum.golang.org", "HTTPS_PROXY": _NOWHERE, "HTTP_PROXY": _NOWHERE},
    }
    for argv in (["go", "mod", "download"], ["go", "mod", "verify"]):
        done = subprocess.run(argv, cwd=folder / "work", env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoError(f"{' '.join(argv)} without network: {done.stderr.strip()}")


def _run(folder: Path, argv: Sequence[str | Path], environ: Mapping[str, str], **go_env: str) -> Ran:
    for name in ("store", "home"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    env = {
        **environ,
        "HOME": str(folder / "home"),
        "ATHENS_DISK_STORAGE_ROOT": str(folder / "store"),
        "ATHENS_GO_BINARY_ENV_VARS": ";".join(f"{name}={value}" for name, value in go_env.items()),
    }
    before, begun = children_cpu_s(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "athens_proxy", *map(str, argv)],
        env=env,
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    took_s = time.monotonic() - begun
    if done.returncode:
        raise DemoError(f"athens-proxy {argv[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return Ran(json.loads(done.stdout), took_s, children_cpu_s() - before)


def _figure(what: str, ran: Ran) -> Figure:
    mb = float(ran.document.get("bytes", 0)) / 1e6
    figures = {"s": ran.took_s, "working s": ran.working_s, "CPU s": ran.cpu_s, "MB": mb, "MB/CPU s": mb / ran.cpu_s}
    return Figure(NAME, what, "ours", figures)


def _small(root: Path, path: str, version: str) -> None:
    folder = root / path / "@v"
    folder.mkdir(parents=True, exist_ok=True)
    mod = f"module {path}\n\ngo 1.21\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (("go.mod", mod), ("m.go", f"package m // {version}\n"), ("LICENSE", "text " * 400)):
            archive.writestr(zipfile.ZipInfo(f"{path}@{version}/{name}"), text)
    (folder / f"{version}.zip").write_bytes(buffer.getvalue())
    (folder / f"{version}.mod").write_text(mod)
    (folder / f"{version}.info").write_text(f'{{"Version":"{version}","Time":"2020-01-01T00:00:00Z"}}')
