"""What a go.mod says about versions; the cases are those of golang.org/x/mod/modfile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.modules.go_mod import GoMod, Retraction, parsed_go_mod


def retractions(text: str) -> list[tuple[str, str, str]]:
    return [(r.low, r.high, r.rationale) for r in parsed_go_mod(text.encode()).retractions]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("retract v1.0.0", [("v1.0.0", "v1.0.0", "")]),
        ("retract v1.0.0 // broken", [("v1.0.0", "v1.0.0", "broken")]),
        ("// why\nretract v1.0.0", [("v1.0.0", "v1.0.0", "why")]),
        ("// why\n// more\nretract v1.0.0 // end", [("v1.0.0", "v1.0.0", "why\nmore\nend")]),
        ("// another subject\n\nretract v1.0.0", [("v1.0.0", "v1.0.0", "")]),
        ("retract [v1.0.0, v1.9.9]", [("v1.0.0", "v1.9.9", "")]),
        ("retract [v1.0.0,v1.9.9]//x", [("v1.0.0", "v1.9.9", "x")]),
        ('retract "v1.0.0"', [("v1.0.0", "v1.0.0", "")]),
        ("retract `v1.0.0`", [("v1.0.0", "v1.0.0", "")]),
        (
            "// all bad\nretract (\n\tv1.0.0\n\t// own\n\n\t[v1.1.0, v1.2.0]\n\tv1.3.0 // typo\n)",
            [("v1.0.0", "v1.0.0", "all bad"), ("v1.1.0", "v1.2.0", "own"), ("v1.3.0", "v1.3.0", "typo")],
        ),
        ("retract (\n)\nretract v2.0.0", [("v2.0.0", "v2.0.0", "")]),
        ("require (\n\texample.com/retract v1.0.0\n)", []),
        ("// retract v1.0.0", []),
        ("retract [v1.0.0, v1.9.9", []),
        ("retract main", []),
        ("retract v1.0.0 v1.1.0", []),
        ("retract v1.0.0\r\nretract v1.1.0\r\n", [("v1.0.0", "v1.0.0", ""), ("v1.1.0", "v1.1.0", "")]),
    ],
)
def test_retractions_are_read_as_the_go_command_reads_them(text: str, wanted: list[tuple[str, str, str]]) -> None:
    assert retractions(f"module example.com/m\n\ngo 1.21\n\n{text}\n") == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("// Deprecated: use example.com/n\nmodule example.com/m", "use example.com/n"),
        ("module example.com/m // Deprecated: gone", "gone"),
        ("// About.\n//\n// Deprecated: one\n// two\n//\n// more\nmodule example.com/m", "one\ntwo"),
        ("// Deprecated: of something else\n\nmodule example.com/m", ""),
        ("// not Deprecated: at all\nmodule example.com/m", ""),
        ("module example.com/m\n// Deprecated: too late", ""),
        ("module (\n\t// Deprecated: odd\n\texample.com/m\n)", "odd"),
    ],
)
def test_a_deprecation_is_a_paragraph_before_or_beside_the_module_line(text: str, wanted: str) -> None:
    assert parsed_go_mod(f"{text}\n".encode()).deprecated == wanted


def test_both_ends_of_a_range_are_retracted_and_builds_do_not_matter() -> None:
    retraction = Retraction("v1.0.0", "v1.2.0", "")

    covered = [v for v in ("v0.9.0", "v1.0.0-rc.1", "v1.0.0", "v1.2.0", "v1.2.1") if retraction.covers(v)]

    assert covered == ["v1.0.0", "v1.2.0"]


@given(st.binary(max_size=200).map(lambda data: b"retract Deprecated:\n" + data))
def test_no_bytes_make_reading_fail(data: bytes) -> None:
    assert isinstance(parsed_go_mod(data), GoMod)


@given(st.text(alphabet='retractmodule v1.0()[],"`/\n\t', max_size=200))
def test_no_text_makes_reading_fail(text: str) -> None:
    assert isinstance(parsed_go_mod(b"retract" + text.encode()), GoMod)
