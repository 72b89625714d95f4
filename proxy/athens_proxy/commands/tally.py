"""How far a run over many versions is: what became of each, and why some failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Self, TypeVar

from athens_proxy.modules import ModuleVersion

Outcomes = TypeVar("Outcomes", bound=StrEnum)


@dataclass(slots=True)
class Tally(Generic[Outcomes]):
    """What a run has done so far.

    Attributes:
        outcomes: how many of each.
        found: versions to look at.
        copied_bytes: size of the zips that were moved or read.
        failures: versions with the reason, in the order they failed.
        stopped: why the run ended early, "" if it did not.
    """

    outcomes: dict[Outcomes, int]
    found: int = 0
    copied_bytes: int = 0
    failures: list[tuple[ModuleVersion, str]] = field(default_factory=list)
    stopped: str = ""

    @classmethod
    def of(cls, kinds: type[Outcomes]) -> Self:
        """Nothing done yet."""
        return cls(dict.fromkeys(kinds, 0))

    @property
    def done(self) -> int:
        """Versions that were looked at."""
        return sum(self.outcomes.values())
