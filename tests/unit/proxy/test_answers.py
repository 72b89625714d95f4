"""The table from errors to statuses, the text of errors, and log lines."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from athens_proxy import errors
from athens_proxy.config.values import Secret
from athens_proxy.errors import ProxyError
from athens_proxy.hit_lines import DELAY_S, ENOUGH_CHARS, Hit
from athens_proxy.observability import configure_logging, correlate, hit_log
from athens_proxy.web.middleware import AccessLine, log_access
from athens_proxy.web.responses import MAX_REASON, STATUS, printable, reason, status_of
from support.virtual_time import in_virtual_time


def subclasses(cls: type[ProxyError]) -> Iterator[type[ProxyError]]:
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


@pytest.mark.parametrize("cls", sorted(subclasses(ProxyError), key=str))
def test_every_error_has_a_status(cls: type[ProxyError]) -> None:
    assert any(base in STATUS for base in cls.__mro__)


def test_the_module_of_errors_defines_them_all() -> None:
    assert all(cls.__module__ == errors.__name__ for cls in subclasses(ProxyError))


def test_a_new_error_would_be_an_internal_error() -> None:
    class New(ProxyError):
        pass

    assert status_of(New("x"), upstream_errors="notfound") == 500


@pytest.mark.parametrize(
    ("text", "status", "wanted"),
    [
        ("not found: no such module", 404, "not found: no such module"),
        ("upstream is down", 404, "not found: upstream is down"),
        ("upstream is down", 502, "upstream is down"),
        ("", 502, "UpstreamError"),
    ],
)
def test_absence_always_says_not_found(text: str, status: int, wanted: str) -> None:
    assert reason(errors.UpstreamError(text), status) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("two\nlines\x1b[31m", "two lines [31m"),
        ("a\udc80b", "a b"),
        ("b" * MAX_REASON + "e" * MAX_REASON, "b" * (MAX_REASON // 2) + "…" + "e" * (MAX_REASON // 2)),
        ("\u2028", ""),
    ],
)
def test_a_reason_is_one_printable_line(text: str, wanted: str) -> None:
    assert printable(text) == wanted


@pytest.fixture
def unlogged() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


def log_something() -> None:
    logging.getLogger("athens_proxy.test").warning("something %s", "happened", extra={"http-status": "200", "a": 1})


@pytest.mark.usefixtures("unlogged")
def test_json_lines_have_athens_fields_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", log_format="json", cloud_runtime="none")
    log_something()

    line = capsys.readouterr().out
    fields = json.loads(line)

    assert list(fields)[:3] == ["time", "level", "msg"]
    assert {**fields, "time": ""} == {
        "time": "", "level": "WARN", "msg": "something happened", "http-status": "200", "a": 1,
    }  # fmt: skip
    assert line.count("\n") == 1


@pytest.mark.usefixtures("unlogged")
@pytest.mark.parametrize(("log_format", "runtime"), [("json", "none"), ("plain", "none"), ("plain", "GCP")])
def test_lines_name_the_module_as_athens_does(
    capsys: pytest.CaptureFixture[str], log_format: str, runtime: str
) -> None:
    configure_logging(level="info", log_format=log_format, cloud_runtime=runtime)
    logging.getLogger("athens_proxy.test").error("no", extra={"go-module": "example.com/m", "version": "v1.0.0"})

    line = capsys.readouterr().out

    assert ("module=example.com/m " if "\t" in line else '"module": "example.com/m"') in line
    assert "go-module" not in line


@pytest.mark.usefixtures("unlogged")
def test_plain_lines_have_athens_shape(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", log_format="plain", cloud_runtime="none")
    log_something()

    before, tab, fields = capsys.readouterr().out.partition("\t")

    assert before.startswith("WARN[")
    assert before.endswith("M]: something happened")
    assert (tab, fields) == ("\t", "a=1 http-status=200 \n")


@pytest.mark.usefixtures("unlogged")
def test_cloud_lines_have_a_severity(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", log_format="plain", cloud_runtime="GCP")
    log_something()

    fields = json.loads(capsys.readouterr().out)

    assert (fields["severity"], fields["message"]) == ("WARNING", "something happened")
    assert "timestamp" in fields


@pytest.mark.usefixtures("unlogged")
def test_cloud_access_lines_have_the_request_and_its_trace_where_google_looks_for_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(level="info", log_format="plain", cloud_runtime="GCP", cloud_project="p-1")
    correlate(lambda: "0af7651916cd43dd8448eb211c80319c")
    log_access(AccessLine("GET", "/m/@v/list?x=1", 404, 12, 0.25, "", "192.0.2.7"), request_id="id-1")

    fields = json.loads(capsys.readouterr().out)

    assert fields["httpRequest"] == {
        "requestMethod": "GET", "requestUrl": "/m/@v/list", "status": 404, "responseSize": "12",
        "latency": "0.250000s", "remoteIp": "192.0.2.7",
    }  # fmt: skip
    assert fields["logging.googleapis.com/trace"] == "projects/p-1/traces/0af7651916cd43dd8448eb211c80319c"
    assert fields["logging.googleapis.com/trace_sampled"] is True


@pytest.mark.usefixtures("unlogged")
@pytest.mark.parametrize(("log_format", "runtime"), [("json", "none"), ("plain", "none"), ("plain", "GCP")])
def test_a_secret_is_masked_wherever_somebody_logs_it(
    capsys: pytest.CaptureFixture[str], log_format: str, runtime: str
) -> None:
    configure_logging(level="debug", log_format=log_format, cloud_runtime=runtime)
    secret = Secret("hunter2")
    held = {"deep": [secret]}
    logging.getLogger("athens_proxy.test").info("%s and %r", secret, secret, extra={"own": secret, "held": held})

    line = capsys.readouterr().out

    assert "hunter2" not in line
    assert line.count("********") == 4


@pytest.mark.usefixtures("unlogged")
@pytest.mark.parametrize("log_format", ["json", "plain"])
def test_a_defect_is_one_line_with_its_cause(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    configure_logging(level="info", log_format=log_format, cloud_runtime="none")
    try:
        raise RuntimeError("the cause")
    except RuntimeError:
        logging.getLogger("athens_proxy.test").exception("a defect")

    out = capsys.readouterr().out

    assert out.count("\n") == 1
    assert "the cause" in out


@pytest.mark.usefixtures("unlogged")
def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="error", log_format="json", cloud_runtime="none")
    log_something()

    assert capsys.readouterr().out == ""


FIELDS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1).filter(
        lambda name: name not in logging.makeLogRecord({}).__dict__
    ),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just(Path("/x")),
)


@pytest.mark.usefixtures("unlogged")
@given(message=st.text(), fields=FIELDS, level=st.sampled_from([logging.INFO, logging.WARNING, logging.CRITICAL]))
@example(message="", fields={name: None for name in ("time", "level", "msg", "_record", "_name")}, level=logging.INFO)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_lean_json_lines_are_those_of_the_general_formatter(message: str, fields: dict[str, Any], level: int) -> None:
    configure_logging(level="info", log_format="json", cloud_runtime="none")
    (lean,) = (handler.formatter for handler in logging.getLogger().handlers)
    general = getattr(lean, "_general", None)
    assert isinstance(general, logging.Formatter)
    parts = {"name": "x", "levelno": level, "levelname": logging.getLevelName(level), "msg": message, "args": ()}
    record = logging.makeLogRecord({**parts, **{k: v for k, v in fields.items() if k not in {"message", "asctime"}}})

    def line(formatter: logging.Formatter) -> str:
        return re.sub(r'^{"time": "[^"]*"', "", formatter.format(copy.copy(record)))

    assert lean is not None
    assert line(lean) == line(general)


@pytest.mark.usefixtures("unlogged")
@pytest.mark.parametrize(("log_format", "runtime"), [("json", "none"), ("plain", "none"), ("plain", "GCP")])
@given(
    path=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="?")),
    size_bytes=st.integers(0, 1 << 40),
    duration_s=st.floats(0, 1e6),
    is_file=st.booleans(),
    client=st.sampled_from(["", "192.0.2.7", "2001:db8::1"]),
    trace_id=st.sampled_from(["", "0af7651916cd43dd8448eb211c80319c"]),
    forwarded_for=st.sampled_from(["", "198.51.100.4", "198.51.100.4, 2001:db8::2"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_lines_of_kept_answers_are_those_of_the_ordinary_path(
    capsys: pytest.CaptureFixture[str],
    log_format: str,
    runtime: str,
    path: str,
    size_bytes: int,
    duration_s: float,
    is_file: bool,
    client: str,
    trace_id: str,
    forwarded_for: str,
) -> None:
    configure_logging(level="info", log_format=log_format, cloud_runtime=runtime, cloud_project="p-1")
    correlate(lambda: trace_id)
    log = hit_log()
    assert log is not None

    log(Hit(path, size_bytes, "id-1", round(duration_s * 1000, 3), is_file, client, trace_id, forwarded_for))
    line = AccessLine("GET", path, 200, size_bytes, duration_s, "hit" if is_file else "", client, forwarded_for)
    log_access(line, request_id="id-1")

    quick, ordinary = capsys.readouterr().out.splitlines()
    assert without_time(quick) == without_time(ordinary)


def without_time(line: str) -> str:
    return re.sub(r'^({"time(stamp)?": "|INFO\[)([-+.:0-9T]*|\d+:\d\d[AP]M)["\]]', r"\1", line)


@pytest.mark.usefixtures("unlogged")
async def test_lines_of_kept_answers_keep_their_place_and_leave_when_the_loop_has_turned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(level="info", log_format="plain", cloud_runtime="none")
    log = hit_log()
    assert log is not None
    log(Hit("/first", 1, "id", 0.0, True))
    logging.getLogger("athens_proxy.test").warning("second")
    log(Hit("/third", 1, "id", 0.0, True))
    before = capsys.readouterr().out

    await asyncio.sleep(0)

    assert before.index("/first") < before.index("second")
    assert "/third" not in before
    assert "/third" in capsys.readouterr().out


@pytest.mark.usefixtures("unlogged")
def test_lines_of_kept_answers_that_come_thick_and_fast_are_written_together_soon_and_in_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def main() -> list[str]:
        configure_logging(level="info", log_format="plain", cloud_runtime="none")
        log = hit_log()
        assert log is not None
        for number in range(3):
            log(Hit(f"/{number}", 1, "id", 0.0, True))
            await asyncio.sleep(0)
        written = [capsys.readouterr().out]
        await asyncio.sleep(DELAY_S)
        written.append(capsys.readouterr().out)
        log(Hit("/3", 1, "id", 0.0, True))
        await asyncio.sleep(0)
        logging.getLogger().handlers[0].flush()  # as at the end of the process
        return [*written, capsys.readouterr().out]

    paths = [re.findall(r"http-path=(\S+)", text) for text in in_virtual_time(main())]

    assert paths == [["/0"], ["/1", "/2"], ["/3"]]


@pytest.mark.usefixtures("unlogged")
async def test_many_lines_of_kept_answers_do_not_wait(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="info", log_format="json", cloud_runtime="none")
    log = hit_log()
    assert log is not None
    log(Hit("/first", 1, "id", 0.0, True))
    await asyncio.sleep(0)
    capsys.readouterr()

    for number in range(ENOUGH_CHARS // 100):
        log(Hit(f"/{number}", 1, "id", 0.0, True))
    await asyncio.sleep(0)

    assert len(capsys.readouterr().out.splitlines()) == ENOUGH_CHARS // 100


@pytest.mark.usefixtures("unlogged")
def test_lines_of_kept_answers_below_the_level_are_not_made() -> None:
    configure_logging(level="warn", log_format="plain", cloud_runtime="none")

    assert hit_log() is None
