"""One of our own proxies as the store of another: it serves its disk store on a free loopback port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from athens_proxy.app import proxy
from athens_proxy.config.load import load
from athens_proxy.server import Listener, listening
from athens_proxy.storage.external import ExternalStorage, open_external_storage


@asynccontextmanager
async def serving_store(folder: Path, env: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """The address below which a whole proxy of this process serves its store in a folder.

    Args:
        folder: for the store and whatever else the proxy writes.
        env: more settings, by their environment names.
    """
    store = folder / "served"
    store.mkdir(parents=True)
    environ = {
        "HOME": str(folder),
        "ATHENS_DISK_STORAGE_ROOT": str(store),
        "ATHENS_STORAGE_SERVE": "true",
        "ATHENS_GO_BINARY_ENV_VARS": "GOPROXY=off",
        **(env or {}),
    }

    def no_file(name: str) -> None:
        raise FileNotFoundError(name)

    config = load([], environ, no_file)  # type: ignore[arg-type] # it never returns
    listener = Listener(host="127.0.0.1", port=0, shutdown_timeout_s=1)
    async with proxy(config, environ, version="test") as gate, listening(gate.handle, listener) as address:
        yield f"http://127.0.0.1:{address.rpartition(':')[2]}/-/store"


@asynccontextmanager
async def served_storage(folder: Path) -> AsyncIterator[ExternalStorage]:
    """An empty store behind such a proxy."""
    async with serving_store(folder) as url:
        storage = open_external_storage(url)
        try:
            yield storage
        finally:
            await storage.close()
