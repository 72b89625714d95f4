"""A whole proxy in this process, for tests that start many: as a real one, but without the start of a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from athens_proxy.app import proxy
from athens_proxy.config.load import load
from athens_proxy.server import Listener, listening
from athens_proxy.web.hot_path import HotServer
from support.exchange import Answer, ask


@dataclass(frozen=True)
class ServedProxy:
    """A proxy that serves.

    Attributes:
        url: its address.
        store: the root of its disk store.
    """

    url: str
    store: Path

    async def ask(self, target: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
        """One raw request, while this process goes on serving."""
        return await asyncio.to_thread(ask, self.url, target, method=method, headers=headers)

    async def metric(self, name: str) -> float:
        """The sum of a metric over its labels; 0 where it is absent."""
        lines = (await self.ask("/metrics")).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


@asynccontextmanager
async def serving(folder: Path, upstream: str, **env: object) -> AsyncIterator[ServedProxy]:
    """The proxy over the disk store `folder/store`, which outlives it.

    Args:
        folder: for the store and whatever else the proxy writes.
        upstream: its GOPROXY chain; modules are not verified.
        env: more settings, by their environment names.
    """
    store = folder / "store"
    store.mkdir(parents=True, exist_ok=True)
    environ: Mapping[str, str] = {
        "HOME": str(folder),
        "ATHENS_DISK_STORAGE_ROOT": str(store),
        "ATHENS_GO_BINARY_ENV_VARS": f"GOPROXY={upstream};GOSUMDB=off",
        **{name: str(value) for name, value in env.items()},
    }

    def no_file(name: str) -> None:
        raise FileNotFoundError(name)

    config = load([], environ, no_file)  # type: ignore[arg-type] # it never returns
    listener = Listener(host="127.0.0.1", port=0, shutdown_timeout_s=1)
    async with proxy(config, environ, version="test") as path:
        server_class = partial(HotServer, path=path)
        async with listening(path.handle, listener, server_class=server_class) as address:
            yield ServedProxy(f"http://127.0.0.1:{address.rpartition(':')[2]}", store)
