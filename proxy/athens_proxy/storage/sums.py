"""How stores compute the `h1:` sums of what they keep, to compare it with what was fetched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from athens_proxy.modules import ModuleVersion


@dataclass(frozen=True, slots=True)
class Sums:
    """How the `h1:` sums of stored files are computed; `of_zip` raises `InvalidModuleZip` for what is no module zip."""

    of_zip: Callable[[Path, ModuleVersion], str]
    of_mod: Callable[[bytes], str]
