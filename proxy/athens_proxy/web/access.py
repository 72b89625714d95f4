"""Who may ask, and how: the one user of the settings, the clients of a folder, and https."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Protocol

from athens_proxy.clients.authorization import NamedSecret, shown


class Clients(Protocol):
    """Clients with credentials of their own."""

    async def admits(self, authorization: str) -> bool:
        """Whether this header shows a credential of one of them; raises `Overloaded`."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask, and how; everybody, if neither a user nor clients are named.

    Attributes:
        prefix: where everything is mounted.
        user: of basic authentication, "" when it is off.
        password: of basic authentication.
        force_ssl: send plain http to https.
        clients: who else may ask, None when no folder of clients is named.
    """

    prefix: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    force_ssl: bool = False
    clients: Clients | None = None

    async def admits(self, authorization: str) -> bool:
        """Whether whoever shows this header may ask.

        Raises:
            Overloaded: too many show new credentials at once.
        """
        if not self.user and self.clients is None:
            return True
        return self._is_user(authorization) or (self.clients is not None and await self.clients.admits(authorization))

    def _is_user(self, authorization: str) -> bool:
        credentials = shown(authorization) if self.user else None
        if not isinstance(credentials, NamedSecret):
            return False
        given = credentials.name.encode("utf-8", "surrogateescape") + b":" + credentials.secret
        return hmac.compare_digest(given, f"{self.user}:{self.password}".encode())
