"""Writes the children of one proxy: what differs, in order, all that can be written, and nothing that is not ours.

A child whose desired content and live content are both those of our last apply is skipped, so that a pass at rest
sends nothing. Status and bookkeeping that Kubernetes itself writes do not count as a difference. An annotation keeps
the hash of what was applied, so that a process that begins anew recognises what an earlier one has written.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from athens_operator.adoption import Foreign, takes_over
from athens_operator.cache import Cache, uid_of, version_of
from athens_operator.cluster import Cluster, Conflict, Forbidden, Immutable, Invalid, NamespaceTerminating, NotFound
from athens_operator.drift import Drift, Fight, Fights, drift_of, is_as_desired
from athens_operator.echoes import Echoes
from athens_operator.errors import ClusterError
from athens_operator.manifests import Manifest, Ref, ref_of
from athens_operator.metrics import Metrics
from athens_operator.obstacles import clearing, disowning
from athens_operator.spec import AthensProxy
from athens_operator.spec.proxy import ANNOTATION_PREFIX, RECONCILE_ANNOTATION
from athens_operator.status_observed import ApplyFailure, FailureReason

logger = logging.getLogger(__name__)

MADE_ANEW = frozenset({"ConfigMap", "Job", "PodDisruptionBudget", "HorizontalPodAutoscaler", "ServiceMonitor"})
APPLIED_ANNOTATION = ANNOTATION_PREFIX + "applied"
VERSION_OF_NONE = "1"  # etcd counts from 2 on
VOLATILE = ("resourceVersion", "managedFields", "generation", "creationTimestamp")


@dataclass(frozen=True, slots=True)
class _Applied:
    """What we last sent for a child, and what it looked like afterwards."""

    owner: str
    desired: str
    live: str
    version: int

    def stands(self, desired: str, live: Manifest) -> bool:
        """Whether the same is wanted still, and the child is still as we left it."""
        return self.desired == desired and (self.version == version_of(live) or self.live == fingerprint(live))


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of one pass over the children.

    Args:
        failures: children that could not be written, with the reason for the status.
        drifts: children that somebody else had changed and that are as desired again.
        fights: children that somebody keeps changing, and that are left alone for a while.
        errors: what was raised for the failures, to decide when to try again.
        adopted: objects that were not ours before this pass, handed over or kept from an earlier proxy.
    """

    failures: tuple[ApplyFailure, ...] = ()
    drifts: tuple[Drift, ...] = ()
    fights: tuple[Fight, ...] = ()
    errors: tuple[ClusterError, ...] = ()
    adopted: tuple[Ref, ...] = ()

    def __add__(self, other: Applied) -> Applied:
        return Applied(
            self.failures + other.failures,
            self.drifts + other.drifts,
            self.fights + other.fights,
            self.errors + other.errors,
            self.adopted + other.adopted,
        )


