"""THE STORY of one AthensProxy: gather, render, apply, delete what is left over, observe, judge, report.

Level-triggered: nothing here knows which event led to a pass, every step may run any number of times, and a pass that
finds everything as it should be writes nothing. What goes wrong becomes part of the status first and an error for the
queue afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from athens_operator.adoption import is_kept_claim
from athens_operator.at_rest import AtRest, Basis, basis_of, is_calm
from athens_operator.cache import Cache
from athens_operator.children import Applied, Children
from athens_operator.credential_states import CredentialStates
from athens_operator.desired import desired_objects
from athens_operator.desired.configuration import policy_config_map
from athens_operator.desired.names import policy_name
from athens_operator.desired.optional import missing_apis
from athens_operator.errors import SpecError
from athens_operator.events import Announcement, of_adoption, of_kept_claim, of_new_spec, of_rejection
from athens_operator.fanout import Fanout
from athens_operator.gather import Gathered, Gatherer
from athens_operator.manifests import Manifest, Ref, is_config, is_owned_by, mounted_config_maps, surplus
from athens_operator.metrics import Metrics
from athens_operator.next_look import RESYNC_S, next_look_s
from athens_operator.propagation import Propagation, pods_of
from athens_operator.publish import Publisher
from athens_operator.purge_nudges import PurgeNudges
from athens_operator.resources import (
    CHILDREN,
    CLAIMS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    DISPENSABLE,
    OPTIONAL_CHILDREN,
    PODS,
    POLICY_KINDS,
    PROXIES,
    REPLICA_SETS,
    Key,
    Resource,
)
from athens_operator.settings import Readback as ReadbackSetting
from athens_operator.settings import Settings
from athens_operator.spec import AthensProxy, Identity
from athens_operator.status import status_of, status_of_invalid, status_of_leaving
from athens_operator.status_observed import Observed
from athens_operator.status_prefetch import prefetch_pods
from athens_operator.supported_versions import version_problem
from athens_operator.tenancy import tenancy_problem

logger = logging.getLogger(__name__)

POLICIES_AFTER_S = 2.0
MAX_LACKING = 20  # of the 32 that a status holds
POLICY_RESOURCES = {resource.kind: resource for resource in POLICY_KINDS}
USERS_OF_CONFIG = {PODS, REPLICA_SETS}
OURS = frozenset(resource.kind for resource in (*CHILDREN, *OPTIONAL_CHILDREN))


@dataclass(frozen=True, slots=True)
class Steps:
    """Who does what in a pass."""

    gatherer: Gatherer
    children: Children
    propagation: Propagation
    credentials: CredentialStates
    publisher: Publisher
    fanout: Fanout
    purges: PurgeNudges


class ProxyReconciler:
    """Runs the passes over AthensProxies.

    Args:
        cache: what exists.
        steps: who does what.
        settings: of the operator.
        metrics: counts rotated Secrets.
        later: plans a pass over another object, in seconds.
        unseen: dispensable kinds that the operator may not read at present.
        lacking: rights that are missing, a line each.
    """

    def __init__(
        self,
        cache: Cache,
        steps: Steps,
        settings: Settings,
        metrics: Metrics,
        *,
        later: Callable[[Key, float], None],
        unseen: Set[Resource] = frozenset(),
        lacking: Set[str] = frozenset(),
    ) -> None:
        self._cache = cache
        self._metrics = metrics
        self._later = later
        self._unseen = unseen
        self._lacking = lacking
        self._steps = steps
        self._settings = settings
        self._uids: dict[Key, str] = {}
        self._at_rest = AtRest()

    async def reconcile(self, key: Key) -> float | None:
        """One pass; the seconds until the next one, or None when the object is gone.

        Raises:
            ClusterError: something could not be read or written; the status says so already if it can.
        """
        body = self._cache.get(PROXIES.ref(key.namespace, key.name))
        if body is None:
            await self._farewell(key)
            return None
        identity = Identity.of(body)
        if identity.deleting:  # somebody's finalizer holds it; children are left to garbage collection
            await self._steps.publisher.publish(body, status_of_leaving(identity))
            return RESYNC_S
        proxy = self._cache.parsed(key)
        refused = self._problem(proxy) if isinstance(proxy, AthensProxy) else proxy
        if isinstance(refused, SpecError):
            status = status_of_invalid(identity, refused, self._cache.owned_by(key), datetime.now(UTC))
            await self._steps.publisher.publish(body, status)
            return RESYNC_S
        if not isinstance(proxy, AthensProxy):
            return RESYNC_S
        if self._uids.get(key, proxy.uid) != proxy.uid:  # deleted and made again since the last pass
            await self._farewell(key)
        self._uids[key] = proxy.uid
        return await self._pass(key, proxy, body)

    def _problem(self, proxy: AthensProxy) -> SpecError | None:
        """Why a spec that can be read is not carried out here."""
        return version_problem(proxy) or tenancy_problem(proxy, self._settings)

    async def _pass(self, key: Key, proxy: AthensProxy, body: Manifest) -> float:
        gathered = await self._steps.gatherer.gather(proxy)
        proxy, basis = gathered.proxy, self._basis(key, gathered)
        applied = Applied()
        if not self._at_rest.has_children(proxy.uid, basis):
            only_file = self._at_rest.has_other_children(proxy.uid, basis)
            self._at_rest.forget(proxy.uid)
            applied = await self._write(key, proxy, gathered, only_file=only_file)
        await self._tell_of_purges(key, proxy)
        heard = await self._hear(key, proxy, gathered)
        if self._at_rest.has_status(proxy.uid, basis, heard):
            return self._next_look_s(proxy, proxy.identity.status)
        self._at_rest.forget(proxy.uid)
        observed = replace(self._observe(key, proxy, gathered, applied), **heard)
        status = status_of(proxy, observed, datetime.now(UTC))
        told = self._told(proxy, gathered, applied)
        is_news = await self._steps.publisher.publish(body, status, also=told)
        policies = [Key(*policy.key) for policy in gathered.attachment.policies]
        self._report(key, policies, is_news=is_news)
        await self._tell_policies(policies, of_rejection(proxy, status))
        transient = [error for error in applied.errors if error.transient]
        if transient:
            raise transient[0]
        if applied == Applied() and not told and is_calm(proxy, status):
            after = basis.after(self._cache.parsed(key), status) if is_news else basis
            self._at_rest.note(proxy.uid, after, heard)
        return self._next_look_s(proxy, status)

    def _basis(self, key: Key, gathered: Gathered) -> Basis:
        claim = self._cache.get(CLAIMS.ref(key.namespace, f"{key.name}-data"))
        lacking = (*self._lacking, *(resource.plural for resource in self._unseen))
        return basis_of((*self._cache.owned_by(key).values(), claim), gathered, lacking)

    def _told(self, proxy: AthensProxy, gathered: Gathered, applied: Applied) -> list[Announcement]:
        """What is worth an Event beyond what follows from the status."""
        told = [*of_new_spec(proxy), *of_adoption(applied.adopted)]
        told += [Announcement("DriftCorrected", str(drift)) for drift in applied.drifts]
        if gathered.rotates_secrets and proxy.suspension is None:
            self._metrics.secret_rotations.inc()
            told.append(Announcement("SecretRotated", "a referenced Secret changed; the pods are replaced"))
        return told

    def _report(self, key: Key, policies: Sequence[Key], *, is_news: bool) -> None:
        """Have the status of every policy concerned follow, a little later and all at once.

        Args:
            key: the proxy.
            policies: what is attached to it now.
            is_news: its status has changed, which tells how far each of them is enforced.
        """
        come_or_gone = self._steps.fanout.remember(key, policies)
        for policy in come_or_gone.union(policies if is_news else ()):
            self._later(policy, POLICIES_AFTER_S)

    async def _tell_policies(self, policies: Iterable[Key], told: Announcement | None) -> None:
        if told is None:
            return
        for key in policies:
            body = self._cache.get(POLICY_RESOURCES[key.kind].ref(key.namespace, key.name))
            if body is not None:
                await self._steps.publisher.tell(body, told)

    async def _write(self, key: Key, proxy: AthensProxy, gathered: Gathered, *, only_file: bool) -> Applied:
        """Apply what is wanted and delete what is not, unless the proxy is paused."""
        if proxy.suspension is not None:
            return Applied()
        policy = gathered.policy
        if only_file and policy.text is not None:
            return await self._steps.children.apply(proxy, [policy_config_map(proxy, policy.text, gathered.inputs)])
        wanted = desired_objects(proxy, policy.text, gathered.inputs, start_pods=gathered.may_start_pods)
        applied = await self._steps.children.apply(proxy, wanted)
        return applied + await self._steps.children.delete(self._surplus(key, proxy, wanted, gathered))

    def _surplus(self, key: Key, proxy: AthensProxy, wanted: Sequence[Manifest], gathered: Gathered) -> list[Ref]:
        live = list(self._cache.owned_by(key).values())
        owned = [body for body in live if body["kind"] in OURS and is_owned_by(body, proxy.uid)]
        users = [*pods_of(live), *(body for body in live if body["kind"] in (REPLICA_SETS.kind, DEPLOYMENTS.kind))]
        if self._unseen & USERS_OF_CONFIG:  # which old configuration is still in use cannot be told
            owned = [body for body in owned if not is_config(body)]
        kept: set[Ref] = set()  # without a file, Secret or claim nothing new starts, but what runs goes on
        if gathered.policy.text is None or not gathered.may_start_pods:
            kept.add(DEPLOYMENTS.ref(proxy.namespace, proxy.name))
        if gathered.policy.text is None:
            kept.add(CONFIG_MAPS.ref(proxy.namespace, policy_name(proxy)))
        return [ref for ref in surplus(owned, wanted, mounted_config_maps(users)) if ref not in kept]

    async def _tell_of_purges(self, key: Key, proxy: AthensProxy) -> None:
        if proxy.suspension is None:
            await self._steps.purges.nudge(proxy, pods_of(list(self._cache.owned_by(key).values())))

    async def _hear(self, key: Key, proxy: AthensProxy, gathered: Gathered) -> dict[str, Any]:
        """What the pods themselves say: fields of `Observed`."""
        if not self._reads_back or gathered.policy.text is None or proxy.suspension:
            return {}
        pods, login = pods_of(list(self._cache.owned_by(key).values())), gathered.secrets.login
        readback, credentials = await asyncio.gather(
            self._steps.propagation.advance(proxy, pods, gathered.policy, login=login),
            self._steps.credentials.look(proxy, pods, login),
        )
        return {"readback": readback, "credentials": credentials}

    def _observe(self, key: Key, proxy: AthensProxy, gathered: Gathered, applied: Applied) -> Observed:
        owned = self._cache.owned_by(key)
        ours = {ref: body for ref, body in owned.items() if body["kind"] in OURS and is_owned_by(body, proxy.uid)}
        made = self._cache.get(CLAIMS.ref(proxy.namespace, f"{proxy.name}-data")) if proxy.claim else None
        return Observed(
            inputs=gathered.inputs,
            children=ours,
            claim=made or gathered.claim,
            sharing=gathered.sharing,
            pods=pods_of(list(owned.values())),
            prefetch_pods=prefetch_pods(owned.values()),
            readback_enabled=self._reads_back,
            failures=applied.failures,
            fights=tuple(map(str, applied.fights)),
            policy=gathered.policy,
            missing_secrets=gathered.secrets.missing,
            secrets_readable=gathered.secrets.readable,
            missing_capabilities=(
                *sorted(DISPENSABLE[kind] for kind in self._unseen),
                *sorted(self._lacking)[:MAX_LACKING],
                *missing_apis(proxy, gathered.inputs),
            ),
        )

    @property
    def _reads_back(self) -> bool:
        return self._settings.readback is ReadbackSetting.ON and PODS not in self._unseen

    def _next_look_s(self, proxy: AthensProxy, status: Mapping[str, Any]) -> float:
        calm_s = next_look_s(
            status.get("conditions") or (), has_secrets=bool(proxy.secret_references), now=datetime.now(UTC)
        )
        look_s = calm_s * random.uniform(0.8, 1.2)  # noqa: S311 (jitter, not a secret)
        pods_s = (self._steps.propagation.next_look_s(proxy), self._steps.credentials.next_look_s(proxy))
        return min([look_s, *(each_s for each_s in pods_s if each_s is not None)])

    async def _farewell(self, key: Key) -> None:
        """The proxy is gone: say what is kept of it, and forget the rest."""
        uid = self._uids.pop(key, "")
        claim = self._cache.get(CLAIMS.ref(key.namespace, f"{key.name}-data"))
        if claim is not None and is_kept_claim(claim, uid):
            await self._steps.publisher.tell(claim, of_kept_claim(claim, key.name))
        self._steps.gatherer.forget(uid)
        self._steps.propagation.forget(uid)
        self._steps.credentials.forget(uid)
        self._steps.children.forget(uid)
        self._steps.publisher.forget(uid)
        self._at_rest.forget(uid)
        self._report(key, (), is_news=True)
