"""A module proxy as its users run it: a real process with an environment, a configuration file and a store of its own.

`running` starts ours; `support.athens.running` starts Athens with the same settings, since ours takes the same ones.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.exchange import Answer, ask
from support.ports import free_port
from support.processes import RunningProcess, accepts_connections, inherited, started

READY_DEADLINE_S = 60.0


@dataclass(frozen=True)
class Settings:
    """What a test decides about a proxy; everything else is the product's default.

    Attributes:
        upstream: the GOPROXY chain behind it.
        go_env: further variables of the go command, as in `GOSUMDB=off`.
        env: environment variables of the proxy by their Athens names.
        toml: text of a configuration file, "" for none.
        scheme: `https` when `env` names a certificate.
        own_image: whether it matters that its process began with an exec; see `support.processes.started`.
    """

    upstream: str
    go_env: tuple[str, ...] = ("GOSUMDB=off",)
    env: Mapping[str, str] = field(default_factory=dict)
    toml: str = ""
    scheme: str = "http"
    own_image: bool = False


@dataclass(frozen=True)
class ModuleProxy:
    """A running proxy.

    Attributes:
        address: scheme, host and port, without a path prefix.
        prefix: its path prefix, "" for none.
        store: the root of its disk store.
        process: the process that serves it.
    """

    address: str
    prefix: str
    store: Path
    process: RunningProcess

    @property
    def url(self) -> str:
        """Its GOPROXY line."""
        return self.address + self.prefix

    def ask(self, target: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
        """One raw request below the prefix."""
        return ask(self.url, target, method=method, headers=headers)


@contextmanager
def running(folder: Path, settings: Settings) -> Iterator[ModuleProxy]:
    """Our proxy, ready to serve; stopped when the context ends."""
    with launched("athens-proxy", [sys.executable, "-m", "athens_proxy"], folder, settings) as proxy:
        yield proxy


@asynccontextmanager
async def running_beside(folder: Path, settings: Settings) -> AsyncIterator[ModuleProxy]:
    """The same in front of an upstream that the caller's event loop serves."""
    context = running(folder, settings)
    proxy = await asyncio.to_thread(context.__enter__)
    try:
        yield proxy
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


@contextmanager
def launched(name: str, argv: Sequence[str | Path], folder: Path, settings: Settings) -> Iterator[ModuleProxy]:
    """A proxy program that reads Athens' settings, once it accepts connections."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    store = folder / "store"
    store.mkdir(exist_ok=True)
    command = list(argv)
    if settings.toml:
        (folder / "config.toml").write_text(settings.toml)
        command.append(f"-config_file={folder / 'config.toml'}")
    env = environment(folder, settings, port=port, store=store)
    log = folder / f"{name}.log"
    with started(name, command, env=env, cwd=folder, log=log, own_image=settings.own_image) as process:
        process.wait_until(lambda: accepts_connections(port), what="listening", deadline_s=READY_DEADLINE_S)
        yield ModuleProxy(f"{settings.scheme}://127.0.0.1:{port}", env.get("ATHENS_PATH_PREFIX", ""), store, process)


def environment(folder: Path, settings: Settings, *, port: int, store: Path) -> dict[str, str]:
    """The environment of a proxy: nothing of this process but the way to the tools."""
    for name in ("home", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    return {
        **inherited("PATH", "GOROOT", "LANG"),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "ATHENS_PORT": f"127.0.0.1:{port}",
        "ATHENS_STORAGE_TYPE": "disk",
        "ATHENS_DISK_STORAGE_ROOT": str(store),
        "ATHENS_GO_BINARY_ENV_VARS": ";".join([f"GOPROXY={settings.upstream}", *settings.go_env]),
        **settings.env,
    }
