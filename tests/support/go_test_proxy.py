"""Go's own reference module proxy and checksum database, from the source tree of the installed toolchain.

`cmd/go`'s test binary serves `testdata/mod` (some 250 modules, a live checksum database and paths that fail on
purpose) when it is started with `-proxy`. The same binary runs the script tests of `cmd/go`; an overlay lets them
reach their proxy through the one under test.

Source: GOROOT/src/cmd/go/proxy_test.go, script_test.go.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.go_client import go_env
from support.ports import free_port
from support.processes import RunningProcess, accepts_connections, inherited, started

FRONT = Path(__file__).parent / "go_front" / "front_test.go"
SUMDB_NAME = "localhost.localdev/sumdb"
SUMDB_KEY = "localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6"
READY_DEADLINE_S = 60.0


@dataclass(frozen=True)
class GoTestProxy:
    """Go's test proxy, running.

    Attributes:
        url: its GOPROXY line.
        process: the process that serves it.
    """

    url: str
    process: RunningProcess


def source() -> Path:
    """The folder of cmd/go in the installed toolchain: the test binary reads its data from there."""
    return Path(go_env("GOROOT")) / "src" / "cmd" / "go"


def binary() -> Path:
    """The test binary of cmd/go, built once per toolchain into the user's cache (about 40 s)."""
    key = hashlib.sha256(FRONT.read_bytes()).hexdigest()[:12]
    folder = _cache_root() / f"go-test-proxy-{go_env('GOVERSION')}"
    built = folder / f"cmdgo-{key}.test"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            _build(built)
    return built


@dataclass(frozen=True)
class Passage:
    """Lines of a script test.

    Attributes:
        script: its name.
        first: the first of them.
        behind: the line behind the last of them; "" where the files of the script begin, or at its end.
    """

    script: str
    first: str
    behind: str = ""

    def cut(self, text: str) -> str:
        """The script without them; unchanged if they are not there, as in another release of Go."""
        start = text.find(f"\n{self.first}\n")
        end = text.find(f"\n{self.behind}\n" if self.behind else "\n-- ", start)
        if end < 0 and not self.behind:
            end = len(text)
        return text if start < 0 or end < 0 else text[:start] + text[end:]


@contextmanager
def running(folder: Path) -> Iterator[GoTestProxy]:
    """The test proxy on a free loopback port, with its log in `folder`."""
    port = free_port()
    env = {**_toolchain_environment(), "TMPDIR": str(folder)}
    argv: list[str | Path] = [binary(), f"-proxy=127.0.0.1:{port}"]
    with started("go test proxy", argv, env=env, cwd=source(), log=folder / "go-test-proxy.log") as process:
        process.wait_until(lambda: accepts_connections(port), what="listening", deadline_s=READY_DEADLINE_S)
        yield GoTestProxy(f"http://127.0.0.1:{port}/mod", process)


def run_scripts(
    names: list[str], *, front: str, upstream: str, folder: Path, deadline_s: float, without: Sequence[Passage] = ()
) -> subprocess.CompletedProcess[str]:
    """Run scripts of testdata/script by name; output is that of `go test -v`.

    Args:
        names: file names without `.txt`.
        front: base address of the proxy under test.
        upstream: base address of the test proxy behind it, without its `/mod`.
        folder: where temporary files go.
        deadline_s: limit for all of them.
        without: what is left out of them.
    """
    env = {
        **_toolchain_environment(),
        "TMPDIR": str(folder),
        "GOTESTPROXY_FRONT": front,
        "GOTESTPROXY_UPSTREAM": upstream,
    }
    argv = [str(binary()), f"-test.run=^TestScript$/^({'|'.join(names)})$", "-test.v", "-test.parallel=2"]
    return subprocess.run(
        [*argv, f"-test.timeout={deadline_s:.0f}s"],
        cwd=_with_scripts(folder / "cmd-go", names, without),
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=deadline_s + 30,
        check=False,
    )


def _with_scripts(folder: Path, names: Sequence[str], without: Sequence[Passage]) -> Path:
    """A folder that the test binary takes for that of its source, with these scripts alone."""
    data, scripts = source() / "testdata", folder / "testdata" / "script"
    scripts.mkdir(parents=True)
    for entry in data.iterdir():
        if entry.name != scripts.name:
            (folder / "testdata" / entry.name).symlink_to(entry)
    cut = {passage.script: passage for passage in without}
    for name in names:
        script = data / "script" / f"{name}.txt"
        if name in cut:
            (scripts / script.name).write_text(cut[name].cut(script.read_text()))
        else:
            (scripts / script.name).symlink_to(script)
    return folder


def _build(target: Path) -> None:
    proxy_test = source() / "proxy_test.go"
    with tempfile.TemporaryDirectory(prefix="go-test-proxy-") as scratch:
        patched = Path(scratch) / "proxy_test.go"
        original = proxy_test.read_text()
        text = original.replace("http.Serve(l, http.HandlerFunc(proxyHandler))", "http.Serve(l, frontHandler())")
        assert text != original, f"{proxy_test} starts its server in a way this overlay does not know"
        patched.write_text(text)
        overlay = Path(scratch) / "overlay.json"
        replace = {str(proxy_test): str(patched), str(source() / "front_test.go"): str(FRONT)}
        overlay.write_text(json.dumps({"Replace": replace}))
        product = Path(scratch) / "cmdgo.test"
        done = subprocess.run(
            ["go", "test", "-c", f"-overlay={overlay}", "-o", str(product), "."],
            cwd=source(),
            env=_toolchain_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"building the test binary of cmd/go failed\n{done.stderr}"
        unpublished = target.with_suffix(".new")
        shutil.copyfile(product, unpublished)
        unpublished.chmod(0o755)
        unpublished.rename(target)


def _toolchain_environment() -> dict[str, str]:
    return {
        **inherited("PATH", "HOME", "GOROOT", "XDG_CACHE_HOME", "LANG"),
        "GOCACHE": go_env("GOCACHE"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "",
        "GOPROXY": "off",
    }


def _cache_root() -> Path:
    chosen = os.environ.get("XDG_CACHE_HOME")
    return (Path(chosen) if chosen else Path.home() / ".cache") / "athens-operator"
