"""The module versions that a `go.sum` names, each once, in its order."""

from __future__ import annotations

from athens_cli.errors import InputError

_FIELDS = 3


def module_versions(text: str, file: str) -> list[tuple[str, str]]:
    """Path and version of every line, `/go.mod` lines included: their `.mod` is downloaded too.

    Raises:
        InputError: a line is no line of a go.sum.

    Source: https://go.dev/ref/mod#go-sum-files
    """
    found: dict[tuple[str, str], None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != _FIELDS or not fields[2].startswith("h1:"):
            raise InputError(f"{file}:{number}: not a line of a go.sum; run `go mod tidy` and name its go.sum")
        found[fields[0], fields[1].removesuffix("/go.mod")] = None
    return list(found)
