"""The wiring of the policy in force, and of the watch over its file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart
from athens_proxy.metrics import Metrics
from athens_proxy.policy.enforced import EnforcedPolicy
from athens_proxy.policy.source import PolicyRefused, load_setting, policy_file
from athens_proxy.policy.watch import PolicyWatch

_LOG = logging.getLogger(__name__)


@asynccontextmanager
async def enforced_policy(config: Config, metrics: Metrics) -> AsyncIterator[EnforcedPolicy]:
    """The policy of the settings; one that comes from a file is watched while the context is open."""
    setting = config.policy.download_mode
    try:
        loaded = await asyncio.to_thread(load_setting, setting, download_url=config.policy.download_url)
    except PolicyRefused as error:
        raise CannotStart(f"{config.origins['DownloadMode'].name}: {error}") from error
    enforced = EnforcedPolicy(loaded)
    _LOG.info("policy loaded", extra={"digest": loaded.digest, "source": loaded.source})
    path = policy_file(setting)
    if path is None:
        yield enforced
        return
    watching = asyncio.create_task(PolicyWatch(path, enforced, on_reload=metrics.reload).run(), name="policy-watch")
    try:
        yield enforced
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
