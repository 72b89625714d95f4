"""The table of templates is what Go's own html/template makes of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support.go_templates import ESCAPED, UNDERSTOOD

PROGRAM = """package main

import (
	"encoding/json"
	"html/template"
	"os"
	"strings"
)

func main() {
	var cases []struct {
		Text string
		Data map[string]string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	pages := []string{}
	for _, c := range cases {
		var page strings.Builder
		if err := template.Must(template.New("x").Parse(c.Text)).Execute(&page, c.Data); err != nil {
			panic(err)
		}
		pages = append(pages, page.String())
	}
	json.NewEncoder(os.Stdout).Encode(pages)
}
"""
# A fresh machine compiles the standard library first.
pytestmark = pytest.mark.timeout(300)


def test_go_makes_the_same_pages(tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text(PROGRAM)
    cases = [*UNDERSTOOD, *ESCAPED]
    asked = json.dumps([{"Text": case.text, "Data": dict(case.data)} for case in cases])

    done = subprocess.run(
        ["go", "run", "main.go"], input=asked, cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == [case.page for case in cases]
