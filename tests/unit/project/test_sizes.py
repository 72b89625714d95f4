"""Modules of at most 300 lines, functions of at most 50, custom resource definitions under 100 KB."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from support.tree import ROOT, tracked

MODULE_LINES = 300
FUNCTION_LINES = 50
CRD_BYTES = 100_000

PRODUCT = tracked("operator/*.py", "proxy/*.py", "policy/*.py", "cli/*.py", "hack/*.py")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MODULE_LINES


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    too_long = {node.name: node.end_lineno - node.lineno + 1 for node in functions if node.end_lineno is not None}

    assert {name: lines for name, lines in too_long.items() if lines > FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", tracked("crds/*.yaml"), ids=name_of)
def test_client_side_apply_can_carry_every_crd(path: Path) -> None:
    assert path.stat().st_size < CRD_BYTES
