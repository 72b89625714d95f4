"""The shape of the tree: what keeps imports, reviews and newcomers from tripping."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.tree import ROOT, tracked


def test_the_operator_folder_holds_nothing_but_the_package() -> None:
    """An `__init__.py`, a test or a conftest there would shadow the standard library's `operator`."""
    assert {path.relative_to(ROOT / "operator").parts[0] for path in tracked("operator")} == {"athens_operator"}


def test_the_standard_operator_module_survives_the_repository_root_on_the_path() -> None:
    code = "import operator, sys; sys.exit(0 if operator.itemgetter(0)([1]) == 1 else 1)"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)

    assert done.returncode == 0


def test_test_folders_are_not_packages() -> None:
    """Importlib mode needs unique paths only; an `__init__.py` would bring name clashes back."""
    assert tracked("tests/**/__init__.py") == []


@pytest.mark.parametrize("name", ["utils", "helpers", "manager", "common", "base", "misc"])
def test_no_module_has_a_name_that_says_nothing(name: str) -> None:
    assert [path for path in tracked("*.py") if path.stem == name] == []
