"""What hg is told about credentials: the text of an hgrc; pure.

Source: `hg help config.auth`
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from athens_proxy.credentials.logins import Login
from athens_proxy.credentials.places import Match


def hgrc(match: Match | None, login: Login | None, *, ssh: Sequence[str]) -> str:
    """The sections with a login for a place, for https alone, and with the command in the place of ssh; "" for none."""
    lines = ["[ui]", f"ssh = {shlex.join(ssh)}"] if ssh else []
    if match and login:
        lines += [
            "[auth]",
            f"athens.prefix = {match}",
            "athens.schemes = https",
            f"athens.username = {login.user}",
            f"athens.password = {login.password}",
        ]
    return "".join(f"{line}\n" for line in lines)
