"""Whether a go.mod came whole, told by the zip that came beside it.

An HTTP answer without a length ends where its connection ends, so that one which is cut looks whole; the go command
takes it. JSON and zips show by themselves where they end, a go.mod does not. But the zip has the same go.mod, or none
where it is one line that says the module's name.

Source: https://go.dev/ref/mod#goproxy-protocol ($module/@v/$version.mod), #zip-files
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from athens_proxy.errors import BadUpstreamAnswer
from athens_proxy.modules import ModuleVersion
from athens_proxy.upstream.zipcheck import go_mod_in_zip


class Unmarked(bytes):
    """An answer whose end nothing but that of its connection told, so that it may be the beginning of a longer one."""


async def require_whole_mod(wanted: ModuleVersion, mod: bytes, zip_path: Path, *, upstream: str) -> None:
    """Return unless the go.mod is only the beginning of what it should be, and its own end was not told.

    An upstream may serve another one than its zip has, as Go's own test proxy does: it is taken as the go command does.

    Raises:
        BadUpstreamAnswer: it is.
    """
    if not isinstance(mod, Unmarked):
        return
    # Whoever writes the line of a module without go.mod by hand may leave its end out.
    whole = await asyncio.to_thread(go_mod_in_zip, zip_path, wanted) or f"module {wanted.path.text}".encode()
    if len(mod) < len(whole) and whole.startswith(mod):
        raise BadUpstreamAnswer(
            f"{wanted}: the go.mod of {upstream} was cut off: {len(mod)} of {len(whole)} bytes came; ask again later"
        )


def looks_whole(mod: bytes) -> bool:
    """Whether the end of a go.mod was told, or is that of a line, which is all that shows before its zip is there."""
    return not isinstance(mod, Unmarked) or mod.endswith(b"\n")
