"""The wiring of who may ask: the one user of the settings, and the folder of clients while it is watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from athens_proxy.clients.folder import FoundFolder
from athens_proxy.clients.watch import WatchedClients
from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart
from athens_proxy.metrics import Metrics
from athens_proxy.web.access import Access

_LOG = logging.getLogger(__name__)


def needs_credentials(config: Config) -> bool:
    """Whether clients have to show who they are."""
    return bool(config.server.basic_auth_user or config.clients.folder)


def access(config: Config, clients: WatchedClients | None) -> Access:
    """Who may ask, and how."""
    server = config.server
    if config.remotes.serve and not needs_credentials(config):
        _LOG.warning("Storage.Serve without BasicAuthUser: whoever reaches this proxy can write its store")
    return Access(
        prefix=server.path_prefix,
        user=server.basic_auth_user,
        password=server.basic_auth_pass.reveal(),
        force_ssl=server.force_ssl,
        clients=clients,
    )


@asynccontextmanager
async def watched_clients(
    config: Config, metrics: Metrics, *, on_change: Callable[[], None]
) -> AsyncIterator[WatchedClients | None]:
    """The clients of the folder, watched while the context is open; None if no folder is named.

    Args:
        config: every setting.
        metrics: told how many problems there are.
        on_change: called when credentials came or went, so that no answer outlives them.

    Raises:
        CannotStart: there is no such folder.
    """
    if not config.clients.folder:
        yield None
        return

    def changed(found: FoundFolder) -> None:
        metrics.client_problems(len(found.problems))
        on_change()

    try:
        clients = WatchedClients(Path(config.clients.folder), on_change=changed)
    except CannotStart as error:
        raise CannotStart(f"{config.origins['AuthClientsDir'].name}: {error}") from error
    await clients.look()
    watching = asyncio.create_task(clients.watch(), name="auth-clients")
    try:
        yield clients
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        clients.close()
