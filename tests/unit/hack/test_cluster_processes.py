"""Only processes that we started are ours, whatever their pid has become."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from localcluster.processes import Daemons, Identity, identify, read_identity

SELF = identify(os.getpid())


@pytest.fixture
def daemons(tmp_path: Path) -> Daemons:
    (tmp_path / "pids").mkdir()
    return Daemons(tmp_path / "pids", tmp_path / "logs")


def record(tmp_path: Path, name: str, identity: Identity) -> Path:
    file = tmp_path / "pids" / f"{name}.pid"
    file.write_text(json.dumps(asdict(identity)))
    return file


def proc(tmp_path: Path, stat: str) -> Path:
    root = tmp_path / "proc"
    (root / "7").mkdir(parents=True)
    (root / "7/stat").write_text(stat)
    (root / "sys/kernel/random").mkdir(parents=True)
    (root / "sys/kernel/random/boot_id").write_text("boot-1\n")
    return root


def test_a_process_is_identified_by_pid_start_time_and_boot(tmp_path: Path) -> None:
    root = proc(tmp_path, "7 (odd) name (x) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0")
    assert identify(7, root) == Identity(7, 4711, "boot-1")


def test_a_zombie_is_no_process(tmp_path: Path) -> None:
    root = proc(tmp_path, "7 (etcd) Z 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0")
    assert identify(7, root) is None


def test_a_recorded_process_is_alive(tmp_path: Path, daemons: Daemons) -> None:
    assert SELF is not None
    record(tmp_path, "etcd", SELF)
    assert daemons.alive("etcd")
    assert daemons.names() == ["etcd"]


@pytest.mark.parametrize("changed", [{"started_ticks": 1}, {"boot": "another"}])
def test_a_pid_that_now_belongs_to_another_is_neither_alive_nor_ended(
    tmp_path: Path, daemons: Daemons, changed: dict[str, object]
) -> None:
    """The recorded pid is this test's own: it would not survive a mistake."""
    assert SELF is not None
    file = record(tmp_path, "etcd", replace(SELF, **changed))  # type: ignore[arg-type]
    assert not daemons.alive("etcd")
    daemons.stop("etcd")
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "4711", "{", '{"pid": 1}', '{"pid": "x", "started_ticks": 1, "boot": "b"}'])
def test_a_torn_pid_file_names_no_process(tmp_path: Path, daemons: Daemons, text: str) -> None:
    file = tmp_path / "pids/etcd.pid"
    file.write_text(text)
    assert read_identity(file) is None
    daemons.stop("etcd")
    assert daemons.names() == []
