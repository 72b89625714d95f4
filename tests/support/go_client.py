"""The real `go` command as a client: private folders, private settings, nothing inherited but the toolchain."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from support.processes import inherited

DEADLINE_S = 180.0


@dataclass(frozen=True)
class GoRun:
    """How one `go` command ended."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    def ok(self) -> GoRun:
        """Itself when the command succeeded; fails the test with everything it printed otherwise."""
        assert self.code == 0, f"go {' '.join(self.argv)} exited {self.code}\n{self.stdout}\n{self.stderr}"
        return self

    def failed(self) -> GoRun:
        """Itself when the command failed, as the test wants."""
        assert self.code != 0, f"go {' '.join(self.argv)} succeeded\n{self.stdout}\n{self.stderr}"
        return self


@dataclass(frozen=True)
class GoClient:
    """One user of `go`: a home, a module cache and a work folder of their own.

    Attributes:
        folder: everything of this user; the module cache in it starts empty.
        goproxy: the GOPROXY line.
        gosumdb: the GOSUMDB line.
        env: further settings.
    """

    folder: Path
    goproxy: str
    gosumdb: str = "off"
    env: Mapping[str, str] | None = None

    @property
    def home(self) -> Path:
        """The user's home, where `.netrc` is looked for."""
        return self._made("home")

    @property
    def work(self) -> Path:
        """The folder that commands run in."""
        return self._made("work")

    @property
    def cache(self) -> Path:
        """The module cache."""
        return self._made("modcache")

    def environment(self) -> dict[str, str]:
        """What `go` sees: the toolchain's place from this process, all else from here."""
        return {
            **inherited("PATH", "GOROOT", "LANG"),
            "HOME": str(self.home),
            "GOPATH": str(self._made("gopath")),
            "GOMODCACHE": str(self.cache),
            "GOCACHE": build_cache(),
            "GOENV": "off",
            "GOFLAGS": "-modcacherw",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "GOPROXY": self.goproxy,
            "GOSUMDB": self.gosumdb,
            "GIT_TERMINAL_PROMPT": "0",
            **(self.env or {}),
        }

    def run(self, *argv: str, cwd: Path | None = None, deadline_s: float = DEADLINE_S) -> GoRun:
        """One `go` command to its end, in `work` unless told otherwise."""
        done = subprocess.run(
            ["go", *argv],
            cwd=cwd or self.work,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
        )
        return GoRun(argv, done.returncode, done.stdout, done.stderr)

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """The same command, running; the caller waits for it."""
        return subprocess.Popen(
            ["go", *argv],
            cwd=self.work,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def program(self, *imports: str, module: str = "example.com/client") -> Path:
        """A main package in `work` that imports these packages; returns the folder."""
        self.work.joinpath("go.mod").write_text(f"module {module}\n\ngo 1.21\n")
        lines = "".join(f'\t_ "{path}"\n' for path in imports)
        self.work.joinpath("main.go").write_text(f"package main\n\nimport (\n{lines})\n\nfunc main() {{}}\n")
        return self.work

    def _made(self, name: str) -> Path:
        made = self.folder / name
        made.mkdir(parents=True, exist_ok=True)
        return made


@cache
def go_env(name: str) -> str:
    """One value of `go env` as this machine has it."""
    return subprocess.run(["go", "env", name], check=True, capture_output=True, text=True).stdout.strip()


def build_cache() -> str:
    """The shared build cache: compiled standard packages are no part of what is tested."""
    return go_env("GOCACHE")


def public_proxy() -> str:
    """The first http entry of this machine's GOPROXY."""
    entries = go_env("GOPROXY").replace("|", ",").split(",")
    return next(entry for entry in entries if entry.startswith("http"))
