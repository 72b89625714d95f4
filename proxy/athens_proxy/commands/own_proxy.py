"""The proxy of the settings, run inside a command and asked over a socket of its own.

So a command fetches by the same chain, policy and verification as the proxy that serves people, into the same store.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Final

from yarl import URL

from athens_proxy.app import proxy
from athens_proxy.commands.proxy_client import ProxyClient, open_client
from athens_proxy.config.load import ReadFile, load
from athens_proxy.config.sections import Config
from athens_proxy.config.sources import prefixed_env
from athens_proxy.server import Listener, listening
from athens_proxy.web.hot_path import HotServer

RETRY_FOR_S: Final = 20.0
# Who runs the command owns the store: no door of the serving proxy stands before it.
_INSIDE: Final = {
    ("TLSCertFile", "ATHENS_TLSCERT_FILE"): "",
    ("TLSKeyFile", "ATHENS_TLSKEY_FILE"): "",
    ("PathPrefix", "ATHENS_PATH_PREFIX"): "",
    ("ForceSSL", "PROXY_FORCE_SSL"): "false",
    ("BasicAuthUser", "BASIC_AUTH_USER"): "",
    ("BasicAuthPass", "BASIC_AUTH_PASS"): "",
    ("AuthClientsDir", "ATHENS_AUTH_CLIENTS_DIR"): "",
    ("Processes", "ATHENS_PROCESSES"): "1",
    ("Storage.Serve", "ATHENS_STORAGE_SERVE"): "false",
    ("Follow", "ATHENS_FOLLOW"): "",
}


def settings_inside(config_file: str, environ: Mapping[str, str], read_file: ReadFile) -> Config:
    """The settings of such a proxy.

    Args:
        config_file: the configuration file, "" for the default one.
        environ: the process environment.
        read_file: reads configuration files.

    Raises:
        ConfigError: they are wrong.
    """
    inside = {prefixed_env(toml, env): value for (toml, env), value in _INSIDE.items()}
    argv: Sequence[str] = [f"-config_file={config_file}"] if config_file else []
    return load(argv, {**environ, **inside}, read_file)


@asynccontextmanager
async def own_proxy(config: Config, environ: Mapping[str, str], *, connections: int) -> AsyncIterator[ProxyClient]:
    """A client of that proxy while the context is open.

    Raises:
        CannotStart: storage, policy or upstream cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="athens-command-") as folder:
        socket = str(Path(folder) / "proxy.sock")
        async with proxy(config, environ, version=installed_version("athens-operator")) as hot_path:
            serving = partial(HotServer, path=hot_path)
            async with listening(
                hot_path.handle, Listener(unix_socket=socket, shutdown_timeout_s=5.0), server_class=serving
            ):
                inside = URL("http://inside.invalid")
                async with open_client(
                    inside, name="upstream", retry_for_s=RETRY_FOR_S, unix_socket=socket, connections=connections
                ) as client:
                    yield client
