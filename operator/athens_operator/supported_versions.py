"""Which releases of the proxy this operator can configure. Pure."""

from __future__ import annotations

from typing import Final

from athens_operator.errors import Problem, VersionError
from athens_operator.spec import AthensProxy
from athens_policy import semver

OLDEST: Final = "v0.1.0"  # the first one; every field and policy attribute is known since then
_ITS_PRERELEASES: Final = f"{OLDEST}-0"


def version_problem(proxy: AthensProxy) -> VersionError | None:
    """Why the pinned version cannot be run, or None; what an image without one contains cannot be told."""
    if not proxy.spec.version or semver.compare(proxy.spec.version, _ITS_PRERELEASES) >= 0:
        return None
    advice = f"this operator writes settings that proxies know since {OLDEST}; pin that or a later one, or none"
    return VersionError([Problem("spec.version", advice)])
