"""The wiring of credentials: the settings become homes for the go command and headers for our own requests."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from athens_proxy.config.sections import Config
from athens_proxy.credential_files import listed_entries, names_credentials, user_files
from athens_proxy.credentials.authorizer import Authorizer
from athens_proxy.credentials.desk import Desk, desk_socket
from athens_proxy.credentials.github_app import GitHubApps
from athens_proxy.credentials.goauth_command import Commands
from athens_proxy.credentials.keyring import Keyring
from athens_proxy.credentials.private_homes import PrivateHomes, UserFiles
from athens_proxy.credentials.private_root import private_root
from athens_proxy.credentials.probes import Probes
from athens_proxy.credentials.standings import Standings
from athens_proxy.errors import CannotStart
from athens_proxy.upstream.authorize import Authorize
from athens_proxy.upstream.homes import Homes, UserHomes
from athens_proxy.upstream.netrc import Netrc
from athens_proxy.upstream.outbound import OutboundProxies

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OriginCredentials:
    """What the rest of the proxy has of credentials.

    Attributes:
        homes: for runs of the go command.
        authorize: for requests to module proxies.
        describe: what is known of each entry, for people.
        expiries: the metric of when tokens end.
    """

    homes: Homes
    authorize: Authorize
    describe: Callable[[], list[dict[str, Any]]]
    expiries: Collector


@asynccontextmanager
async def open_credentials(
    config: Config,
    environ: Mapping[str, str],
    variables: Mapping[str, str],
    session: aiohttp.ClientSession,
    outbound: OutboundProxies,
) -> AsyncIterator[OriginCredentials]:
    """The credentials of the settings; everything secret that was written is gone when the context ends.

    Args:
        config: every setting.
        environ: of the process.
        variables: GoBinaryEnvVars.
        session: for tokens of GitHub Apps.
        outbound: forward proxies on the way to GitHub.

    Raises:
        CannotStart: a file cannot be read or written.
    """
    entries = listed_entries(config)
    keyring = Keyring(entries, apps=GitHubApps(session, outbound), commands=Commands(environ))
    if not names_credentials(config):
        authorizer = Authorizer(keyring, lambda: Netrc.of(environ, variables))
        yield _credentials(UserHomes(), authorizer, keyring)
        return
    async with AsyncExitStack() as closing:
        parent = Path(environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())  # the former is memory where it is set
        try:
            root = closing.enter_context(private_root(parent))
        except OSError as error:
            raise CannotStart(f"write credentials below {parent}: {error.strerror}") from error
        files = user_files(config, root).with_entries(entries)
        desk = Desk(keyring)
        await closing.enter_async_context(await asyncio.start_unix_server(desk.serve, sock=desk_socket(root)))
        homes = PrivateHomes(root, files, keyring, desk=desk, has_hg=_has_hg(environ))
        authorizer = Authorizer(keyring, lambda: _netrc(files, environ, variables))
        probes = Probes(keyring, session, outbound=outbound, environ=environ, folder=root)
        await closing.enter_async_context(_probing(probes) if entries else nullcontext())
        yield _credentials(homes, authorizer, keyring)


@asynccontextmanager
async def _probing(probes: Probes) -> AsyncIterator[None]:
    """Entries are tried while the context is open."""
    task = asyncio.create_task(probes.run(), name="credential-probes")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _credentials(homes: Homes, authorize: Authorize, keyring: Keyring) -> OriginCredentials:
    return OriginCredentials(homes, authorize, keyring.standings.describe, Expiries(keyring.standings))


class Expiries(Collector):
    """Seconds until the end of each entry that says when it ends, negative after it."""

    def __init__(self, standings: Standings) -> None:
        self._standings = standings

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metric now."""
        text = "Seconds until a credential for origins ends."
        family = GaugeMetricFamily("athens_credential_expiry_seconds", text, labels=["name"])
        for name, left_s in self._standings.expiries_s():
            family.add_metric([name], left_s)
        yield family


def _netrc(files: UserFiles, environ: Mapping[str, str], variables: Mapping[str, str]) -> Netrc:
    """What the go command reads now: the file of NETRC, else those of the settings, else the user's."""
    configured = [path for _, path in files.by_name.get(".netrc", ())]
    if not configured or variables.get("NETRC") or variables.get("GOAUTH", "netrc") != "netrc":
        return Netrc.of(environ, variables)
    return Netrc.parse("".join(map(_text, configured)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") + "\n"
    except OSError as error:
        _LOG.warning("credentials in %s cannot be read: %s", path, error.strerror)
        return ""


def _has_hg(environ: Mapping[str, str]) -> bool:
    return shutil.which("hg", path=environ.get("PATH")) is not None
