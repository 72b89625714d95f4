"""When a tool is built again."""

from pathlib import Path

import pytest

from localcluster import binaries
from localcluster.errors import ClusterError
from localcluster.places import REPOSITORY, Places

GO = "go version go1.26.8 linux/amd64"


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    (tmp_path / "go.mod").write_text("module a\n")
    (tmp_path / "go.sum").write_text("sums\n")
    return tmp_path


def test_the_same_pins_and_compiler_share_one_build(pins: Path) -> None:
    assert binaries.cache_key(pins, GO, ["-s"]) == binaries.cache_key(pins, GO, ["-s"])


@pytest.mark.parametrize("changed", ["go.mod", "go.sum", "main.go", "compiler", "flags"])
def test_whatever_goes_into_a_build_changes_its_key(pins: Path, changed: str) -> None:
    before = binaries.cache_key(pins, GO, ["-s"])
    if "go." in changed or changed.endswith(".go"):
        (pins / changed).write_text("another\n")
    go = "go version go1.27.0 linux/amd64" if changed == "compiler" else GO
    flags = ["-s", "-w"] if changed == "flags" else ["-s"]
    assert binaries.cache_key(pins, go, flags) != before


def test_text_that_moves_between_the_files_changes_the_key(pins: Path) -> None:
    before = binaries.cache_key(pins, GO, [])
    (pins / "go.mod").write_text("module a\nsums\n")
    (pins / "go.sum").write_text("")
    assert binaries.cache_key(pins, GO, []) != before


@pytest.mark.parametrize("group", binaries.GROUPS, ids=lambda group: group.name)
def test_every_group_is_pinned_with_sums(group: binaries.Group) -> None:
    folder = REPOSITORY / "hack/tools" / group.module
    pinned = (folder / "go.mod").read_text().split()
    assert set(group.programs.values()) <= set(pinned)
    assert (folder / "go.sum").read_text()


def test_the_stamped_version_is_the_pinned_one() -> None:
    kubernetes = next(group for group in binaries.GROUPS if "kubelet" in group.programs)
    stamped = next(value for name, value in kubernetes.stamps.items() if name.endswith("gitVersion"))
    pinned = (REPOSITORY / "hack/tools" / kubernetes.module / "go.mod").read_text()
    assert f"k8s.io/kubernetes {stamped} " in pinned


def test_an_unknown_tool_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"no tool is called 'hlem'; there are athens, .*helm"):
        binaries.ensure("hlem", Places(tmp_path, tmp_path, tmp_path))
