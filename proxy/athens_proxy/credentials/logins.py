"""What is shown to a server over https: user and password for git and hg, a header for our own requests."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

TOKEN_USER: Final = "x-access-token"  # noqa: S105 - what GitHub calls the user of any token


@dataclass(frozen=True, slots=True)
class Login:
    """A credential as it is sent.

    Attributes:
        name: of its entry.
        user: never empty.
        password: never shown.
        authorization: the header's value for module proxies; never shown.
        expires: when it ends, where that is known.
    """

    name: str
    user: str
    password: str = field(repr=False)
    authorization: str = field(default="", repr=False)
    expires: datetime | None = None

    @property
    def basic(self) -> str:
        """User and password as a header's value, for servers of repositories."""
        return basic(self.user, self.password)


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def login_of_header(name: str, authorization: str) -> Login | None:
    """The login in a header's value; None for a scheme that git cannot send."""
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return Login(name, TOKEN_USER, value, authorization)
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None
    return Login(name, user or TOKEN_USER, password, authorization) if colon and password else None
