"""Everything that one pass over a proxy has to know before it renders: policies, Secrets, the claim, what is live."""

from __future__ import annotations

import logging
from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from athens_operator.advisories import AdvisoryReader
from athens_operator.attachment import Attachment, attached, may_attach
from athens_operator.autoscaled import held_replicas
from athens_operator.cache import Cache
from athens_operator.closed_policy import closed_policy
from athens_operator.cluster import Cluster, NotFound
from athens_operator.desired import Inputs
from athens_operator.desired.names import policy_name
from athens_operator.desired.workload import INPUTS_HASH
from athens_operator.generated_logins import GeneratedLogins
from athens_operator.manifests import Manifest, is_owned_by
from athens_operator.own_addresses import own_addresses, own_upstreams
from athens_operator.resources import CLAIMS, CONFIG_MAPS, DEPLOYMENTS, Resource
from athens_operator.secrets import SecretFacts, SecretReader
from athens_operator.settings import RELEASE, Feature, SecretAccess, Settings, Tenancy
from athens_operator.shared_stores import UNSHARED, Sharing, sharing_of
from athens_operator.spec import AthensProxy
from athens_operator.spec.operation import OnError
from athens_operator.spec.workload import SecretChange
from athens_operator.status_observed import PolicyFailure, PolicyState
from athens_policy.decide import digest as digest_of
from athens_policy.merge import MergedPolicy, MergeError, PolicySource, merge
from athens_policy.outward import Outward, check_outward, outward
from athens_policy.render import render

logger = logging.getLogger(__name__)

POLICY_FILE = "download.hcl"
RENDERED_AT_MOST = 64  # files of at most 256 KiB, with what they were made of


@dataclass(frozen=True, slots=True)
class Gathered:
    """The input of rendering.

    Args:
        proxy: as it was asked for, perhaps with a login of the operator's.
        attachment: the policies that apply.
        policy: the download file that is wanted.
        secrets: what is known about the referenced Secrets.
        claim: a claim that somebody else made and the spec names; None when there is none.
        claim_missing: the spec names a claim that does not exist.
        deployment: the live Deployment, if it is ours.
        inputs: settings and facts that reach children.
        sharing: who else uses the store.
    """

    proxy: AthensProxy
    attachment: Attachment
    policy: PolicyState
    secrets: SecretFacts
    claim: Manifest | None
    claim_missing: bool
    deployment: Manifest | None
    inputs: Inputs
    sharing: Sharing = UNSHARED

    @property
    def rotates_secrets(self) -> bool:
        """Whether running pods were started with other values of the referenced Secrets."""
        return bool(self.secrets.hash) and _hash_on(self.deployment) not in ("", self.inputs.secrets_hash)

    @property
    def may_start_pods(self) -> bool:
        """Whether the Deployment may be written: not while a Secret or a claim that it refers to is missing.

        Such a pod could not start, and with a volume that only one pod can use the old pod would have ended first. Nor
        while the store belongs to somebody who has not agreed to share it, or while an upstream is the proxy itself.
        """
        lacking = any(found.reference.holds_pods for found in self.secrets.missing)
        return not (lacking or self.claim_missing or self.sharing.blocked_by or self._leads_back)

    @property
    def _leads_back(self) -> bool:
        """Whether pods would ask themselves; `spec.upstream` reaches them by their configuration alone."""
        return self.policy.failure is not None and self.policy.failure.reason == "RedirectLoop"


@dataclass(slots=True)
class _Remembered:
    text: str
    digest: str
    since: datetime | None