class Children:
    """Applies and deletes children, and remembers what it wrote.

    Args:
        cluster: where to.
        cache: what exists.
        metrics: counts corrections.
        echoes: is told what is being written.
    """

    def __init__(self, cluster: Cluster, cache: Cache, metrics: Metrics, echoes: Echoes) -> None:
        self._cluster = cluster
        self._cache = cache
        self._metrics = metrics
        self._echoes = echoes
        self._applied: dict[Ref, _Applied] = {}
        self._fights = Fights()

    async def apply(self, proxy: AthensProxy, wanted: Sequence[Manifest]) -> Applied:
        """Bring every wanted child into being; a failure of one does not stop the others.

        Raises:
            NamespaceTerminating: nothing can be created any more.
        """
        outcome = Applied()
        for manifest in wanted:
            ref = ref_of(manifest)
            try:
                done = await self._apply_one(proxy, manifest)
            except NamespaceTerminating:
                raise
            except ClusterError as error:
                outcome += _failed(ref, error)
                continue
            outcome += done
            for drift in done.drifts:
                self._metrics.drift.labels(kind=ref.kind).inc()
                self._metrics.field_fights.inc(self._fights.note(drift))
            fight = self._fights.going_on(ref)
            if fight is not None:
                outcome += Applied(fights=(fight,))
        return outcome

    async def delete(self, surplus: Iterable[Ref]) -> Applied:
        """Delete what is no longer wanted, exactly the objects that the cache knows."""
        outcome = Applied()
        for ref in surplus:
            live = self._cache.get(ref)
            if live is None or live["metadata"].get("deletionTimestamp"):
                continue
            try:
                await self._cluster.delete(ref, uid=uid_of(live))
                logger.info("deleted %s, which is no longer wanted", ref)
            except ClusterError as error:
                outcome += _failed(ref, error)
        return outcome

    def forget(self, uid: str) -> None:
        """The proxy is gone; what was remembered about its children goes too."""
        for ref in [ref for ref, last in self._applied.items() if last.owner == uid]:
            del self._applied[ref]
            self._fights.forget(ref)

    async def _apply_one(self, proxy: AthensProxy, manifest: Manifest) -> Applied:
        ref = ref_of(manifest)
        wanted = _hash(_apart_from_version(manifest))
        last = self._applied.get(ref)
        if last is not None and last.owner != proxy.uid:
            last = None
        repeated = last is not None and last.desired == wanted
        backs_off = repeated and self._fights.is_backing_off(ref)
        live, after = self._cache.get(ref), None
        if live is None and not backs_off:
            live, after = await self._create(manifest, wanted)
        adopts = live is not None and takes_over(proxy, ref, live)
        if last is None and live is not None and _is_as_applied(manifest, wanted, live):
            last = self._applied[ref] = _Applied(proxy.uid, wanted, fingerprint(live), version_of(live))
        if live is not None and (is_paused(live) or (last is not None and last.stands(wanted, live))):
            return Applied()
        if after is None:
            if backs_off:
                return Applied()
            after = await self._write(_stamped(manifest, wanted), live)
        self._applied[ref] = _Applied(proxy.uid, wanted, fingerprint(after), version_of(after))
        drift = drift_of(manifest, live, after) if repeated else None
        return Applied(drifts=(drift,) if drift else (), adopted=(ref,) if adopts else ())

    async def _create(self, manifest: Manifest, wanted: str) -> tuple[Manifest | None, Manifest | None]:
        """Make an object that no watch has seen; what stands in its way, or what was made.

        An object may exist all the same, unseen because it lacks our label. With the version of no object the API
        server creates and never changes one: one request, and nobody can come in between.
        """
        ref, metadata = ref_of(manifest), {**manifest["metadata"], "resourceVersion": VERSION_OF_NONE}
        try:
            with self._echoes.writing(ref) as answered:
                after = await self._cluster.apply(_stamped({**manifest, "metadata": metadata}, wanted))
                answered(after)
        except Conflict as somebody_there:
            try:
                return await self._cluster.get(ref), None
            except NotFound:  # and gone again
                raise somebody_there from None
        logger.info("created %s", ref)
        self._cache.put(after)
        return None, after

    async def _write(self, manifest: Manifest, live: Manifest | None) -> Manifest:
        ref = ref_of(manifest)
        body = {**manifest, "metadata": {**manifest["metadata"], **({"uid": uid_of(live)} if live else {})}}
        try:
            with self._echoes.writing(ref) as answered:
                after = await self._apply_or_replace(ref, body, live)
                answered(after)
        except Conflict:
            self._cache.evict(ref)
            raise
        if live is None or version_of(after) != version_of(live):
            logger.info("applied %s", ref)
        self._cache.put(after)
        return after

    async def _apply_or_replace(self, ref: Ref, body: Manifest, live: Manifest | None) -> Manifest:
        """Apply; where a field of somebody else rules ours out, take that away first.

        What holds no state is made anew where a field of it cannot change: a Job, or a ConfigMap that somebody has
        made immutable or put in the place of ours.
        """
        try:
            return await self._cluster.apply(body)
        except Immutable:
            if ref.kind not in MADE_ANEW or live is None:
                raise
            await self._cluster.delete(ref, uid=uid_of(live))
            self._cache.evict(ref)
            metadata = {name: value for name, value in body["metadata"].items() if name != "uid"}
            return await self._cluster.apply({**body, "metadata": metadata})
        except Invalid as refused:
            patch = clearing(body, live) if live is not None else None
            if patch is None:
                raise
            try:
                cleared = await self._cluster.merge(patch)
            except Invalid:  # so it is our own value that cannot be
                raise refused from None
        not_ours = disowning(cleared)
        if not_ours is not None:
            await self._cluster.merge(not_ours)
        return await self._cluster.apply(body)


def fingerprint(live: Manifest) -> str:
    """A hash over everything but status and bookkeeping of an object."""
    metadata = {name: value for name, value in live["metadata"].items() if name not in VOLATILE}
    return _hash({**{name: value for name, value in live.items() if name != "status"}, "metadata": metadata})


def _hash(value: Manifest) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _stamped(manifest: Manifest, wanted: str) -> Manifest:
    """The manifest with the hash of what is wanted, for the process that comes after this one."""
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), APPLIED_ANNOTATION: f"sha256:{wanted}"}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _is_as_applied(manifest: Manifest, wanted: str, live: Manifest) -> bool:
    """Whether exactly this was applied before, and nobody has changed any of it since."""
    stamp = (live["metadata"].get("annotations") or {}).get(APPLIED_ANNOTATION)
    return stamp == f"sha256:{wanted}" and is_as_desired(_apart_from_version(manifest), live)


def _apart_from_version(manifest: Manifest) -> Manifest:
    """What is wanted; a version only says of which object it was judged."""
    return {**manifest, "metadata": {k: v for k, v in manifest["metadata"].items() if k != "resourceVersion"}}


def is_paused(live: Manifest) -> bool:
    """Whether somebody froze this child with the annotation."""
    return (live["metadata"].get("annotations") or {}).get(RECONCILE_ANNOTATION) == "disabled"


def _failed(ref: Ref, error: ClusterError) -> Applied:
    logger.warning("%s", error)
    return Applied(failures=(ApplyFailure(ref, _reason(error), str(error)),), errors=(error,))


def _reason(error: ClusterError) -> FailureReason:
    match error:
        case Foreign():
            return FailureReason.CHILD_CONFLICT
        case Invalid():
            return FailureReason.INVALID_CHILD
        case Forbidden() if "exceeded quota" in str(error):
            return FailureReason.QUOTA_EXCEEDED
        case Forbidden() if "violates PodSecurity" in str(error):
            return FailureReason.POD_SECURITY_DENIED
        case Forbidden():
            return FailureReason.FORBIDDEN
        case _:
            return FailureReason.UNAVAILABLE
