"""Logs as one JSON object a line, with the object and the pass that a line belongs to."""

from __future__ import annotations

import logging
import sys

import structlog

NOISY = ("kopf", "kubernetes", "aiohttp.access", "asyncio")


def configure_logging(level: str) -> None:
    """Send everything that is logged anywhere in the process to standard output.

    Args:
        level: debug, info, warning or error; libraries speak from warning on.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("kopf.objects", "kopf.activities"):  # these speak of every object of every list
        logging.getLogger(name).setLevel(logging.ERROR)
    # Faults with their tracebacks, which the watch supervisor reports in one line.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.CRITICAL)
