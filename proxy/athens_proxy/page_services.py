"""The wiring of the page for people: what it needs runs only while it is on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from athens_proxy.client_access import needs_credentials
from athens_proxy.config.sections import Config
from athens_proxy.download.rules import Rules
from athens_proxy.event_services import Telling
from athens_proxy.page.facts import Facts, LastUsed, Sources
from athens_proxy.page.module_list import ModuleList
from athens_proxy.policy.enforced import EnforcedPolicy
from athens_proxy.storage.storage import Storage

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PageState:
    """What other parts know.

    Attributes:
        lookups: stored and not stored files that this process was asked for.
        following: what is known of the proxy that is followed; empty for none.
        last_used: when a version was last asked for, as far as anybody counts that.
    """

    lookups: Callable[[], tuple[int, int]]
    following: Callable[[], dict[str, Any]]
    last_used: LastUsed


@asynccontextmanager
async def page_facts(
    config: Config,
    storage: Storage,
    tell: Telling,
    rules: Rules,
    policy: EnforcedPolicy,
    state: PageState,
) -> AsyncIterator[Facts | None]:
    """What the page tells, None while it is off; the list of modules is kept true while the context is open."""
    if tell.origins is None:
        yield None
        return
    if not needs_credentials(config):
        _LOG.warning("Page without BasicAuthUser or AuthClientsDir: whoever reaches this proxy sees what it stores")
    modules = ModuleList(storage)
    tell.events.listen(modules.take)
    running = asyncio.create_task(modules.run(), name="module-list")
    try:
        told = state.lookups, state.following, state.last_used
        yield Facts(Sources(storage, modules, tell.origins, tell.events, rules, policy, *told))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
