"""Who works on keys and with what: the parts of a pass put together, apart from watches, Lease and process."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from athens_operator.advisories import AdvisoryReader
from athens_operator.cache import Cache
from athens_operator.children import Children
from athens_operator.cluster import Cluster
from athens_operator.crash_report import CrashReport
from athens_operator.credential_states import CredentialStates
from athens_operator.echoes import Echoes
from athens_operator.events import Announcer
from athens_operator.fanout import Fanout
from athens_operator.gather import Gatherer
from athens_operator.metrics import Metrics
from athens_operator.policy_reconcile import PolicyReconciler
from athens_operator.propagation import Propagation
from athens_operator.publish import Publisher
from athens_operator.purge_nudges import PurgeNudges
from athens_operator.queue import WorkQueue
from athens_operator.readback import Listener
from athens_operator.reconcile import ProxyReconciler, Steps
from athens_operator.resources import POLICY_KINDS, PROXIES, Key, Resource
from athens_operator.secrets import SecretReader
from athens_operator.settings import SecretAccess, Settings
from athens_operator.workers import Workers


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every pass shares.

    Args:
        settings: what the administrator chose.
        cluster: where to read and write.
        cache: what is known.
        fanout: which keys a change concerns.
        queue: the keys to work on.
        echoes: holds events back about what a pass is writing.
        metrics: counts everything.
        unseen: dispensable kinds that the operator may not read at present.
        served: optional kinds that the cluster serves at present.
        lacking: rights that are missing, a line each, as `missing_rights` found them.
    """

    settings: Settings
    cluster: Cluster
    cache: Cache
    fanout: Fanout
    queue: WorkQueue[Key]
    echoes: Echoes
    metrics: Metrics
    unseen: Set[Resource] = field(default_factory=frozenset)
    served: Set[Resource] = field(default_factory=frozenset)
    lacking: Set[str] = field(default_factory=frozenset)


def crew(around: Surroundings, listener: Listener, credentials: CredentialStates) -> Workers:
    """Workers that know what to do with a key of each of our kinds."""
    settings, cluster, cache = around.settings, around.cluster, around.cache
    secrets = SecretReader(cluster, namespace=settings.namespace, allowed=settings.secret_access is SecretAccess.GET)
    advisories = AdvisoryReader(cluster)
    publisher = Publisher(cluster, cache, Announcer(cluster, instance=settings.identity))
    steps = Steps(
        gatherer=Gatherer(cluster, cache, secrets, settings, advisories, around.served),
        children=Children(cluster, cache, around.metrics, around.echoes),
        propagation=Propagation(cluster, listener, around.metrics),
        credentials=credentials,
        publisher=publisher,
        fanout=around.fanout,
        purges=PurgeNudges(cluster),
    )
    later = around.queue.add_after
    proxies = ProxyReconciler(
        cache, steps, settings, around.metrics, later=later, unseen=around.unseen, lacking=around.lacking
    )
    policies = PolicyReconciler(cache, around.fanout, publisher, advisories)
    reconcilers = {PROXIES.kind: proxies.reconcile, **{each.kind: policies.reconcile for each in POLICY_KINDS}}
    return Workers(around.queue, reconcilers, around.metrics, CrashReport(cache, publisher).tell)
