"""`tests/scenarios.md` names tests that exist, and misses no promise."""

from __future__ import annotations

import re

from support.tree import ROOT, tracked

PAGE = ROOT / "tests" / "scenarios.md"
PROMISED = {*range(1, 17), *range(18, 27), *range(28, 48), *range(49, 54), 55, 56, 58, 60, 61, *range(63, 70)}
ROW = re.compile(r"^\| (\d+) \| [^|]+ \| (`test_\w+`(?:, `test_\w+`)*) \|(?: [^|]+)? \|$", re.MULTILINE)


def test_every_promise_has_a_row_with_tests_that_exist() -> None:
    defined = {
        name
        for path in tracked("tests/*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    rows = {int(number): set(re.findall(r"`(\w+)`", names)) for number, names in ROW.findall(PAGE.read_text())}

    assert rows.keys() == PROMISED
    assert {name for names in rows.values() for name in names} - defined == set()
