"""`docs/trust-model.md` promises nothing that no test holds."""

from __future__ import annotations

import re

from support.tree import ROOT, tracked

PAGE = ROOT / "docs" / "trust-model.md"


def test_every_sentence_names_tests_that_exist() -> None:
    defined = {
        name
        for path in tracked("tests/*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    rows = re.findall(r"^\| (.+?) \| (`test_.+`) \|$", PAGE.read_text(), re.MULTILINE)
    promised = {name for _, names in rows for name in re.findall(r"`(\w+)`", names)}

    assert len(rows) > 20
    assert not promised - defined


def test_every_row_but_the_heads_has_its_test() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "proven by" not in line]

    assert not [row for row in rows if not re.search(r"\| (`test_\w+`(?:, )?)+ \|$", row)]
