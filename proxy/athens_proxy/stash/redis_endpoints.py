"""Athens' ways to name a Redis: `host:port`, `redis[s]://` URLs, comma lists of both for a cluster; pure.

Source: github.com/gomods/athens pkg/stash/with_redis.go and go-redis' ParseURL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

DEFAULT_PORT = 6379
_SCHEMES = ("redis://", "rediss://")


class InvalidEndpoint(ValueError):
    """The text names no Redis, or passwords contradict each other; the message shows no password."""


@dataclass(frozen=True, slots=True)
class RedisEndpoint:
    """Where a Redis is and how to speak to it.

    Attributes:
        nodes: host and port of one server, or of some nodes of a cluster.
        is_tls: whether the connection is encrypted.
        username: "" for the default user.
        password: "" for none.
        db: number of the database.
    """

    nodes: tuple[tuple[str, int], ...]
    is_tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    db: int = 0

    def __str__(self) -> str:
        return ",".join(f"{host}:{port}" for host, port in self.nodes)


def single(endpoint: str, password: str) -> RedisEndpoint:
    """One server.

    Args:
        endpoint: `host:port` or a URL.
        password: the separately configured one, "" for none; must equal one that the URL holds.

    Raises:
        InvalidEndpoint: see the class.
    """
    return _with_password(_parsed(endpoint.strip()), password)


def cluster(endpoints: str, password: str) -> RedisEndpoint:
    """Some nodes of a cluster, separated by commas; the first URL's TLS, user and password hold for all of them.

    Raises:
        InvalidEndpoint: see the class.
    """
    parsed = [_parsed(text) for item in endpoints.split(",") if (text := item.strip())]
    if not parsed:
        raise InvalidEndpoint("names no server; use host:port")
    return _with_password(
        RedisEndpoint(
            nodes=addresses(parsed),
            is_tls=any(item.is_tls for item in parsed),
            username=next((item.username for item in parsed if item.username), ""),
            password=next((item.password for item in parsed if item.password), ""),
        ),
        password,
    )


def addresses(parsed: Iterable[RedisEndpoint]) -> tuple[tuple[str, int], ...]:
    """All nodes in order."""
    return tuple(node for item in parsed for node in item.nodes)


def sentinels(endpoints: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Host and port of each sentinel.

    Raises:
        InvalidEndpoint: there is none, or one is no `host:port`.
    """
    nodes = tuple(_address(text) for item in endpoints if (text := item.strip()))
    if not nodes:
        raise InvalidEndpoint("no endpoints specified; use host:port")
    return nodes


def _with_password(endpoint: RedisEndpoint, password: str) -> RedisEndpoint:
    if password and endpoint.password and endpoint.password != password:
        raise InvalidEndpoint(
            "a redis url was parsed that contained a password but the configuration also defined a specific redis"
            " password, please ensure these values match or use only one of them"
        )
    return RedisEndpoint(endpoint.nodes, endpoint.is_tls, endpoint.username, endpoint.password or password, endpoint.db)


def _parsed(text: str) -> RedisEndpoint:
    if not text.startswith(_SCHEMES):
        return RedisEndpoint((_address(text),))
    try:
        url = urlsplit(text)
        port = url.port or DEFAULT_PORT
        db = int(url.path.strip("/") or "0")
    except ValueError as error:
        raise InvalidEndpoint("is no Redis URL; use redis[s]://host:port/database") from error
    return RedisEndpoint(
        ((url.hostname or "localhost", port),),
        is_tls=url.scheme == "rediss",
        username=unquote(url.username or ""),
        password=unquote(url.password or ""),
        db=db,
    )


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if "@" in text or not colon or not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise InvalidEndpoint("is no Redis endpoint; use host:port or redis[s]://host:port")
    return host.removeprefix("[").removesuffix("]") or "localhost", int(port)
