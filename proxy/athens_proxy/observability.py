"""Logs on standard output, in Athens' three formats.

Everyone logs with `logging.getLogger(__name__)` and `extra=`; this module decides how a line looks.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TextIO

import structlog
from structlog.types import EventDict, Processor

from athens_proxy.hit_lines import HitLine, HitLines, gcp_hit, json_hit, plain_hit

_LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "panic": logging.CRITICAL,
}
_SHOWN: Final = {"debug": "DEBUG", "info": "INFO", "warning": "WARN", "error": "ERROR", "critical": "ERROR"}
_OF_EVERY_RECORD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
_OF_EVERY_LINE: Final = frozenset({"time", "level", "msg", "event", "_record", "_from_structlog", "_logger", "_name"})
_GCP: Final = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "critical": "ERROR"}


def configure_logging(*, level: str, log_format: str, cloud_runtime: str) -> None:
    """Send every log line to standard output.

    Args:
        level: one of Athens' level names.
        log_format: `json` or `plain`.
        cloud_runtime: `GCP` selects the format of Google Cloud's log agent.
    """
    renderers: dict[str, tuple[Callable[[EventDict], EventDict | str], HitLine]] = {
        "json": (_json, json_hit),
        "plain": (_plain, plain_hit),
    }
    renderer, hit_line = (_gcp, gcp_hit) if cloud_runtime == "GCP" else renderers[log_format or "plain"]
    processors: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _rendered_by(renderer)]
    if renderer is not _plain:
        processors.append(structlog.processors.JSONRenderer(ensure_ascii=False, default=str))
    formatter: logging.Formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), structlog.stdlib.add_log_level, _exception],
        processors=processors,
    )
    if renderer is _json:
        formatter = _LeanJson(formatter)
    handler = _Lines(sys.stdout, hit_line)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_LEVELS[level])
    logging.getLogger("asyncio").setLevel(max(_LEVELS[level], logging.INFO))


def hit_log() -> Callable[[str, int, str, float, bool], None] | None:
    """Writes the access line of a GET that a kept answer served, as `web/middleware.py` does, for less.

    Takes the path, the bytes of the body, the request id, seconds, and whether a stored file was asked for. None if
    such lines are below the level.
    """
    root = logging.getLogger()
    lines = next((handler.hits for handler in root.handlers if isinstance(handler, _Lines)), None)
    return lines.add if lines is not None and root.isEnabledFor(logging.INFO) else None


class _Lines(logging.StreamHandler[TextIO]):
    """Writes log lines, and before each one those of kept answers that still wait.

    Args:
        stream: where to.
        hit_line: see `HitLines`.
    """

    def __init__(self, stream: TextIO, hit_line: HitLine) -> None:
        super().__init__(stream)
        self.hits = HitLines(stream, hit_line)

    def flush(self) -> None:
        """Write what waits; the library calls this at the end of the process."""
        self.hits.write()
        super().flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self.hits.write()
        super().emit(record)


class _LeanJson(logging.Formatter):
    """The JSON lines of the general formatter for a fraction of its time; access lines are most of the log.

    Args:
        general: formats what is more than a message and fields.
    """

    def __init__(self, general: logging.Formatter) -> None:
        super().__init__()
        self._general = general
        self._encode = json.JSONEncoder(ensure_ascii=False, default=str).encode
        self._second, self._time = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        """One line without its end."""
        fields = {name: value for name, value in record.__dict__.items() if name not in _OF_EVERY_RECORD}
        if record.exc_info or record.stack_info or not isinstance(record.msg, str) or fields.keys() & _OF_EVERY_LINE:
            return self._general.format(record)
        if int(record.created) != self._second:
            self._second = int(record.created)
            self._time = datetime.fromtimestamp(self._second).astimezone().isoformat(timespec="seconds")
        level = _SHOWN[record.levelname.lower()]
        return self._encode({"time": self._time, "level": level, "msg": record.getMessage(), **fields})


def _rendered_by(renderer: Callable[[EventDict], EventDict | str]) -> Processor:
    def process(_: Any, __: str, event: EventDict) -> EventDict | str:
        return renderer(event)

    return process


def _exception(_: Any, __: str, event: EventDict) -> EventDict:
    """A defect's traceback as one field: logs are for operators, and one event is one line."""
    record = event.get("_record")
    if isinstance(record, logging.LogRecord) and record.exc_info:
        event["exception"] = logging.Formatter().formatException(record.exc_info).replace("\n", " | ")
        record.exc_info = record.exc_text = None
    event.pop("exc_info", None)
    return event


def _now() -> datetime:
    return datetime.now().astimezone()


def _json(event: EventDict) -> EventDict:
    level, message = _SHOWN[event.pop("level")], event.pop("event")
    return {"time": _now().isoformat(timespec="seconds"), "level": level, "msg": message, **event}


def _gcp(event: EventDict) -> EventDict:
    severity, message = _GCP[event.pop("level")], event.pop("event")
    return {"timestamp": _now().isoformat(), "severity": severity, "message": message, **event}


def _plain(event: EventDict) -> str:
    level, message = _SHOWN[event.pop("level")], event.pop("event")
    fields = " ".join(f"{name}={event[name]}" for name in sorted(event))
    now = _now()
    line = f"{level}[{now.hour % 12 or 12}:{now:%M%p}]: {message}\t{fields} "
    return line.replace("\n", " ")