class Gatherer:
    """Collects the input of rendering, and remembers the last good download file of every proxy.

    Args:
        cluster: asked for what is not watched.
        cache: everything that is.
        secrets: looks up Secrets.
        settings: of the operator.
        advisories: what policies take rules from.
        served: optional kinds that the cluster serves at present.
    """

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        secrets: SecretReader,
        settings: Settings,
        advisories: AdvisoryReader,
        served: Set[Resource] = frozenset(),
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._secrets = secrets
        self._settings = settings
        self._served = served
        self._advisories = advisories
        self._logins = GeneratedLogins(
            cluster,
            allowed=Feature.GENERATED_SECRETS in settings.features,
            readable=settings.secret_access is SecretAccess.GET,
        )
        self._last_good: dict[str, _Remembered] = {}

    async def gather(self, proxy: AthensProxy) -> Gathered:
        """What is known now; raises `ClusterError` when the API server cannot be asked."""
        labels = self._cache.namespace_labels(proxy.namespace)
        policies = await self._advisories.resolved(
            self._cache.policies(), lambda policy: may_attach(policy, proxy, labels)
        )
        attachment = attached(proxy, policies, labels)
        proxy = await self._logins.ensured(proxy, self._settled_inputs())
        secrets = await self._secrets.facts(proxy)
        claim = await self._existing_claim(proxy)
        deployment = self._ours(proxy, self._cache.get(DEPLOYMENTS.ref(proxy.namespace, proxy.name)))
        inputs = replace(
            self._settled_inputs(),
            secrets_hash=_hash_wanted(proxy, secrets, deployment),
            held_replicas=held_replicas(proxy, deployment),
            claim_access_modes=tuple(claim["spec"].get("accessModes") or ()) if claim else None,
        )
        policy, claim_missing = self._policy(proxy, attachment), bool(proxy.existing_claim) and claim is None
        sharing = sharing_of(proxy, self._cache.proxies_around)
        return Gathered(proxy, attachment, policy, secrets, claim, claim_missing, deployment, inputs, sharing)

    def _settled_inputs(self) -> Inputs:
        """What does not depend on a proxy."""
        return Inputs(
            default_image=self._settings.proxy_image,
            operator_version=f"v{RELEASE}",
            cluster_domain=self._settings.cluster_domain,
            service_ranges=self._settings.service_ranges,
            operator_namespace=self._settings.namespace,
            restricted_tenancy=self._settings.tenancy is Tenancy.RESTRICTED,
            served=frozenset(resource.kind for resource in self._served),
        )

    def forget(self, uid: str) -> None:
        """The proxy is gone."""
        self._last_good.pop(uid, None)

    async def _existing_claim(self, proxy: AthensProxy) -> Manifest | None:
        if not proxy.existing_claim:
            return None
        try:
            return await self._cluster.get(CLAIMS.ref(proxy.namespace, proxy.existing_claim))
        except NotFound:
            return None

    def _policy(self, proxy: AthensProxy, attachment: Attachment) -> PolicyState:
        """The file to enforce: merged anew, or the last good one as it is when that cannot be done in full."""
        failure: PolicyFailure | None = None
        try:
            merged, text, addresses = _rendered(attachment.sources)
            own = own_addresses(proxy, self._settings.cluster_domain)
            check_outward((*own_upstreams(proxy), *addresses), own, proxy.spec.private_modules)
        except MergeError as error:
            failure = PolicyFailure(error.reason, error.message)
        else:
            if not attachment.missing:
                now = self._remember(proxy, text)
                return PolicyState(text=text, digest=now.digest, merged=merged, applied_at=now.since)
        last = self._last_good.get(proxy.uid) or self._adopt(proxy)
        if last is None:
            return PolicyState(missing=attachment.missing, failure=failure)
        if proxy.spec.on_error is OnError.FAIL_CLOSED:
            merged = closed_policy(proxy)
            text = render(merged)
            digest = digest_of(text.encode())
            return PolicyState(text, digest, merged, attachment.missing, failure, closed=True)
        return PolicyState(
            text=last.text,
            digest=last.digest,
            missing=attachment.missing,
            failure=failure,
            kept_last_good=True,
            applied_at=last.since,
        )

    def _remember(self, proxy: AthensProxy, text: str) -> _Remembered:
        last = self._last_good.get(proxy.uid)
        if last is None or last.text != text:
            since = None if last is None and self._live_text(proxy) == text else datetime.now(UTC)
            last = self._last_good[proxy.uid] = _Remembered(text, digest_of(text.encode()), since)
        return last

    def _adopt(self, proxy: AthensProxy) -> _Remembered | None:
        """After a restart the file in the cluster is the last good one."""
        text = self._live_text(proxy)
        if text is None:
            return None
        self._last_good[proxy.uid] = _Remembered(text, digest_of(text.encode()), None)
        return self._last_good[proxy.uid]

    def _live_text(self, proxy: AthensProxy) -> str | None:
        live = self._ours(proxy, self._cache.get(CONFIG_MAPS.ref(proxy.namespace, policy_name(proxy))))
        return (live.get("data") or {}).get(POLICY_FILE) if live else None

    @staticmethod
    def _ours(proxy: AthensProxy, live: Manifest | None) -> Manifest | None:
        return live if live is not None and is_owned_by(live, proxy.uid) else None


@lru_cache(maxsize=RENDERED_AT_MOST)
def _rendered(sources: tuple[PolicySource, ...]) -> tuple[MergedPolicy, str, tuple[Outward, ...]]:
    """The file made of these sources, and where it leads to; many proxies share all of theirs, and change together.

    Raises:
        MergeError: the sources cannot be merged; that is found out anew each time.
    """
    merged = merge(sources)
    return merged, render(merged), outward(merged)


def _hash_wanted(proxy: AthensProxy, secrets: SecretFacts, deployment: Manifest | None) -> str:
    """The inputs hash of the pods that are wanted: a new one replaces those that run, if the spec lets it."""
    running = _hash_on(deployment) if proxy.secret_references else ""
    if proxy.spec.rollout.secret_change is SecretChange.IGNORE and running:
        return running
    return secrets.hash or running


def _hash_on(deployment: Manifest | None) -> str:
    """The inputs hash of the running pods, which stays as long as the Secrets cannot be read in full."""
    template = (deployment or {}).get("spec", {}).get("template", {}).get("metadata", {})
    return str((template.get("annotations") or {}).get(INPUTS_HASH, ""))
