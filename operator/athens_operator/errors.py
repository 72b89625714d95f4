"""What can go wrong between an object in the API server and its children, as one tree.

OperatorError
├── SpecError       an object's spec cannot be read; a person must edit it
└── ClusterError    the API server did not do what was asked; `transient` says whether asking again can help

Messages reach users through conditions and Events: they name the field or object and the next step, and carry no
value of an invalid field and nothing from a Secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


class OperatorError(Exception):
    """The root of this package's errors."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a spec.

    Args:
        path: the field as a user writes it, such as `spec.storage.disk`.
        message: what is wrong and what to write instead; never the field's value.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class SpecError(OperatorError):
    """An object's spec cannot be read; every problem is listed at once.

    Args:
        problems: what is wrong, in the order of the fields.

    Attributes:
        reason: of the condition that tells.
    """

    reason: ClassVar[str] = "InvalidSpec"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class TenancyError(SpecError):
    """A spec asks for what this installation lets no tenant have."""

    reason: ClassVar[str] = "TenancyViolation"


class VersionError(SpecError):
    """A spec asks for a proxy that does not know what this operator writes."""

    reason: ClassVar[str] = "UnsupportedByVersion"


class ClusterError(OperatorError):
    """The API server refused a request or could not be asked.

    Args:
        message: what was attempted, on what, and the server's reason.
        transient: asking again later can succeed without anybody changing an object.
    """

    def __init__(self, message: str, *, transient: bool) -> None:
        self.transient = transient
        super().__init__(message)
