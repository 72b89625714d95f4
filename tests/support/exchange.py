"""One HTTP request exactly as written, and its answer: nothing is normalised, followed, decoded or retried."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Answer:
    """What a server said.

    Attributes:
        status: the status code.
        headers: names in lower case; of a repeated header the last value.
        body: the body as sent.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def media_type(self) -> str:
        """The media type without its parameters, "" when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip()


def ask(
    base_url: str,
    target: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Send one request with the raw target on a connection of its own.

    Args:
        base_url: scheme, host and port of the server; a path in it is put before the target as it is.
        target: the path and query as they appear on the request line.
        method: the request method.
        headers: more headers; Host replaces the one of the address.
        tls: for https, what to trust.
        timeout_s: limit for each wait on the socket.
    """
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection = (
        http.client.HTTPSConnection(parts.hostname or "", port, timeout=timeout_s, context=tls)
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname or "", port, timeout=timeout_s)
    )
    try:
        connection.putrequest(
            method, parts.path.rstrip("/") + target, skip_host="Host" in (headers or {}), skip_accept_encoding=True
        )
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def basic_auth(user: str, password: str) -> dict[str, str]:
    """The header that carries these credentials."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}
