"""The way to a checksum database: through a module proxy that relays it, or at its own address.

Source: https://go.dev/ref/mod#checksum-database, cmd/go/internal/modfetch/sumdb.go (initBase),
https://go.dev/design/25530-sumdb#proxying-a-checksum-database
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from athens_proxy.errors import ModuleNotFound, ProxyError
from athens_proxy.upstream.transport import ProxyTransport

_LOG = logging.getLogger(__name__)
_SUPPORTED_BYTES: Final = 64 * 1024
_Way = tuple[ProxyTransport, str]
"""Whom to ask, and what comes before each path."""


@dataclass(frozen=True, slots=True)
class Relay:
    """A module proxy of the chain, which may relay databases.

    Attributes:
        transport: speaks to it.
        on_any_error: the next one is asked after any failure, not only after "not found".
    """

    transport: ProxyTransport
    on_any_error: bool


class DatabaseRoute:
    """Reads from one database by the first proxy of the chain that relays it, which is found out once.

    Args:
        name: what the database is called below `/sumdb/`.
        relays: the module proxies of the chain, in its order.
        own: speaks to the database itself, where no proxy relays it or the one to be asked cannot say.
    """

    def __init__(self, name: str, *, relays: Sequence[Relay], own: ProxyTransport) -> None:
        self._name = name
        self._relays = relays
        self._own = own
        self._base = f"sumdb/{name}/"
        self._found: _Way | None = None if relays else (own, "")
        self._choosing = asyncio.Lock()

    async def read(self, path: str, at_most_bytes: int) -> bytes:
        """A file of the database, such as `latest`; raises as `ProxyTransport.read`."""
        transport, base = self._found or await self._chosen()
        return await transport.read(base + path, at_most_bytes=at_most_bytes)

    async def _chosen(self) -> _Way:
        async with self._choosing:
            if self._found is None:
                self._found = await self._way()
            return self._found or (self._own, "")

    async def _way(self) -> _Way | None:
        """None when a proxy could not say; it is asked again next time."""
        is_certain = True
        for relay in self._relays:
            try:
                await relay.transport.read(f"{self._base}supported", at_most_bytes=_SUPPORTED_BYTES)
            except ModuleNotFound:
                continue
            except ProxyError as error:
                _LOG.warning("whether %s is relayed is unknown: %s", self._name, error)
                is_certain = False
                if relay.on_any_error:
                    continue
                return None
            return relay.transport, self._base
        return (self._own, "") if is_certain else None
