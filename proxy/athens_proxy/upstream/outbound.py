"""The forward proxy on the way to an upstream: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as `go` reads them; pure.

Not aiohttp's `trust_env`, which would also send what `~/.netrc` says, even over plain http.

Source: golang.org/x/net/http/httpproxy
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from yarl import URL


@dataclass(frozen=True, slots=True)
class OutboundProxies:
    """Forward proxies by the scheme of what is asked for; None for a direct connection."""

    http: URL | None = None
    https: URL | None = None
    bypass: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> OutboundProxies:
        """The proxies of an environment; lower-case names are read where upper-case ones are not set.

        Raises:
            ValueError: an address is malformed; the text names the variable, not its value.
        """
        return cls(_address(environ, "HTTP_PROXY"), _address(environ, "HTTPS_PROXY"), _value(environ, "NO_PROXY"))

    def for_url(self, url: URL) -> URL | None:
        """The proxy for one request; this machine's own addresses are always reached directly."""
        proxy = self.https if url.scheme == "https" else self.http
        if proxy is None or url.host is None or _is_loopback(url.host):
            return None
        return None if any(_covers(entry.strip(), url) for entry in self.bypass.split(",")) else proxy


def _covers(entry: str, url: URL) -> bool:
    """Whether a NO_PROXY entry (`*`, a domain, an address, a network, perhaps with a port) holds the URL's host."""
    host = (url.host or "").lower()
    domain, _, port = entry.lower().partition(":") if entry.count(":") == 1 else (entry.lower(), "", "")
    if not domain or (port and port != str(url.port)):
        return False
    if domain == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(domain, strict=False)
    except ValueError:
        return host == domain or host.endswith("." + domain.removeprefix("*").removeprefix("."))


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.lower(), "")


def _address(environ: Mapping[str, str], name: str) -> URL | None:
    value = _value(environ, name)
    if not value:
        return None
    try:
        url = URL(value if "://" in value else f"http://{value}")
    except (ValueError, IndexError):
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"{name}: no address of an HTTP proxy; use http://host:port")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
