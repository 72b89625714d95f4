"""The servers that are compared, each a process of its own on one core, and what they consume."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.sample_modules import BenchModule
from demonstration.errors import DemoError
from localcluster import binaries
from localcluster.packages import find

SERVER_CORE: Final = "0"
OURS: Final = "athens-operator"
ATHENS: Final = "athens"
GOPROXY: Final = "goproxy"
NGINX: Final = "nginx"
_READY_DEADLINE_S: Final = 60.0
_STOP_DEADLINE_S: Final = 20.0
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Peer:
    """A running server.

    Attributes:
        name: One of the names above, with what is special about its settings.
        url: Its address.
        pid: Its process.
    """

    name: str
    url: str
    pid: int

    @property
    def cpu_s(self) -> float:
        """CPU seconds so far, user and system, of all its processes."""
        return sum(_cpu_ticks(pid) for pid in (self.pid, *_children(self.pid))) / _TICKS_PER_S

    @property
    def peak_resident_mib(self) -> float:
        """The most memory that was ever resident."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def fill(self, modules: Sequence[BenchModule], *, headers: Mapping[str, str] | None = None) -> None:
        """Ask for every file of the modules once.

        Raises:
            DemoError: An answer is an error.
        """
        for module in modules:
            for extension in ("info", "mod", "zip"):
                self.ask(module.target(extension), headers=headers)

    def ask(self, target: str, *, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of one answer.

        Raises:
            DemoError: The answer is an error.
        """
        request = urllib.request.Request(self.url + target, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                body: bytes = answer.read()
        except OSError as error:
            raise DemoError(f"{self.name}: GET {target}: {error}") from error
        return body


@dataclass(frozen=True)
class Site:
    """Where the servers keep their files, and the files that nginx serves and the others fetch.

    Attributes:
        folder: Of this run.
        modules: The modules in the layout of a module proxy.
        cores: Where servers may run, as for `taskset`.
    """

    folder: Path
    modules: Path
    cores: str = SERVER_CORE

    def store(self, name: str) -> Path:
        """The folder of a disk store that a server of this name will use; an existing folder."""
        folder = self._folder(name) / "store"
        folder.mkdir(exist_ok=True)
        return folder

    @contextmanager
    def nginx(self, *, access_log: str = "off") -> Iterator[Peer]:
        """The modules as files, with sendfile and an open file cache: the speed of the wire."""
        folder, port = self._folder(NGINX), _free_port()
        config = folder / "nginx.conf"
        config.write_text(_NGINX_CONFIG.format(folder=folder, port=port, modules=self.modules, access_log=access_log))
        argv = [_program("nginx"), "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
        with self._running(NGINX, argv, {}, port) as peer:
            yield peer

    @contextmanager
    def athens(self, upstream: str, *, settings: Mapping[str, str] | None = None, kind: str = "") -> Iterator[Peer]:
        """Athens in its quietest form, or with more settings."""
        with self._speaking_athens(ATHENS + kind, [binaries.ensure("athens")], upstream, settings or {}) as peer:
            yield peer

    @contextmanager
    def ours(self, upstream: str, *, settings: Mapping[str, str] | None = None, kind: str = "") -> Iterator[Peer]:
        """This project's proxy with the same settings."""
        argv = [sys.executable, "-m", "athens_proxy"]
        with self._speaking_athens(OURS + kind, argv, upstream, settings or {}) as peer:
            yield peer

    @contextmanager
    def goproxy(self, upstream: str) -> Iterator[Peer]:
        """Run goproxy with its folder cache."""
        folder, port = self._folder(GOPROXY), _free_port()
        argv: list[str | Path] = [
            binaries.ensure("goproxy"),
            "server",
            f"--address=127.0.0.1:{port}",
            f"--cacher-dir={folder / 'cache'}",
        ]
        with self._running(GOPROXY, argv, {"GOPROXY": upstream, "GOSUMDB": "off"}, port) as peer:
            yield peer

    @contextmanager
    def _speaking_athens(
        self, name: str, argv: Sequence[str | Path], upstream: str, settings: Mapping[str, str]
    ) -> Iterator[Peer]:
        port = _free_port()
        environment = {
            "ATHENS_PORT": f"127.0.0.1:{port}",
            "ATHENS_STORAGE_TYPE": "disk",
            "ATHENS_DISK_STORAGE_ROOT": str(self.store(name)),
            "ATHENS_GO_BINARY_ENV_VARS": f"GOPROXY={upstream};GOSUMDB=off",
            "ATHENS_LOG_LEVEL": "error",
            **settings,
        }
        with self._running(name, argv, environment, port) as peer:
            yield peer

    def _folder(self, name: str) -> Path:
        folder = self.folder / name.replace(" ", "-")
        folder.mkdir(exist_ok=True)
        return folder

    @contextmanager
    def _running(
        self, name: str, argv: Sequence[str | Path], environment: Mapping[str, str], port: int
    ) -> Iterator[Peer]:
        folder = self._folder(name)
        for own in ("home", "tmp"):
            (folder / own).mkdir(exist_ok=True)
        inherited = {key: os.environ[key] for key in ("PATH", "GOROOT", "LANG") if key in os.environ}
        own_environment = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "GOFLAGS": "-modcacherw"}
        threads = {"GOMAXPROCS": "1"} if self.cores == SERVER_CORE else {}
        with (folder / "output.log").open("wb") as log:
            process = subprocess.Popen(
                ["taskset", "-c", self.cores, *argv],
                env={**inherited, **own_environment, **threads, **environment},
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_until_listening(name, process, port, folder / "output.log")
            yield Peer(name, f"http://127.0.0.1:{port}", process.pid)
        finally:
            _stop(process)


def children_cpu_s() -> float:
    """CPU seconds of all processes of the bench that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _cpu_ticks(pid: int) -> int:
    """Of a process and its children that have ended; 0 once it has ended itself, for then its parent has them."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0
    return sum(int(field) for field in fields[11:15])


def _wait_until_listening(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_DEADLINE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DemoError(f"{name} ended at once:\n{log.read_text(errors='replace')[-1000:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise DemoError(
        f"{name} did not listen within {_READY_DEADLINE_S:.0f} s:\n{log.read_text(errors='replace')[-1000:]}"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _program(name: str) -> str:
    path = find(name)
    if path is None:
        raise DemoError(f"{name} is missing; as root: apt-get install {PACKAGES[name]}")
    return path


PACKAGES: Final[dict[str, str]] = {"nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux"}
_NGINX_CONFIG: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 1024; }}
http {{
    access_log {access_log};
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    open_file_cache max=1000;
    client_body_temp_path {folder}/tmp;
    proxy_temp_path {folder}/tmp;
    fastcgi_temp_path {folder}/tmp;
    uwsgi_temp_path {folder}/tmp;
    scgi_temp_path {folder}/tmp;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {modules};
    }}
}}
"""
