"""What an `Authorization` header shows; pure.

Source: RFC 7617 (Basic), RFC 6750 (Bearer).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NamedSecret:
    """A user name and a password, or a token in its place."""

    name: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token alone."""

    token: bytes = field(repr=False)


def shown(authorization: str) -> NamedSecret | BearerToken | None:
    """What the header shows, None if that is nothing we know."""
    scheme, _, value = authorization.partition(" ")
    match scheme.lower():
        case "basic":
            return _named(value.strip())
        case "bearer":
            token = value.strip().encode("utf-8", "surrogateescape")
            return BearerToken(token) if token else None
        case _:
            return None


def _named(encoded: str) -> NamedSecret | None:
    try:
        name, colon, secret = base64.b64decode(encoded, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return NamedSecret(name.decode("utf-8", "surrogateescape"), secret) if colon else None
