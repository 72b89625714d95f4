"""Reads the advisories that policies name, and gives the policies their rules.

The ConfigMap is read when a proxy of the policy is looked at, at most twice a minute, so that new advisories and ended
waivers are noticed within one resync without watching ConfigMaps that are not ours. One that is absent or unreadable
rejects the policy: its proxies keep their last good file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from athens_operator.cluster import Cluster, Forbidden, NotFound
from athens_operator.errors import Problem
from athens_operator.policies import Advisories, Policy
from athens_operator.resources import CONFIG_MAPS
from athens_policy.advisories import InvalidAdvisory, Waiver, deny_rules

KEPT_S: Final = 30.0
_FIELD: Final = "spec.advisories.configMapRef"


def place_of(policy: Policy, wanted: Advisories) -> tuple[str, str]:
    """Namespace and name of the ConfigMap: the policy's own namespace wherever it has one."""
    return (policy.namespace or wanted.config_map_ref.namespace, wanted.config_map_ref.name)


def with_rules(policy: Policy, texts: Mapping[str, str], now: datetime) -> Policy:
    """The policy with the rules of its advisories, or with the problem that a record has. Pure."""
    waivers = policy.content.advisories.waivers if policy.content.advisories else ()
    try:
        rules = deny_rules(texts, [Waiver(waiver.id, waiver.until) for waiver in waivers], now)
    except InvalidAdvisory as error:
        return replace(policy, problems=(*policy.problems, Problem(_FIELD, str(error))))
    return replace(policy, advisory_rules=rules)


def rejected(policy: Policy, problem: str) -> Policy:
    """The policy with what is wrong with the ConfigMap itself. Pure."""
    return replace(policy, problems=(*policy.problems, Problem(f"{_FIELD}.name", problem)))


@dataclass(frozen=True, slots=True)
class _Read:
    texts: Mapping[str, str]
    problem: str
    at_s: float


class AdvisoryReader:
    """Resolves advisories for the gatherer.

    Args:
        cluster: where the ConfigMaps are.
        now: the time, with its time zone; decides about waivers.
        monotonic_s: seconds that only go forward; decides when to read again.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._now = now
        self._monotonic_s = monotonic_s
        self._read: dict[tuple[str, str], _Read] = {}

    async def resolved(self, policies: Iterable[Policy], is_wanted: Callable[[Policy], bool]) -> list[Policy]:
        """The policies, those that are wanted with the rules of their advisories.

        Raises:
            ClusterError: the API server cannot be asked.
        """
        return [await self._resolved(policy) if is_wanted(policy) else policy for policy in policies]

    async def _resolved(self, policy: Policy) -> Policy:
        wanted = policy.content.advisories
        if wanted is None:
            return policy
        read = await self._config_map(*place_of(policy, wanted))
        return rejected(policy, read.problem) if read.problem else with_rules(policy, read.texts, self._now())

    async def _config_map(self, namespace: str, name: str) -> _Read:
        found = self._read.get((namespace, name))
        if found is not None and self._monotonic_s() - found.at_s < KEPT_S:
            return found
        texts: Mapping[str, str] = {}
        problem = ""
        try:
            texts = (await self._cluster.get(CONFIG_MAPS.ref(namespace, name))).get("data") or {}
        except NotFound:
            problem = f"ConfigMap {namespace}/{name} is not there; create it or remove the reference"
        except Forbidden:
            problem = f"ConfigMap {namespace}/{name} may not be read by the operator; move it or grant the right"
        self._read[namespace, name] = _Read(texts, problem, self._monotonic_s())
        return self._read[namespace, name]
