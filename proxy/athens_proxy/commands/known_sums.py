"""Sums that somebody knows of a version, and what is said when they differ."""

from __future__ import annotations

from dataclasses import dataclass

from athens_proxy.errors import ChecksumMismatch
from athens_proxy.modules import ModuleVersion


@dataclass(frozen=True, slots=True)
class Known:
    """Sums that somebody says a version has.

    Attributes:
        who: for messages.
        zip_h1: of the zip, "" when unknown.
        mod_h1: of the go.mod, "" when unknown.
    """

    who: str
    zip_h1: str
    mod_h1: str

    def require(self, wanted: ModuleVersion, other: Known) -> None:
        """Succeed unless the other one knows a sum that these are not.

        Raises:
            ChecksumMismatch: a sum differs; the text has both.
        """
        for what, ours, theirs in (("zip", self.zip_h1, other.zip_h1), ("go.mod", self.mod_h1, other.mod_h1)):
            if theirs and ours != theirs:
                raise ChecksumMismatch(
                    f"{wanted}: checksum mismatch: its {what} has {ours}, {other.who} has {theirs}; it is not taken"
                )
