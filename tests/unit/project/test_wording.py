"""The project speaks of itself alone: no machine paths, no registry addresses, one word per idea."""

from __future__ import annotations

import re

from support.tree import ROOT, tracked

TEXT = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".json", ".mod", ".tpl", ".hcl", ".cfg", ""}
PUBLIC_GO_PROXY = "proxy.golang." + "org"
MAY_NAME_THE_DEFAULT_UPSTREAM = (
    "proxy/athens_proxy/config",
    "docs/",
    "CHANGELOG.md",
    "operator/athens_operator/desired/",
)
FORBIDDEN = {
    "a machine path": re.compile(r"(?<![\w.])/" + r"(root|work)/"),
    "an index address": re.compile("index" + r"-url|py" + r"pi\.org|registry\.np" + r"mjs|pythonhosted\.org"),
}


def test_no_file_names_a_machine_path_or_a_package_registry() -> None:
    found = []
    for path in tracked():
        if path.suffix not in TEXT:
            continue
        text = path.read_text(errors="ignore")
        name = str(path.relative_to(ROOT))
        found += [f"{name}: {what}" for what, pattern in FORBIDDEN.items() if pattern.search(text)]
        if PUBLIC_GO_PROXY in text and not name.startswith(MAY_NAME_THE_DEFAULT_UPSTREAM):
            found.append(f"{name}: the public Go proxy; take it from `go env GOPROXY`")

    assert found == []
