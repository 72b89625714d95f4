"""Brings a new policy to the pods of one proxy and hears from them that it has arrived."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from athens_operator.cluster import Cluster
from athens_operator.errors import ClusterError
from athens_operator.manifests import Manifest
from athens_operator.metrics import Metrics
from athens_operator.readback import Listener, Target
from athens_operator.spec import AthensProxy
from athens_operator.status_observed import PolicyState, Readback

logger = logging.getLogger(__name__)

DIGEST_ANNOTATION = "athensproxy.dev/policy-digest"
FIRST_LOOK_S = 0.5
LAST_LOOK_S = 30.0
SETTLED_S = 2.0  # a burst of edits is over when the file has not changed for this long
HELD_AT_MOST_S = 7.0  # ... but a burst without end is programmed this often; with the kubelet's part below ten seconds


@dataclass(slots=True)
class _Round:
    """One digest on its way to the pods of one proxy.

    Args:
        due_at: pods are not nudged before.
        held_since: when the first change came that no pod was nudged for; None when there is none.
    """

    digest: str
    began: float
    looks: int = 0
    arrived: bool = False
    due_at: float = 0.0
    held_since: float | None = None


class Propagation:
    """Nudges and asks pods, pass by pass, until all report the wanted digest.

    The ConfigMap follows every burst of edits within a second; a pod is only nudged once the file has settled, or has
    been held back for long enough, so that fifty edits in ten seconds make it parse two files and not ten.

    Args:
        cluster: where pods are annotated.
        listener: what pods said.
        metrics: duration and stragglers.
    """

    def __init__(self, cluster: Cluster, listener: Listener, metrics: Metrics) -> None:
        self._cluster = cluster
        self._listener = listener
        self._metrics = metrics
        self._rounds: dict[str, _Round] = {}
        self._lagging: dict[str, int] = {}  # proxies with pods that are behind, and how many

    async def advance(
        self,
        proxy: AthensProxy,
        pods: Sequence[Manifest],
        policy: PolicyState,
        *,
        login: tuple[str, str] | None = None,
    ) -> Mapping[str, Readback]:
        """Nudge the pods that are known to be behind, and ask all that are not known to be up to date.

        Args:
            proxy: whose pods.
            pods: the pods.
            policy: what they should enforce.
            login: user name and password of the proxy's clients, if it has any.
        """
        current = self._round(proxy.uid, policy)
        await self._nudge(pods, current)
        target = Target(policy.digest, proxy.spec.server.path_prefix, login)
        answers = await self._listener.listen(pods, target)
        await self._nudge(pods, current)
        self._note(proxy.uid, current, answers)
        return answers

    def next_look_s(self, proxy: AthensProxy) -> float | None:
        """Seconds until the pods should be asked again; None when all have the wanted file."""
        current = self._rounds.get(proxy.uid)
        if current is None or not self._lagging.get(proxy.uid):
            return None
        held_s = current.due_at - asyncio.get_running_loop().time()
        if held_s > 0:
            return held_s
        delay_s: float = min(LAST_LOOK_S, FIRST_LOOK_S * 2.0 ** min(current.looks, 16))
        current.looks += 1
        return delay_s

    def forget(self, uid: str) -> None:
        """The proxy is gone."""
        self._rounds.pop(uid, None)
        self._lagging.pop(uid, None)

    async def _nudge(self, pods: Sequence[Manifest], current: _Round) -> None:
        if current.due_at > asyncio.get_running_loop().time():
            return
        current.held_since = None
        due = self._listener.touches(pods, current.digest)
        await asyncio.gather(*(self._touch(pod, value) for pod, value in due))

    async def _touch(self, pod: Manifest, value: str) -> None:
        metadata = pod["metadata"]
        names = {name: metadata[name] for name in ("namespace", "name", "uid")}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {**names, "annotations": {DIGEST_ANNOTATION: value}}}
        try:
            await self._cluster.apply(body)
        except ClusterError as error:  # the kubelet refreshes by itself, only later
            logger.info("pod not nudged: %s", error)

    def _round(self, uid: str, policy: PolicyState) -> _Round:
        """What is on its way; a file that replaces one we know of waits until no further one follows it."""
        now = asyncio.get_running_loop().time()
        last = self._rounds.get(uid)
        if last is not None and last.digest == policy.digest:
            return last
        current = self._rounds[uid] = _Round(policy.digest, now, arrived=policy.applied_at is None, due_at=now)
        if last is not None:
            current.held_since = now if last.held_since is None else last.held_since
            current.due_at = min(now + SETTLED_S, current.held_since + HELD_AT_MOST_S)
        return current

    def _note(self, uid: str, current: _Round, answers: Mapping[str, Readback]) -> None:
        behind = sum(1 for answer in answers.values() if answer.digest != current.digest)
        self._lagging.pop(uid, None)
        if behind:
            self._lagging[uid] = behind
        self._metrics.lagging_pods.set(sum(self._lagging.values()))
        if behind:
            return
        current.looks, current.held_since = 0, None
        if answers and not current.arrived:
            current.arrived = True
            self._metrics.propagation_s.observe(asyncio.get_running_loop().time() - current.began)


def pods_of(owned: Sequence[Manifest]) -> tuple[Manifest, ...]:
    """The proxy's own pods among everything with its label, oldest first; finished ones are left out."""
    pods = [
        body
        for body in owned
        if body["kind"] == "Pod"
        and (body["metadata"].get("labels") or {}).get("app.kubernetes.io/component") == "proxy"
        and (body.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]
    return tuple(sorted(pods, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"])))
