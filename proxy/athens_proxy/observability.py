"""Logs on standard output, in Athens' three formats.

Everyone logs with `logging.getLogger(__name__)` and `extra=`; this module decides how a line looks.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, TextIO

import structlog
from structlog.types import EventDict, Processor

from athens_proxy.hit_lines import GCP_SAMPLED, GCP_TRACE, Hit, HitLines, MakeLines, gcp_hits, json_hits, plain_hits

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
_OF_EVERY_LINE: Final = frozenset(
    {"time", "level", "msg", "event", "_record", "_from_structlog", "_logger", "_name", "go-module"}
)
_GCP: Final = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "critical": "ERROR"}


TraceId = Callable[[], str]


def configure_logging(*, level: str, log_format: str, cloud_runtime: str, cloud_project: str = "") -> None:
    """Send every log line to standard output.

    Args:
        level: one of Athens' level names.
        log_format: `json` or `plain`.
        cloud_runtime: `GCP` selects the format of Google Cloud's log agent.
        cloud_project: where that agent looks for traces, "" if nobody knows.
    """
    is_gcp = cloud_runtime == "GCP"
    trace_prefix = f"projects/{cloud_project}/traces/" if cloud_project else ""
    renderers: dict[str, tuple[Callable[[EventDict], EventDict | str], MakeLines]] = {
        "json": (_json, json_hits),
        "plain": (_plain, plain_hits),
    }
    gcp = (_gcp, partial(gcp_hits, trace_prefix=trace_prefix))
    renderer, make_lines = gcp if is_gcp else renderers[log_format or "plain"]
    processors: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _rendered_by(renderer)]
    if renderer is not _plain:
        processors.append(structlog.processors.JSONRenderer(ensure_ascii=False, default=str))
    formatter: logging.Formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), _module, structlog.stdlib.add_log_level, _exception],
        processors=processors,
    )
    if renderer is _json:
        formatter = _LeanJson(formatter)
    handler = _Lines(sys.stdout, make_lines, trace_prefix=trace_prefix if is_gcp else None)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_LEVELS[level])
    logging.getLogger("asyncio").setLevel(max(_LEVELS[level], logging.INFO))


def correlate(trace_id: TraceId) -> None:
    """Let every line say to which recorded trace it belongs; `trace_id` tells which one runs now, "" for none."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Lines):
            handler.trace_id = trace_id


def hit_log() -> Callable[[Hit], None] | None:
    """Writes the access line of a GET that a kept answer served, as `web/middleware.py` does, for less.

    None if such lines are below the level.
    """
    root = logging.getLogger()
    lines = next((handler.hits for handler in root.handlers if isinstance(handler, _Lines)), None)
    return lines.add if lines is not None and root.isEnabledFor(logging.INFO) else None


class _Lines(logging.StreamHandler[TextIO]):
    """Writes log lines, and before each one those of kept answers that still wait.

    Args:
        stream: where to.
        make_lines: see `HitLines`.
        trace_prefix: makes the name of a trace for Google Cloud of its id; None for the other formats.
    """

    def __init__(self, stream: TextIO, make_lines: MakeLines, *, trace_prefix: str | None = None) -> None:
        super().__init__(stream)
        self.hits = HitLines(stream, make_lines)
        self.trace_id: TraceId | None = None
        self._trace_prefix = trace_prefix

    def flush(self) -> None:
        """Write what waits; the library calls this at the end of the process."""
        self.hits.write()
        super().flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self.hits.write()
        if self.trace_id is not None and (trace_id := self.trace_id()):
            record.__dict__.update(self._trace_fields(trace_id))
        super().emit(record)

    def _trace_fields(self, trace_id: str) -> dict[str, object]:
        if self._trace_prefix is None:
            return {"trace-id": trace_id}
        return {GCP_TRACE: f"{self._trace_prefix}{trace_id}", GCP_SAMPLED: True}


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


def _module(_: Any, __: str, event: EventDict) -> EventDict:
    """Athens' field `module`, a name that a record of the library has for something else."""
    if "go-module" in event:
        event["module"] = event.pop("go-module")
    return event


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
    line = {"timestamp": _now().isoformat(), "severity": severity, "message": message, **event}
    return {**line, "httpRequest": _http_request(event)} if "http-method" in event else line


def _http_request(event: EventDict) -> dict[str, object]:
    """What Google Cloud shows beside an access line.

    Source: https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#HttpRequest
    """
    client = event.get("client", "")
    return {
        "requestMethod": event["http-method"],
        "requestUrl": event["http-path"],
        "status": int(event["http-status"]),
        "responseSize": str(event["bytes"]),
        "latency": f"{event['duration_ms'] / 1000:.6f}s",
        **({"remoteIp": client} if client else {}),
    }


def _plain(event: EventDict) -> str:
    level, message = _SHOWN[event.pop("level")], event.pop("event")
    fields = " ".join(f"{name}={event[name]}" for name in sorted(event))
    now = _now()
    line = f"{level}[{now.hour % 12 or 12}:{now:%M%p}]: {message}\t{fields} "
    return line.replace("\n", " ")
