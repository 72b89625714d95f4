"""From what an HTTP upstream did wrong to the error that our client is told; pure.

Source: design of the status table; https://go.dev/ref/mod#goproxy-protocol (404 and 410 mean "not found")
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from athens_proxy.errors import (
    BadUpstreamAnswer,
    CredentialRefused,
    ModuleNotFound,
    ProxyError,
    TlsFailure,
    UpstreamDenied,
    UpstreamError,
    UpstreamThrottled,
    UpstreamTimeout,
)
from athens_proxy.upstream.connection_words import connection_words

SHOWN_CHARS: Final = 300
_MAX_RETRY_AFTER_S: Final = 24 * 3600
_MIN_SECRET_CHARS: Final = 6  # a shorter one would hide ordinary words, and is none
_URL_USERINFO: Final = re.compile(r"(\b\w+://)[^/@\s'\"]*@")


def failure_of_status(answer: aiohttp.ClientResponse, body: bytes, attempt: str) -> ProxyError:
    """The error for an answer that is not 200.

    Args:
        answer: status and headers.
        body: the start of its body.
        attempt: what was tried, for the message.
    """
    sent = secrets_of(answer.request_info.headers.get("Authorization", ""))
    said = one_line(without_secrets(body.decode("utf-8", "replace"), sent).encode()) if _is_text(answer) else ""
    detail = f"{attempt}: {answer.status} {answer.reason or ''}".rstrip() + (f": {said}" if said else "")
    match answer.status:
        case 404 | 410:
            return ModuleNotFound(f"not found: {said.removeprefix('not found: ') or detail}")
        case 401 | 407:
            return CredentialRefused(f"{detail}; check the credential for this upstream")
        case 403:
            return UpstreamDenied(detail)
        case 429:
            return UpstreamThrottled(
                f"{detail}; ask again later", retry_after_s=_retry_after_s(answer.headers.get("Retry-After", ""))
            )
        case 408 | 504:
            return UpstreamTimeout(detail)
        case status if status >= 500:
            return UpstreamError(f"{detail}; ask again later")
        case _:
            return BadUpstreamAnswer(detail)


def failure_of_transport(error: Exception, attempt: str) -> ProxyError:
    """The error for a connection or a body that broke."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return UpstreamTimeout(f"{attempt}: no connection in time; check the network, and HTTPS_PROXY if one is needed")
    if isinstance(error, TimeoutError):
        return UpstreamTimeout(f"{attempt}: no progress in time")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError | ssl.CertificateError):
        return TlsFailure(f"{attempt}: no trusted TLS connection: {words_of(error)}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return BadUpstreamAnswer(f"{attempt}: the answer was cut off")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return UpstreamError(f"{attempt}: {words_of(error)}")
    if isinstance(error, UnicodeError):
        return BadUpstreamAnswer(f"{attempt}: the address, or one that it redirects to, has no valid host name")
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL):
        return BadUpstreamAnswer(f"{attempt}: the answer is no valid HTTP{_parser_words(error)}")
    return UpstreamError(f"{attempt}: connection failed: {words_of(error)}")


def words_of(error: Exception) -> str:
    """What a failure says of itself, in one line and without the password that its address may have."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        said = f"{error.status} {error.message}".strip()
        return f"the forward proxy answered {said}; check HTTPS_PROXY and the login in it"
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError):
        said = connection_words(error)
    else:
        said = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return one_line(without_logins(said).encode()) or type(error).__name__


def _parser_words(error: aiohttp.ClientError) -> str:
    """What the HTTP parser finds wrong, without the bytes that it quotes below that."""
    message = error.message if isinstance(error, aiohttp.ClientResponseError) else ""
    said = one_line(message.partition("\n")[0].encode()).rstrip(" :.")
    return f": {said}" if said else ""


def secrets_of(authorization: str) -> list[str]:
    """What of an Authorization header nobody else may see: a server that refuses it may quote it."""
    value = authorization.partition(" ")[2].strip()
    try:
        password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):
        password = ""
    return [value, password]


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text with stars for each secret."""
    for secret in secrets:
        if len(secret) >= _MIN_SECRET_CHARS:
            text = text.replace(secret, "***")
    return text


def without_logins(text: str) -> str:
    """The text, its addresses without user names and passwords."""
    return _URL_USERINFO.sub(r"\1", text)


def one_line(text: bytes) -> str:
    """Foreign text as one printable line of at most `SHOWN_CHARS` characters."""
    decoded = text.decode("utf-8", "replace")
    printable = "".join(char if char.isprintable() else " " for char in decoded)
    line = " ".join(printable.split())
    return line if len(line) <= SHOWN_CHARS else line[: SHOWN_CHARS - 3] + "..."


def _is_text(answer: aiohttp.ClientResponse) -> bool:
    return answer.content_type == "text/plain"


def _retry_after_s(value: str) -> int | None:
    if value.isascii() and value.isdigit():
        return min(int(value[:9]), _MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    wait_s = (moment - datetime.now(UTC)).total_seconds() if moment.tzinfo else 0
    return min(max(int(wait_s), 0), _MAX_RETRY_AFTER_S)
