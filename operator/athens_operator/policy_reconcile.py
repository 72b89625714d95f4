"""One pass over a policy: nothing to render here, only its status, taken from the status of its proxies."""

from __future__ import annotations

from datetime import UTC, datetime

from athens_operator.advisories import AdvisoryReader
from athens_operator.cache import Cache
from athens_operator.fanout import Fanout
from athens_operator.policies import Policy
from athens_operator.publish import Publisher
from athens_operator.resources import POLICY_KINDS, PROXIES, Key
from athens_operator.status_policy import AttachedProxy, attached_proxy, status_of_policy

RESYNC_S = 600.0
REJECTED_EVERY_S = 60.0  # the ConfigMap of its advisories, which is not watched, may appear
KINDS = {resource.kind: resource for resource in POLICY_KINDS}


class PolicyReconciler:
    """Reports how far each policy is enforced.

    Args:
        cache: policies and proxies.
        fanout: which proxies a policy is attached to.
        publisher: writes the status.
        advisories: a policy whose advisories cannot be read is not accepted.
    """

    def __init__(self, cache: Cache, fanout: Fanout, publisher: Publisher, advisories: AdvisoryReader) -> None:
        self._cache = cache
        self._fanout = fanout
        self._publisher = publisher
        self._advisories = advisories

    async def reconcile(self, key: Key) -> float | None:
        """One pass; the seconds until the next one, or None when the policy is gone or cannot be judged.

        Raises:
            ClusterError: the API server cannot be asked for advisories, or does not take the status.
        """
        body = self._cache.get(KINDS[key.kind].ref(key.namespace, key.name))
        policy = self._cache.parsed(key)
        if body is None or not isinstance(policy, Policy) or body["metadata"].get("deletionTimestamp"):
            return None
        (policy,) = await self._advisories.resolved([policy], lambda _: True)
        proxies = [found for proxy in self._fanout.attached_to(key) if (found := self._attached(policy, proxy))]
        await self._publisher.publish(
            body, status_of_policy(policy, proxies, body.get("status") or {}, datetime.now(UTC))
        )
        return REJECTED_EVERY_S if policy.problems else RESYNC_S

    def _attached(self, policy: Policy, proxy: Key) -> AttachedProxy | None:
        body = self._cache.get(PROXIES.ref(proxy.namespace, proxy.name))
        return attached_proxy(policy, proxy.namespace, proxy.name, body.get("status") or {}) if body else None
