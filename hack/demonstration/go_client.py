"""The go command as a developer runs it, with every way out shut except the proxy.

Direct access is pointed at a port where nobody listens. So when a download succeeds, the proxy has answered all of it,
the checksum database included: go asks the database itself only where the proxy does not relay it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from demonstration.errors import DemoError

NOWHERE: Final = "http://127.0.0.1:9"
_DEADLINE_S: Final = 240


@dataclass(frozen=True)
class GoResult:
    """What one go command did."""

    succeeded: bool
    output: str


@dataclass(frozen=True)
class GoClient:
    """A developer's go with an empty module cache.

    Attributes:
        folder: Holds the client's copy of the module, its caches and its home.
        goproxy: The one GOPROXY it may use.
        environ: The caller's environment, of which only PATH is kept.
        settings: Further variables of this client.
    """

    folder: Path
    goproxy: str
    environ: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> GoResult:
        """Run `go ARGUMENTS` in the module's folder.

        Raises:
            DemoError: go is not installed, or did not end in time.
        """
        command = ["go", *arguments]
        module = self.folder / "module"
        module.mkdir(exist_ok=True)
        try:
            done = subprocess.run(
                command,
                cwd=module,
                env=self._environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_DEADLINE_S,
                check=False,
            )
        except FileNotFoundError as missing:
            raise DemoError("there is no go command on PATH; install Go 1.26") from missing
        except subprocess.TimeoutExpired as late:
            raise DemoError(f"{' '.join(command)} with GOPROXY={self.goproxy}: no end after {_DEADLINE_S} s") from late
        return GoResult(done.returncode == 0, done.stdout)

    def copy_module(self, source: Path, *, without: str = "") -> None:
        """Work on a copy of a module, so that the original cannot change; one file of it may be left out."""
        shutil.copytree(source, self.folder / "module", ignore=shutil.ignore_patterns(without), dirs_exist_ok=True)

    def sums_looked_up(self) -> int:
        """How many module versions the checksum database has vouched for since the cache was last empty."""
        records = (self.folder / "cache/cache/download/sumdb").glob("*/lookup/**/*")
        return sum(1 for record in records if record.is_file())

    def forget(self) -> None:
        """Empty the module cache: the next download asks the proxy for everything."""
        shutil.rmtree(self.folder / "cache", ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": self.environ["PATH"],
            "HOME": str(self.folder),
            "GOPATH": str(self.folder / "gopath"),
            "GOCACHE": str(self.folder / "build"),
            "GOMODCACHE": str(self.folder / "cache"),
            **client_settings(self.goproxy),
            "NO_PROXY": "127.0.0.1,localhost",
            **self.settings,
        }


def client_settings(goproxy: str) -> dict[str, str]:
    """The variables of a client that has nothing but the proxy; every other setting is Go's default.

    `GONOSUMDB` and `GOPRIVATE` stay unset on purpose: a sum that go.sum lacks is asked of the database.
    """
    return {
        "GOPROXY": goproxy,
        "GOENV": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-modcacherw -mod=mod",
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
    }


@contextmanager
def go_client(goproxy: str, environ: Mapping[str, str], **settings: str) -> Iterator[GoClient]:
    """A client with an empty cache in a temporary folder; `settings` are further variables of its own."""
    with tempfile.TemporaryDirectory(prefix="go-client-") as folder:
        yield GoClient(Path(folder), goproxy, environ, settings)
