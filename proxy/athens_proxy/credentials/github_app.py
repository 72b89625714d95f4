"""Installation tokens of a GitHub App: made with its private key, kept until shortly before they end.

Source: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/\
generating-an-installation-access-token-for-a-github-app
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
from yarl import URL

from athens_proxy.credentials.entries import Entry
from athens_proxy.credentials.logins import TOKEN_USER, Login
from athens_proxy.credentials.secret_files import Unusable, read_file
from athens_proxy.upstream.answers import one_line, words_of
from athens_proxy.upstream.outbound import OutboundProxies

_TIMEOUT_S: Final = 30.0
_CLOCKS_DIFFER_S: Final = 60  # GitHub refuses a token from its future
_JWT_S: Final = 540  # GitHub's limit is ten minutes
_LONGEST_MARGIN: Final = timedelta(minutes=10)  # a fetch may last as long
_TRIES: Final = 2
_FAILURE_KEPT_S: Final = 5.0  # fetches that wait for a token do not each wait for a GitHub that is away
_MAX_ANSWER_BYTES: Final = 64 * 1024


class Unreachable(Unusable):
    """The service that makes tokens does not answer; asking again may help."""


@dataclass(slots=True)
class _Kept:
    """The token of one entry.

    Attributes:
        key_digest: of the private key that it was made with.
        renew_at: when another one is made.
        failure: why none could be made lately, or None.
        failed_at_s: when that was; on a clock that only grows.
        making: held while one is made.
    """

    login: Login | None = None
    key_digest: str = ""
    renew_at: datetime | None = None
    failure: Unusable | None = None
    failed_at_s: float = 0.0
    making: asyncio.Lock = field(default_factory=asyncio.Lock)


class GitHubApps:
    """Tokens by entry.

    Args:
        session: for the requests to GitHub.
        outbound: forward proxies on the way to it.
    """

    def __init__(self, session: aiohttp.ClientSession, outbound: OutboundProxies) -> None:
        self._session = session
        self._outbound = outbound
        self._kept: dict[str, _Kept] = {}

    async def login(self, entry: Entry) -> Login:
        """The present token; one that ends soon, or was made with another key, is replaced first.

        Raises:
            Unusable: the key cannot be used, or GitHub refuses to make a token.
            Unreachable: GitHub does not answer.
        """
        key = await asyncio.to_thread(read_file, entry, "private-key.pem")
        digest = hashlib.sha256(key).hexdigest()
        kept = self._kept.setdefault(entry.name, _Kept())
        async with kept.making:
            began = datetime.now(UTC)
            if kept.login and kept.key_digest == digest and kept.renew_at and began < kept.renew_at:
                return kept.login
            if kept.failure and kept.key_digest == digest and time.monotonic() - kept.failed_at_s < _FAILURE_KEPT_S:
                raise kept.failure
            kept.key_digest = digest
            try:
                login = await self._made(entry, key)
            except Unusable as failure:
                kept.login, kept.failure, kept.failed_at_s = None, failure, time.monotonic()
                raise
            if login.expires:
                kept.renew_at = login.expires - min(_LONGEST_MARGIN, (login.expires - began) / 4)
            kept.login, kept.failure = login, None
            return login

    def forget(self, entry: Entry, authorization: str) -> None:
        """Have the next question make a new token, if a server refused the present one and not one before it."""
        kept = self._kept.get(entry.name)
        if kept and kept.login and kept.login.authorization == authorization:
            kept.login = None

    async def _made(self, entry: Entry, key: bytes) -> Login:
        url = URL(f"{entry.api_url}/app/installations/{entry.installation_id}/access_tokens")
        status, answer = await self._posted(entry, url, _signed(entry, key))
        if status == 429 or status >= 500:
            raise Unreachable(entry.name, f"{url.host} answered {status} when a token was asked for; it is tried again")
        if status != 201:
            why = one_line(str(answer.get("message", "")).encode())
            raise Unusable(
                entry.name,
                f"{url.host} answered {status} {why}".rstrip()
                + f" when a token was asked for; check appID {entry.app_id}, installationID {entry.installation_id}"
                " and the private key",
            )
        token, expires = answer.get("token"), _moment(answer.get("expires_at"))
        if not isinstance(token, str) or not token.isprintable() or not token or expires is None:
            raise Unusable(entry.name, f"{url.host} answered without a token; check apiURL")
        return Login(entry.name, TOKEN_USER, token, f"Bearer {token}", expires)

    async def _posted(self, entry: Entry, url: URL, signed: str) -> tuple[int, Mapping[str, Any]]:
        headers = {
            "Authorization": f"Bearer {signed}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        for tries_left in reversed(range(_TRIES)):
            try:
                async with self._session.post(
                    url,
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
                    proxy=self._outbound.for_url(url),
                ) as answer:
                    if answer.status < 500 or not tries_left:
                        return answer.status, await _object(answer)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if not tries_left:
                    raise Unreachable(
                        entry.name, f"{url.host} cannot be asked for a token: {words_of(error)}"
                    ) from error
        raise AssertionError("the last try returns or raises")


def _signed(entry: Entry, key: bytes) -> str:
    import jwt  # takes a while, and only a GitHub App needs it

    now = int(time.time())
    claims = {"iat": now - _CLOCKS_DIFFER_S, "exp": now + _JWT_S, "iss": entry.app_id}
    try:
        return jwt.encode(claims, key, algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise Unusable(entry.name, "its file private-key.pem is no RSA key without a passphrase") from error


async def _object(answer: aiohttp.ClientResponse) -> Mapping[str, Any]:
    body = await answer.content.read(_MAX_ANSWER_BYTES)
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
