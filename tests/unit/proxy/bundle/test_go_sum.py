"""What a go.sum names, and which lines of it cannot be right."""

from __future__ import annotations

import pytest

from athens_proxy.bundle.go_sum import GoSumEntry, InvalidGoSum, parse_go_sum
from athens_proxy.modules import ModulePath, ModuleVersion

ONE = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY="
TWO = "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y="


def version(path: str, text: str) -> ModuleVersion:
    return ModuleVersion.parse(ModulePath.parse(path), text)


def test_versions_come_with_the_sums_of_zip_and_go_mod() -> None:
    text = f"example.com/m v1.0.0 {ONE}\nexample.com/m v1.0.0/go.mod {TWO}\n\nexample.com/Up v0.1.0/go.mod {ONE}\r\n"

    assert parse_go_sum(text, name="go.sum") == {
        version("example.com/m", "v1.0.0"): GoSumEntry(zip_h1=ONE, mod_h1=TWO),
        version("example.com/Up", "v0.1.0"): GoSumEntry(mod_h1=ONE),
    }


def test_the_same_line_twice_and_sums_of_other_kinds_do_no_harm() -> None:
    line = f"example.com/m v1.0.0 {ONE}\n"

    assert parse_go_sum(f"{line}example.com/m v1.0.0 h2:unknown\n{line}", name="go.sum") == parse_go_sum(line, name="")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            f"example.com/m v1.0.0 {ONE}\n\nexample.com/m v1.0.0 {TWO}\n",
            f"go.sum:3: example.com/m v1.0.0 has {TWO}, but {ONE} in line 1",
        ),
        (f"example.com/m v1.0.0/go.mod {ONE}\nexample.com/m v1.0.0/go.mod {TWO}\n", "go.sum:2: "),
        ("example.com/m v1.0.0\n", "go.sum:1: a line of go.sum is module, version and sum; this one has 2 fields"),
        ("<<<<<<< HEAD\n", "go.sum:1: "),
        ("example.com/m v1.0.0 h1:abc=\n", "is no sum"),
        (f"example.com/m v1.0.0 {ONE[:-5]}\n", "is no sum"),
        (f"example.com/m main {ONE}\n", "is no canonical version"),
        (f"example.com/m v2.0.0 {ONE}\n", "is no canonical version"),
        (f"../m v1.0.0 {ONE}\n", "malformed module path"),
        (f"example.com/m v1.0.0/../x {ONE}\n", "disallowed version"),
    ],
)
def test_what_cannot_be_right_is_refused_with_the_line(text: str, problem: str) -> None:
    with pytest.raises(InvalidGoSum) as refused:
        parse_go_sum(text, name="go.sum")

    assert problem in str(refused.value)
