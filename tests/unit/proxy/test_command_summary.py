"""What a command ends with fits where Kubernetes reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from athens_proxy.commands.summary import MAX_LINE_BYTES, failures_of, one_line, publish
from athens_proxy.modules import ModulePath, ModuleVersion

WANTED = ModuleVersion.parse(ModulePath.parse("example.com/m"), "v1.0.0")


def test_the_result_is_printed_and_left_for_the_kubelet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "termination-log"
    log.write_text("")

    publish({"total": 1}, as_line=True, termination_log=log)
    publish({"total": 1}, as_line=False, termination_log=tmp_path / "absent")

    assert log.read_text() == '{"total": 1}'
    assert capsys.readouterr().out == '{"total": 1}\n{\n  "total": 1\n}\n'
    assert not (tmp_path / "absent").exists()


def test_a_termination_log_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    publish({}, as_line=True, termination_log=tmp_path)


def test_failures_are_cut_until_the_line_fits() -> None:
    failures = failures_of([(WANTED, "x" * 5000)] * 100)

    line = one_line({"failed": 100, "failures": failures})

    assert len(line) <= MAX_LINE_BYTES
    assert 5 < len(json.loads(line)["failures"]) <= len(failures) == 20
    assert json.loads(line)["failed"] == 100
