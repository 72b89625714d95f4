"""The policy in force, asked with what it needs to know: the time, and when a version was first seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from athens_policy.decide import Decision, FetchSync, Redirect
from athens_proxy.download.first_seen import FirstSeen
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.policy.enforced import EnforcedPolicy
from athens_proxy.upstream.private import PrivateModules

_FEW_VERSIONS: Final = 1000  # judged while others wait; more are judged on a thread


class Rules:
    """Decisions about modules and versions; a version is seen when it is asked about.

    Args:
        policy: what is enforced now.
        first_seen: the clock of `minAge` rules.
        private: modules that are fetched where others are sent to another proxy, unless a rule for private modules
            alone sends them there.
    """

    def __init__(self, policy: EnforcedPolicy, first_seen: FirstSeen, private: PrivateModules | None = None) -> None:
        self._policy = policy
        self._first_seen = first_seen
        self._private = private or PrivateModules()

    def about_module(self, path: ModulePath) -> Decision:
        """The decision when no version matters, or before a query is resolved."""
        return self._kept_here(path, self._policy.decide_module(path))

    async def about(self, wanted: ModuleVersion) -> Decision:
        """The decision about a canonical version."""
        if not self._policy.uses_min_age:
            return self._kept_here(wanted.path, self._policy.decide(wanted))
        seen = await self._first_seen.of(wanted.path, [wanted.version])
        return self._kept_here(wanted.path, self._policy.decide(wanted, first_seen=seen[wanted.version]))

    async def visible(self, path: ModulePath, versions: Sequence[str]) -> list[str]:
        """The versions that may be listed, in their order."""
        seen = await self._first_seen.of(path, versions) if self._policy.uses_min_age else {}
        judge = partial(self._policy.visible, path, versions, first_seen=seen)
        return judge() if len(versions) <= _FEW_VERSIONS else await asyncio.to_thread(judge)

    def _kept_here(self, path: ModulePath, decision: Decision) -> Decision:
        """The decision, unless it would send a client with a private name to a proxy that is for everything."""
        if not isinstance(decision.effect, Redirect) or not self._private.covers(path.text):
            return decision
        is_meant = decision.block is not None and self._private.holds(decision.block.pattern)
        return decision if is_meant else replace(decision, effect=FetchSync())
