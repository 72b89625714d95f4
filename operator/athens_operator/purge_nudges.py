"""Has the kubelet bring a changed list of purged versions to running pods at once.

The list lies beside the download file, in a ConfigMap that a kubelet looks at about once a minute; a pod whose
annotations change it looks at immediately. A version is purged because something is wrong with it, so nobody waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from typing import Final

from athens_operator.cluster import FIELD_MANAGER, Cluster
from athens_operator.desired.operation import purge_data
from athens_operator.errors import ClusterError
from athens_operator.manifests import Manifest
from athens_operator.spec import AthensProxy
from athens_operator.spec.proxy import ANNOTATION_PREFIX

logger = logging.getLogger(__name__)

PURGE_ANNOTATION: Final = ANNOTATION_PREFIX + "purge-digest"
MANAGER: Final = f"{FIELD_MANAGER}-purge"
"""Not the manager of the policy's annotation, which an apply without it would remove."""
NOTHING: Final = "none"


class PurgeNudges:
    """Annotates pods that started with another list.

    Args:
        cluster: where the pods are.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def nudge(self, proxy: AthensProxy, pods: Sequence[Manifest]) -> None:
        """Tell every pod that does not carry the digest of the present list; a failure only costs time."""
        wanted = digest_of_purge(proxy)
        behind = [
            pod for pod in pods if (pod["metadata"].get("annotations") or {}).get(PURGE_ANNOTATION, NOTHING) != wanted
        ]
        await asyncio.gather(*(self._touch(pod, wanted) for pod in behind))

    async def _touch(self, pod: Manifest, value: str) -> None:
        metadata = pod["metadata"]
        names = {name: metadata[name] for name in ("namespace", "name", "uid")}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {**names, "annotations": {PURGE_ANNOTATION: value}}}
        try:
            await self._cluster.apply(body, manager=MANAGER)
        except ClusterError as error:  # the kubelet refreshes by itself, only later
            logger.info("pod not nudged: %s", error)


def digest_of_purge(proxy: AthensProxy) -> str:
    """What stands for the list of purged versions; a word where there is none."""
    text = "".join(purge_data(proxy.spec).values())
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if text else NOTHING
