"""The real Athens, as the oracle of drop-in behaviour; the version is pinned in hack/tools/athens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcluster import binaries
from support.proxy_process import ModuleProxy, Settings, launched


@contextmanager
def running(folder: Path, settings: Settings) -> Iterator[ModuleProxy]:
    """Athens with these settings, ready to serve; stopped when the context ends."""
    with launched("athens", [binaries.ensure("athens")], folder, settings) as proxy:
        yield proxy
