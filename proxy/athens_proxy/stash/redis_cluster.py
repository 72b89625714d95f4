"""Scripts on one key of a Redis cluster, sent to the node that owns the key.

A lock needs no more of a cluster than this. redis-py's own cluster client (8.1) breaks
its connections when several tasks use it first at once; one plain client per node, and following MOVED, does not.
Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#moved-redirection
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, ConnectionError, MovedError, TimeoutError

Node = tuple[str, int]
MOST_REDIRECTIONS: Final = 3


class RedisClusterNodes:
    """The nodes of a cluster.

    Args:
        nodes: host and port of some of them; one that answers is enough to find the others.
        client: makes the client of one node; nothing is connected before its first use.
    """

    def __init__(self, nodes: Sequence[Node], client: Callable[[Node], Redis]) -> None:
        self._nodes = tuple(nodes)
        self._new_client = client
        self._clients: dict[Node, Redis] = {}
        self._owners: dict[int, Node] = {}

    async def eval(self, script: str, key_count: int, key: str, *arguments: str) -> Any:
        """Run a script on its key's owner.

        Raises:
            RedisError: no node that is known answers, or the script fails.
        """
        slot = key_slot(key.encode())
        error: Exception = ConnectionError("no node is configured")
        for start in self._starts(slot):
            try:
                return await self._redirected(slot, start, (script, key_count, key, *arguments))
            except (ConnectionError, TimeoutError, ClusterDownError, OSError) as failure:
                error = failure
                self._owners.pop(slot, None)
        raise error

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    def _starts(self, slot: int) -> list[Node]:
        owner = self._owners.get(slot)
        return [*([owner] if owner else []), *(node for node in self._nodes if node != owner)]

    async def _redirected(self, slot: int, node: Node, call: tuple[Any, ...]) -> Any:
        for _ in range(MOST_REDIRECTIONS):
            try:
                result = await self._client(node).eval(*call)
            except MovedError as moved:
                node = (moved.host or node[0], moved.port)
            else:
                self._owners[slot] = node
                return result
        raise ClusterDownError(f"MOVED {slot}: the nodes do not agree who owns it")

    def _client(self, node: Node) -> Redis:
        if node not in self._clients:
            self._clients[node] = self._new_client(node)
        return self._clients[node]
