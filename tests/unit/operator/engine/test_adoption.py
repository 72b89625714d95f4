"""Who may have an object under a child's name: handed over, kept from before, or somebody else's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from athens_operator.adoption import ADOPT_BY_ANNOTATION, is_kept_claim
from athens_operator.cache import Cache
from athens_operator.children import APPLIED_ANNOTATION, Applied, Children
from athens_operator.desired import desired_objects
from athens_operator.desired.volume import RETAINED_FROM
from athens_operator.events import of_adoption, of_kept_claim
from athens_operator.manifests import Manifest
from athens_operator.metrics import Metrics
from athens_operator.resources import CLAIMS
from athens_operator.status_observed import FailureReason
from support.fake_cluster import FakeCluster, nobody_told
from support.operator_values import INPUTS, proxy_value

OURS = proxy_value()
CHILDREN = desired_objects(OURS, "", INPUTS)
CLAIM = CLAIMS.ref("team-a", "go-data")


def wanted(kind: str) -> Manifest:
    return next(manifest for manifest in CHILDREN if manifest["kind"] == kind)


def applied(live: Manifest, kind: str) -> tuple[Applied, FakeCluster]:
    """One pass over one child that stands in a cluster already."""
    cluster = FakeCluster()
    cluster.put(live)
    outcome = asyncio.run(Children(cluster, Cache(), Metrics(), nobody_told()).apply(OURS, [wanted(kind)]))
    return outcome, cluster


def foreign(kind: str = "Service", **metadata: Any) -> Manifest:
    manifest = wanted(kind)
    names = {name: manifest["metadata"][name] for name in ("namespace", "name")}
    return {"apiVersion": manifest["apiVersion"], "kind": kind, "metadata": {**names, **metadata}, "spec": {"own": "x"}}


def test_an_object_that_is_handed_over_becomes_ours_and_is_announced() -> None:
    outcome, cluster = applied(foreign(annotations={ADOPT_BY_ANNOTATION: "team-a/go"}), "Service")

    (service,) = cluster.objects.values()
    assert service["metadata"]["ownerReferences"][0]["uid"] == OURS.uid
    assert service["spec"]["own"] == "x"  # what was there stays, as with every foreign field
    assert [told.reason for told in of_adoption(outcome.adopted)] == ["Adopted"]
    assert outcome.failures == ()


@pytest.mark.parametrize("consent", ["team-b/go", "team-a/other", "go", "", "team-a/go "])
def test_consent_for_somebody_else_is_none(consent: str) -> None:
    outcome, cluster = applied(foreign(annotations={ADOPT_BY_ANNOTATION: consent}), "Service")

    assert [failure.reason for failure in outcome.failures] == [FailureReason.CHILD_CONFLICT]
    assert "athensproxy.dev/adopt-by: team-a/go" in outcome.failures[0].message
    assert cluster.writes == []


def test_nobody_is_told_to_remove_a_claim() -> None:
    outcome, cluster = applied(foreign("PersistentVolumeClaim"), "PersistentVolumeClaim")

    (failure,) = outcome.failures
    assert "name it in spec.storage.disk.existingClaim to use it" in failure.message
    assert "remove" not in failure.message
    assert cluster.writes == []


def test_an_object_that_a_controller_owns_cannot_be_handed_over() -> None:
    """Kubernetes allows one controller; the other one would go on writing."""
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u", "controller": True}
    live = foreign(annotations={ADOPT_BY_ANNOTATION: "team-a/go"}, ownerReferences=[owner])

    outcome, cluster = applied(live, "Service")

    assert "belongs to StatefulSet db" in outcome.failures[0].message
    assert cluster.writes == []


def test_the_claim_that_an_earlier_proxy_left_behind_is_taken_over_and_announced() -> None:
    kept = wanted("PersistentVolumeClaim")
    kept = {**kept, "metadata": {**kept["metadata"], "annotations": {RETAINED_FROM: "earlier"}}}

    outcome, cluster = applied(kept, "PersistentVolumeClaim")

    assert outcome.adopted == (CLAIM,)
    annotations = cluster.objects[CLAIM]["metadata"]["annotations"]
    assert annotations.keys() == {RETAINED_FROM, APPLIED_ANNOTATION}
    assert annotations[RETAINED_FROM] == OURS.uid


def test_our_own_claim_is_not_announced_again() -> None:
    outcome, _ = applied(wanted("PersistentVolumeClaim"), "PersistentVolumeClaim")

    assert outcome.adopted == ()


def test_only_the_claim_of_the_deleted_proxy_is_announced_as_kept() -> None:
    kept = wanted("PersistentVolumeClaim")

    assert is_kept_claim(kept, OURS.uid)
    assert not is_kept_claim(kept, "another")
    assert not is_kept_claim(kept, "")
    owned = {**kept, "metadata": {**kept["metadata"], "ownerReferences": [{"uid": OURS.uid}]}}
    assert not is_kept_claim(owned, OURS.uid)
    assert of_kept_claim(kept, "go").reason == "Retained"
    assert "claim go-data is kept" in of_kept_claim(kept, "go").note


def test_a_child_that_was_left_behind_needs_consent_and_its_conflict_names_the_one_command() -> None:
    """Labels alone are no consent, since anybody may write them."""
    left = wanted("Service")
    left = {**left, "metadata": {name: text for name, text in left["metadata"].items() if name != "ownerReferences"}}

    outcome, cluster = applied(left, "Service")

    (failure,) = outcome.failures
    assert failure.reason == FailureReason.CHILD_CONFLICT
    assert "was left behind by an earlier AthensProxy go" in failure.message
    assert "kubectl annotate -n team-a serviceaccounts,configmaps,deployments,services," in failure.message
    assert failure.message.endswith("-l athensproxy.dev/proxy=go athensproxy.dev/adopt-by=team-a/go")
    assert cluster.writes == []
