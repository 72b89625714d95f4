"""What GitHub does for an App: it checks the App's signature and gives tokens that end soon."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@dataclass
class GitHubApp:
    """An App with one installation; may be changed while it is asked.

    Attributes:
        key: the App's private key.
        lifetime_s: of its tokens; GitHub writes whole seconds.
        ends: when each token ends.
        refusals: why requests for a token were refused.
    """

    app_id: str = "1234"
    installation_id: str = "77"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    lifetime_s: float = 3600.0
    ends: dict[str, datetime] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def path(self) -> str:
        """Where tokens are asked for, below the API."""
        return f"/app/installations/{self.installation_id}/access_tokens"

    @property
    def private_key(self) -> str:
        """The key as GitHub hands it out."""
        form = serialization.PrivateFormat.TraditionalOpenSSL
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

    def accepts(self, token: str) -> bool:
        """Whether a token is one that has not ended."""
        return token in self.ends and datetime.now(UTC) < self.ends[token]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """A request for a token."""
        signed = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(signed, self.key.public_key(), algorithms=["RS256"], issuer=self.app_id)
        except jwt.InvalidTokenError as error:
            self.refusals.append(str(error))
            return web.json_response({"message": "A JSON web token could not be decoded"}, status=401)
        if claims["exp"] - claims["iat"] > 600:
            return web.json_response(
                {"message": "'Expiration time' claim ('exp') is too far in the future"}, status=401
            )
        token = f"ghs_{next(self._numbers)}"
        self.ends[token] = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=self.lifetime_s)
        shown = self.ends[token].strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.json_response({"token": token, "expires_at": shown}, status=201)
