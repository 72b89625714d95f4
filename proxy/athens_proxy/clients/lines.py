"""The lines of a file of clients, `NAME:HASH`: how they are read, made and compared; pure.

A password is kept as bcrypt, as `htpasswd -B` writes it. A token is random, so one round of a salted SHA-256 protects
it as well, and ten thousand of them are compared within milliseconds.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import bcrypt

MAX_NAME_CHARS: Final = 255
MAX_PASSWORD_BYTES: Final = 72  # bcrypt looks at no more
MIN_TOKEN_CHARS: Final = 20  # a shorter one could be guessed from its hash
MAX_COST: Final = 14  # about a second of a core for one comparison
NEW_COST: Final = 10
_SALT_BYTES: Final = 16
_BCRYPT: Final = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}", re.ASCII)
_SHA256: Final = re.compile(r"\$sha256\$((?:[0-9a-f]{2}){4,32})\$([0-9a-f]{64})", re.ASCII)
_KIND: Final = re.compile(r"\$([a-z0-9-]{1,16})\$|\{([A-Za-z0-9-]{1,16})\}", re.ASCII)


class UnusableLine(ValueError):
    """A line, password, token or name cannot be used; the message never holds it."""


@dataclass(frozen=True, slots=True)
class Password:
    """A password of one name, as bcrypt hash."""

    name: str
    hashed: bytes = field(repr=False)

    @property
    def cost(self) -> int:
        """Binary logarithm of the rounds that one comparison takes."""
        return int(self.hashed[4:6])


@dataclass(frozen=True, slots=True)
class Token:
    """A token of one name, as salted SHA-256."""

    name: str
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def is_token(self, shown: bytes) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(_salted(self.salt, shown), self.digest)


Line = Password | Token


def is_password(shown: bytes, hashed: bytes) -> bool:
    """Whether this is the password; one comparison takes from a millisecond to a second, by the cost of the hash."""
    try:
        return bcrypt.checkpw(shown, hashed)
    except ValueError:  # longer than bcrypt takes, or a hash with a broken end
        return False


def parsed(text: str) -> Iterator[tuple[int, Line | UnusableLine]]:
    """The lines of a file with their numbers, without comments and empty ones."""
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            yield number, parse(stripped)
        except UnusableLine as error:
            yield number, error


def parse(line: str) -> Line:
    """The meaning of `NAME:HASH`.

    Raises:
        UnusableLine: it is no such line, or of a kind of hash that is not taken.
    """
    name, colon, hashed = line.partition(":")
    if not colon:
        raise UnusableLine("is not NAME:HASH; make one with athens-proxy hash-password")
    check_name(name)
    if found := _SHA256.fullmatch(hashed):
        return Token(name, bytes.fromhex(found[1]), bytes.fromhex(found[2]))
    if found := _BCRYPT.fullmatch(hashed):
        cost = int(found[1])
        if not 4 <= cost <= MAX_COST:
            raise UnusableLine(f"has bcrypt of cost {cost}; use a cost from 4 to {MAX_COST}")
        return Password(name, hashed.encode("ascii"))
    raise UnusableLine(_why_no_hash(hashed))


def check_name(name: str) -> None:
    """Nothing, for a name that basic authentication can show.

    Raises:
        UnusableLine: it is no such name.
    """
    if not name or len(name) > MAX_NAME_CHARS or ":" in name or not name.isprintable():
        raise UnusableLine(
            f"has a name that is empty, too long (over {MAX_NAME_CHARS}) or not printable, or has a colon"
        )


def password_line(name: str, password: str) -> str:
    """The line of a password.

    Raises:
        UnusableLine: the name or the password cannot be used.
    """
    check_name(name)
    data = password.encode()
    if not data:
        raise UnusableLine("the password is empty")
    if len(data) > MAX_PASSWORD_BYTES:
        raise UnusableLine(f"the password is longer than {MAX_PASSWORD_BYTES} bytes, which is all that bcrypt looks at")
    return f"{name}:{bcrypt.hashpw(data, bcrypt.gensalt(NEW_COST)).decode('ascii')}"


def token_line(name: str, token: str) -> str:
    """The line of a token.

    Raises:
        UnusableLine: the name or the token cannot be used.
    """
    check_name(name)
    if len(token) < MIN_TOKEN_CHARS or not token.isascii() or not token.isprintable() or " " in token:
        raise UnusableLine(f"the token needs at least {MIN_TOKEN_CHARS} printable ASCII characters without spaces")
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"{name}:$sha256${salt.hex()}${_salted(salt, token.encode('ascii')).hex()}"


def _salted(salt: bytes, token: bytes) -> bytes:
    return hashlib.sha256(salt + token).digest()


def _why_no_hash(hashed: str) -> str:
    kind = _KIND.match(hashed)
    what = f"a hash of the kind {kind[1] or kind[2]}" if kind else "no hash that is known"
    return f"has {what}; use bcrypt (htpasswd -B) or athens-proxy hash-password"
