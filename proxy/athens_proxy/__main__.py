"""The `athens-proxy` command: arguments and environment become settings, settings a server.

Exit status: 0 after a clean stop, 1 when it cannot start or had to drop requests, 2 for a wrong command line.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version as installed_version
from pathlib import Path

import uvloop

from athens_proxy.app import proxy
from athens_proxy.commands import hash_password
from athens_proxy.commands.by_name import command_named
from athens_proxy.config.load import ConfigError, ConfigFile, UsageError, arguments, load
from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart
from athens_proxy.observability import configure_logging
from athens_proxy.processes import Sibling, supervise
from athens_proxy.server import Listener, allow_many_connections, listening, stop_signal
from athens_proxy.tls import ServerCertificate
from athens_proxy.web.hot_path import HotServer

USAGE = """Usage of athens-proxy:
  -config_file string
        The path to the config file
  -version
        Print version information and exit
  copy --from ADDRESS --to ADDRESS
        Copy one store into another and exit; see copy --help
  export --go-sum FILE -o BUNDLE
        Write module versions into one verified file and exit; see export --help
  import BUNDLE|FOLDER
        Take module versions into the store and exit; see import --help
  prefetch [--url URL] [--go-sum FILE] [--modules FILE] [MODULE@VERSION...]
        Fetch module versions ahead of time and exit; see prefetch --help
  reindex [-config_file string]
        Record everything the store holds in the index and exit
  verify [--sample N] [--sumdb]
        Compare what the store holds with its sums and exit; see verify --help
  purge MODULE@VERSION...
        Delete versions for good and exit; see purge --help
  hash-password --user NAME
        Read a password or token, print its line for AuthClientsDir and exit; see hash-password --help"""
SWITCH_S = 0.001  # a thread that judges a zip leaves the processor to the event loop, where clients wait, so soon
_LOG = logging.getLogger("athens_proxy")


def main() -> None:
    """Run the command and exit with its status."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run until a signal; returns the exit status."""
    if command := command_named(argv):
        return command(argv[1:], environ, _read_file)
    if argv[:1] == ["hash-password"]:
        return hash_password.main(argv[1:])
    version = installed_version("athens-operator")
    try:
        if arguments(argv).version:
            print(f"Build Details:\n\tVersion:\t{version}\n\tDate:\t\t")
            return 0
        config = load(argv, environ, _read_file)
    except UsageError as error:
        print(f"{error}\n{USAGE}", file=sys.stderr)
        return 2
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    configure_logging(
        level=config.log.level,
        log_format=config.log.format,
        cloud_runtime=config.log.cloud_runtime,
        cloud_project=environ.get("GOOGLE_CLOUD_PROJECT", ""),
    )
    for warning in config.warnings:
        _LOG.warning(warning)
    allow_many_connections()
    return _run_processes(config, environ, version)


def _run_processes(config: Config, environ: Mapping[str, str], version: str) -> int:
    if config.server.processes == 1:
        return _served(config, environ, version, None)
    try:
        _refuse_what_processes_cannot_share(config)
        address, serve = config.server.address, partial(_served, config, environ, version)
        return supervise(config.server.processes, host=address.host, port=address.port, serve=serve)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1


def _refuse_what_processes_cannot_share(config: Config) -> None:
    """Settings that would give every process modules or a feed of its own.

    Raises:
        CannotStart: there is such a setting.
    """
    cannot_be_shared = {
        "UnixSocket": bool(config.server.unix_socket),
        "StorageType": config.storage.type == "memory",
        "IndexType": config.index.type == "memory",
    }
    for key, is_so in cannot_be_shared.items():
        if is_so:
            names = config.origins["Processes"].name, config.origins[key].name
            raise CannotStart(f"{names[0]}: several processes cannot share what {names[1]} names; set {names[0]} to 1")


def _served(config: Config, environ: Mapping[str, str], version: str, sibling: Sibling | None) -> int:
    sys.setswitchinterval(SWITCH_S)
    try:
        return uvloop.run(_serve(config, environ, version, sibling))
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1


async def _serve(config: Config, environ: Mapping[str, str], version: str, sibling: Sibling | None) -> int:
    certificate = _certificate(config)
    listener = _listener(config, certificate, sibling)
    stopping = asyncio.create_task(stop_signal(), name="stop-signal")
    renewing = asyncio.create_task(certificate.watch(), name="certificate") if certificate else None
    parts = proxy(config, environ, version=version, sibling=sibling, certificate=certificate, stopping=stopping)
    async with parts as hot_path:
        server_class = partial(HotServer, path=hot_path)
        async with listening(hot_path.handle, listener, server_class=server_class) as address:
            _LOG.info("Starting application", extra=dict([address.split("=", 1)]))
            if sibling is not None:
                sibling.is_serving()
            await stopping
            begin = time.monotonic()
        is_late = time.monotonic() - begin >= listener.shutdown_timeout_s > 0
    if renewing is not None:
        renewing.cancel()
    if is_late:
        _LOG.error("Could not shut down server: requests were still running after the ShutdownTimeout")
    return 1 if is_late else 0


def _certificate(config: Config) -> ServerCertificate | None:
    server = config.server
    return ServerCertificate(server.tls_cert_file, server.tls_key_file) if server.tls_cert_file else None


def _listener(config: Config, certificate: ServerCertificate | None, sibling: Sibling | None) -> Listener:
    server = config.server
    return Listener(
        host=server.address.host,
        port=sibling.port if sibling else server.address.port,
        unix_socket=server.unix_socket,
        tls=certificate.context if certificate else None,
        shutdown_timeout_s=float(server.shutdown_timeout_s),
        is_shared=sibling is not None,
    )


def _read_file(name: str) -> ConfigFile:
    path = Path(name)
    return ConfigFile(path.read_text(encoding="utf-8"), path.stat().st_mode & 0o777)


if __name__ == "__main__":
    main()
