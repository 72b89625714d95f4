"""What hg is told about credentials: the text of an hgrc; pure.

Source: `hg help config.auth`, `hg help config.http_proxy`, `hg help config.web`
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from athens_proxy.credentials.logins import Login
from athens_proxy.credentials.places import Match
from athens_proxy.upstream.outbound import OutboundProxies


def hgrc(match: Match | None, login: Login | None, *, ssh: Sequence[str], environment: Mapping[str, str]) -> str:
    """The settings of one run; "" for none.

    Args:
        match: the place of the login, which is shown over https alone.
        login: None for none.
        ssh: the command in the place of ssh; empty for hg's own.
        environment: of the run; hg itself knows neither of its variables for a forward proxy and authorities.
    """
    lines = ["[ui]", f"ssh = {shlex.join(ssh)}"] if ssh else []
    if match and login:
        lines += [
            "[auth]",
            f"athens.prefix = {match}",
            "athens.schemes = https",
            f"athens.username = {login.user}",
            f"athens.password = {login.password}",
        ]
    if not lines:
        return ""
    if environment.get("SSL_CERT_FILE"):
        lines += ["[web]", f"cacerts = {environment['SSL_CERT_FILE']}"]
    lines += _forward_proxy(environment)
    return "".join(f"{line}\n" for line in lines)


def _forward_proxy(environment: Mapping[str, str]) -> list[str]:
    try:
        outbound = OutboundProxies.of(environment)
    except ValueError:
        return []
    if outbound.https is None:
        return []
    url = outbound.https
    lines = ["[http_proxy]", f"host = {url.host}:{url.port}", f"no = {outbound.bypass}"]
    return [*lines, f"user = {url.user}", f"passwd = {url.password or ''}"] if url.user else lines
