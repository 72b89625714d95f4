"""What a reader of a download file is told when it cannot be used."""

from __future__ import annotations


class PolicySyntaxError(ValueError):
    """A download file that cannot be used; `str(error)` is `line L, column C: <what is wrong and what is allowed>`.

    Args:
        line: counted from 1.
        column: in characters, counted from 1.
        message: one printable line.
    """

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line = line
        self.column = column
        self.message = message

    def __reduce__(self) -> tuple[type[PolicySyntaxError], tuple[int, int, str]]:
        """Files are parsed in worker processes, and exceptions are rebuilt from their constructor's arguments."""
        return (PolicySyntaxError, (self.line, self.column, self.message))


class InvalidSetting(ValueError):
    """A `DownloadMode` value that names no download file; the texts are Athens' own."""
