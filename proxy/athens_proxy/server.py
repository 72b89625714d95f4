"""The listener and the end of the process: signals, draining, exit status."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from athens_proxy.connections import HEADER_TIMEOUT_S, PatientServer
from athens_proxy.errors import CannotStart

_LOG = logging.getLogger(__name__)
_BACKLOG = 1024
_OPEN_FILES: Final = 65_536  # more helps no proxy; some programs that git starts close every number up to the limit


@dataclass(frozen=True, slots=True)
class Listener:
    """Where to listen.

    Attributes:
        host: "" for every interface.
        port: 0 for any free one.
        unix_socket: a path that replaces host and port, "" for none.
        tls: server certificate, None for plain http.
        shutdown_timeout_s: how long running requests may take after a signal.
        header_timeout_s: how long the header of a request may take.
        is_shared: other processes of this proxy listen on the same port.
    """

    host: str = ""
    port: int = 3000
    unix_socket: str = ""
    tls: ssl.SSLContext | None = None
    shutdown_timeout_s: float = 60.0
    header_timeout_s: float = HEADER_TIMEOUT_S
    is_shared: bool = False


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
ServerClass = Callable[..., PatientServer]


@asynccontextmanager
async def listening(
    handler: Handler, listener: Listener, *, server_class: ServerClass = PatientServer
) -> AsyncIterator[str]:
    """Accepts requests while the context is open; yields the address.

    At the end the listener closes first, then running requests may finish.

    Raises:
        CannotStart: the address is taken or is not ours.
    """
    # A client that leaves must not cancel work that others wait for: handlers run to their end.
    server = server_class(
        handler,
        header_timeout_s=listener.header_timeout_s,
        handler_cancellation=False,
        access_log=None,
        logger=_http_log(),
    )
    runner = web.ServerRunner(server, shutdown_timeout=listener.shutdown_timeout_s)
    await runner.setup()
    try:
        await _start(runner, listener)
        yield _address(runner, listener)
    finally:
        await runner.cleanup()
        _remove_socket(listener)


def allow_many_connections() -> None:
    """Raise the soft limit of open files to the hard one, at most 65,536, as every Go program does at its start.

    The usual soft limit of 1,024 would let idle clients of a few builds take every connection, those of probes too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def stop_signal() -> None:
    """Return at the first SIGTERM or SIGINT; the second one ends the process at once, as the system's default does."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await stopped.wait()
    _LOG.info("Shutting down server")


class _NoMalformedRequests(logging.Filter):
    """Drops what the parser says of a request that is no HTTP: it has its 400, and the log is not the client's."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _http_log() -> logging.Logger:
    log = logging.getLogger(f"{__name__}.http")
    if not log.filters:
        log.addFilter(_NoMalformedRequests())
    return log


async def _start(runner: web.ServerRunner, listener: Listener) -> None:
    try:
        await _site(runner, listener).start()
    except (OSError, UnicodeError) as error:  # the latter for names that no DNS can have
        where = listener.unix_socket or f"{listener.host}:{listener.port}"
        raise CannotStart(f"listen on {where}: {_problem(error)}") from error


def _problem(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "no host has such a name"
    if isinstance(error, socket.gaierror):
        return f"{str(error.strerror).lower()}; write an address of this machine, or nothing for all of them"
    return os.strerror(error.errno).lower() if error.errno else str(error)  # a socket's path may be too long


def _site(runner: web.ServerRunner, listener: Listener) -> web.BaseSite:
    if not listener.unix_socket:
        return web.TCPSite(
            runner,
            listener.host or None,
            listener.port,
            ssl_context=listener.tls,
            backlog=_BACKLOG,
            reuse_port=listener.is_shared or None,
        )
    if Path(listener.unix_socket).is_socket():
        Path(listener.unix_socket).unlink()  # of a process that was killed
    return web.UnixSite(runner, listener.unix_socket, ssl_context=listener.tls, backlog=_BACKLOG)


def _remove_socket(listener: Listener) -> None:
    if listener.unix_socket:
        Path(listener.unix_socket).unlink(missing_ok=True)


def _address(runner: web.ServerRunner, listener: Listener) -> str:
    if listener.unix_socket:
        return f"unixSocket={listener.unix_socket}"
    name = runner.addresses[0]
    return f"tcpPort={listener.host}:{name[1]}"
