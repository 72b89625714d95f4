"""`athens-operator`: environment to settings, settings to operator; nothing else."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Mapping

import uvloop

from athens_operator.app import Operator
from athens_operator.connection import NoCluster, connect
from athens_operator.errors import OperatorError
from athens_operator.kube import KubeCluster
from athens_operator.lease import LeaseLost
from athens_operator.metrics import Metrics
from athens_operator.observability import configure_logging
from athens_operator.settings import RELEASE, Settings, SettingsError

logger = logging.getLogger(__name__)

COLLECT_AFTER = (20_000, 20, 20)
"""Objects of the API server are trees of hundreds of dicts without cycles; Python's own thresholds cost a tenth of the
processor time of a cold start."""


async def operate(settings: Settings, environ: Mapping[str, str], stop: asyncio.Event) -> None:
    """Run one replica until `stop` is set.

    Raises:
        NoCluster: there is no API server to talk to.
        LeaseLost: another replica took over.
    """
    metrics = Metrics()
    configuration = await connect(environ)
    cluster = KubeCluster(configuration, metrics, user_agent=f"athens-operator/{RELEASE}")
    try:
        await Operator(settings, cluster, lambda: connect(environ), metrics).run(stop)
    finally:
        await cluster.close()


async def _until_signalled(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await operate(settings, os.environ, stop)


def main() -> None:
    """The console script; exit code 1 with one line for anything that an administrator can correct."""
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.exit(f"athens-operator: {error}")
    configure_logging(settings.log_level)
    gc.set_threshold(*COLLECT_AFTER)
    try:
        uvloop.run(_until_signalled(settings))
    except (NoCluster, LeaseLost) as error:
        logger.error("%s", error)
        sys.exit(1)
    except OperatorError as error:
        sys.exit(f"athens-operator: {error}")


if __name__ == "__main__":
    main()
