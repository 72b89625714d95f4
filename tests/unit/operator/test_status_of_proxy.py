"""The facts in a status, its sentences, and that an unchanged situation gives an unchanged status."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from athens_operator.attachment import MissingPolicy, MissingReason
from athens_operator.conditions import Verdict, held_for
from athens_operator.errors import Problem, SpecError
from athens_operator.manifests import Manifest, Ref, ref_of
from athens_operator.resources import CLAIMS
from athens_operator.spec import AthensProxy, Identity
from athens_operator.spec.proxy import SecretReference
from athens_operator.status import status_of, status_of_invalid, status_of_leaving
from athens_operator.status_observed import ApplyFailure, FailureReason, MissingSecret, PolicyFailure, Readback
from athens_policy.merge import PolicyRule, PolicySource, Tier, merge
from athens_policy.model import Mode
from support.crd_schema import schema, violations
from support.observations import (
    DIGEST,
    NOW,
    OLD_DIGEST,
    TEXT,
    ago,
    children,
    condition_of,
    judged,
    observed,
    old_status,
    pod,
    policy_state,
)
from support.operator_values import MEMORY, proxy_body, proxy_value

CLAIM: Manifest = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "go-data", "namespace": "team-a"},
    "spec": {"resources": {"requests": {"storage": "20Gi"}}, "storageClassName": "fast"},
    "status": {"phase": "Bound", "capacity": {"storage": "20Gi"}},
}
RWX = {"type": "disk", "disk": {"persistentVolumeClaim": {"size": "1Gi", "accessModes": ["ReadWriteMany"]}}}


def status(spec: dict[str, Any] | None = None, *, proxy: AthensProxy | None = None, **changes: Any) -> dict[str, Any]:
    value = proxy or proxy_value(spec)
    return status_of(value, observed(value, **changes), NOW)


def message(found: dict[str, Any], kind: str = "Ready") -> str:
    return str(condition_of(found, kind)["message"])


def test_a_healthy_proxy_in_full() -> None:
    found = status({"privateModules": ["git.corp.example/*"]})

    assert {key: found[key] for key in found if key not in ("conditions", "configHash")} == {
        "observedGeneration": 4,
        "phase": "Ready",
        "replicas": 1,
        "readyReplicas": 1,
        "updatedReplicas": 1,
        "selector": "app.kubernetes.io/component=proxy,athensproxy.dev/proxy=go",
        "version": "v0.1.0",
        "image": "registry.example.com/athens/proxy:v0.1.0",
        "endpoints": {"internal": "http://go.team-a.svc.cluster.local"},
        "client": {"goproxy": "http://go.team-a.svc.cluster.local", "gonosumdb": "git.corp.example/*"},
        "policy": {
            "digest": DIGEST,
            "revision": DIGEST[7:15],
            "programmed": "1/1",
            "bytes": len(TEXT),
            "defaultMode": "sync",
            "rules": 0,
            "sources": [],
        },
        "storage": {
            "type": "disk",
            "claimName": "go-data",
            "capacity": "20Gi",
            "requestedCapacity": "20Gi",
        },
    }
    assert message(found) == f"1/1 pods enforce policy {DIGEST[7:15]}"


def test_the_same_situation_later_is_the_same_status() -> None:
    first = status()
    again = proxy_value(status=first)

    assert status_of(again, observed(again), NOW + timedelta(hours=5)) == first


def test_a_condition_remembers_since_when_it_holds() -> None:
    since = ago(hours=2)
    proxy = proxy_value(status=old_status(since, Ready="True", Available="False"))
    found = status(proxy=proxy)

    assert condition_of(found, "Ready")["lastTransitionTime"] == "2026-11-21T10:00:00Z"
    assert condition_of(found, "Available")["lastTransitionTime"] == "2026-11-21T12:00:00Z"
    assert held_for(found["conditions"], "Ready", Verdict.TRUE, NOW) == timedelta(hours=2)


def test_every_condition_carries_the_generation_it_speaks_of() -> None:
    assert {entry["observedGeneration"] for entry in status()["conditions"]} == {4}


def test_a_request_to_look_again_is_echoed() -> None:
    proxy = proxy_value(annotations={"athensproxy.dev/requestedAt": "now-1"})

    assert status(proxy=proxy)["lastHandledReconcileAt"] == "now-1"


def test_an_endless_annotation_does_not_cost_the_whole_status() -> None:
    proxy = proxy_value(annotations={"athensproxy.dev/requestedAt": "\u00e9" * 100_000})

    assert status(proxy=proxy)["lastHandledReconcileAt"] == "\u00e9" * 256


def test_what_status_says_about_secrets_names_key_and_field_but_no_value() -> None:
    reference = SecretReference("spec.auth.basic.secretRef", "users", ("username", "password"))
    spec = {"auth": {"basic": {"secretRef": {"name": "users"}}}}

    assert message(status(spec, missing_secrets=(MissingSecret(reference),))) == (
        "Secret users does not exist in namespace team-a; create it with the keys username and password, or correct "
        "spec.auth.basic.secretRef"
    )
    assert message(status(spec, missing_secrets=(MissingSecret(reference, "password"),))) == (
        "Secret users has no key password; add it or correct spec.auth.basic.secretRef"
    )


def test_a_login_that_the_operator_may_not_make_is_told_with_the_install_value() -> None:
    """The user wrote no secretRef that could be corrected."""
    reference = SecretReference("spec.auth.basic.secretRef", "go-auth", ("username", "password"))
    found = status({"auth": {"basic": {"generate": True}}}, missing_secrets=(MissingSecret(reference),))

    assert message(found).endswith(
        "create it with the keys username and password, or let the operator make it, which the install value "
        "features.generatedSecrets allows"
    )


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (MissingReason.NOT_FOUND, "does not exist; create it or remove it from spec.policyRefs"),
        (MissingReason.NOT_SHARED, "is not shared with namespace team-a; extend its spec.shareWith or remove it"),
        (MissingReason.REJECTED, "cannot be read: spec.rules[0].mode: no such mode"),
    ],
)
@pytest.mark.parametrize("kept", [True, False])
def test_what_status_says_about_policies_tells_whether_the_last_file_stays(
    reason: MissingReason, said: str, *, kept: bool
) -> None:
    missing = MissingPolicy("DownloadPolicy b/x", reason, (Problem("spec.rules[0].mode", "no such mode"),))
    found = status(policy=policy_state(missing=(missing,), kept_last_good=kept))

    assert judged(found, "PoliciesResolved") == f"False/{reason.value}"
    assert said in message(found)
    assert message(found).endswith("the last good file stays in force" if kept else "no pod starts before that")


def test_a_policy_that_cannot_be_rendered_names_rule_and_fate() -> None:
    failure = PolicyFailure("Oversize", "the file has 300000 bytes; at most 262144 are allowed")
    found = status(policy=policy_state(failure=failure, kept_last_good=True))

    assert message(found) == f"{failure.message}; the last good file stays in force"


@pytest.mark.parametrize(
    ("claim", "reason", "said"),
    [
        (None, "ClaimPending", "claim go-data does not exist yet"),
        ({**CLAIM, "status": {"phase": "Pending"}}, "ClaimPending", "waits for a volume of class fast"),
        ({**CLAIM, "status": {"phase": "Lost"}}, "ClaimLost", "has lost its volume"),
        (
            {**CLAIM, "status": {"phase": "Bound", "conditions": [{"type": "Resizing", "status": "True"}]}},
            "ResizeInProgress",
            "is growing",
        ),
        (
            {
                **CLAIM,
                "status": {"phase": "Bound", "allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"}},
            },
            "ResizeRejected",
            "cannot grow",
        ),
    ],
)
def test_the_claim_explains_itself(claim: Manifest | None, reason: str, said: str) -> None:
    found = status(claim=claim)

    assert judged(found, "StorageReady") == f"False/{reason}"
    assert said in message(found, "StorageReady")


def test_a_claim_that_may_not_be_made_says_why() -> None:
    """Ready repeats this condition, so that nobody has to look further."""
    quota = 'apply PersistentVolumeClaim team-a/go-data: persistentvolumeclaims "go-data" is forbidden: exceeded quota'
    refused = ApplyFailure(CLAIMS.ref("team-a", "go-data"), FailureReason.QUOTA_EXCEEDED, quota)
    found = status(claim=None, failures=(refused,))

    assert judged(found, "StorageReady") == "False/ClaimPending"
    assert message(found) == f"claim go-data cannot be made: {quota}"


def test_a_claim_may_wait_for_the_first_pod_of_a_proxy_without_replicas() -> None:
    found = status({"replicas": 0}, claim={**CLAIM, "status": {"phase": "Pending"}}, pods=())

    assert judged(found, "StorageReady") == "Unknown/ClaimPending"
    assert found["phase"] == "Ready"


def test_a_kept_claim_that_does_not_fit_says_what_to_write() -> None:
    claim = Ref("v1", "PersistentVolumeClaim", "team-a", "go-data")
    found = status(failures=(ApplyFailure(claim, FailureReason.INVALID_CHILD, "spec is immutable"),))

    assert "write the size, class and access modes that it has, or name another one" in message(found)


def test_a_claim_that_somebody_else_should_have_made_is_named() -> None:
    found = status({"storage": {"type": "disk", "disk": {"existingClaim": "theirs"}}}, claim=None)

    assert judged(found, "StorageReady") == "False/ClaimNotFound"
    assert judged(found, "Reconciling") == "True/WaitingForVolume"
    assert "claim theirs does not exist in namespace team-a; create it or correct" in message(found)


def test_memory_storage_says_that_the_cache_is_lost() -> None:
    found = status({"storage": MEMORY}, claim=None)

    assert judged(found, "StorageReady") == "True/Ephemeral"
    assert "lost with the pod" in message(found, "StorageReady")
    assert found["storage"] == {"type": "memory"}


def test_pods_that_are_behind_are_listed_with_what_they_enforce() -> None:
    pods = (pod("go-a"), pod("go-b"), pod("go-c"))
    answers = {"go-a": Readback(DIGEST), "go-b": Readback(OLD_DIGEST), "go-c": Readback("", error="time-out")}
    found = status({"replicas": 3, "storage": RWX}, pods=pods, readback=answers)

    assert found["policy"]["programmed"] == "1/3"
    assert found["policy"]["lagging"] == [
        {"pod": "go-b", "digest": OLD_DIGEST},
        {"pod": "go-c", "digest": "unreachable", "error": "time-out"},
    ]
    assert judged(found, "PolicyProgrammed") == "Unknown/PodsUnreachable"


def test_pods_that_do_not_serve_count_neither_way() -> None:
    leaving = pod("go-b")
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    pods = (pod("go-a"), leaving, pod("go-c", ready=False))
    found = status(pods=pods, readback={"go-a": Readback(DIGEST), "go-b": Readback(OLD_DIGEST)})

    assert judged(found, "PolicyProgrammed") == "True/Programmed"


def test_a_pod_that_refuses_an_older_file_and_runs_the_wanted_one_is_fine() -> None:
    found = status(readback={"go-0": Readback(DIGEST, error="line 1", refused=OLD_DIGEST)})

    assert judged(found, "PolicyProgrammed") == "True/Programmed"


def test_unverified_policies_are_said_in_readys_sentence() -> None:
    found = status(readback={"go-0": Readback("", error="refused")})

    assert message(found) == (
        f"0/1 pods enforce policy {DIGEST[7:15]}; the policy is not verified: pod go-0 cannot be asked: refused; admit "
        "the operator to port 3000"
    )


def test_sources_and_conflicts_of_the_merge_are_shown_within_bounds() -> None:
    rules = tuple(PolicyRule(f"r{number}", ("example.com/x",), Mode.DENY) for number in range(60))
    sources = [
        PolicySource("DownloadPolicy", "team-a", f"p{number}", 7, Tier.SELECTED, 0, rules[: 60 if number else 1])
        for number in range(70)
    ]
    merged = merge(sources[:2])
    found = status(policy=policy_state(merged=merged))

    assert found["policy"]["sources"][0] == {
        "kind": "DownloadPolicy",
        "namespace": "team-a",
        "name": "p0",
        "generation": 7,
        "tier": "Selected",
        "rules": 1,
    }
    assert found["policy"]["conflicts"][0] == {
        "class": "Duplicate",
        "rule": "team-a/p1#r0",
        "pattern": "example.com/x",
        "by": "team-a/p0#r0",
    }
    assert len(found["policy"]["conflicts"]) == 50
    assert found["policy"]["truncated"] is True
    assert list(violations(schema("AthensProxy", "status"), status(policy=policy_state(merged=merge(sources))))) == []


def test_a_kept_file_keeps_what_was_known_about_its_sources() -> None:
    known = {"digest": DIGEST, "defaultMode": "async", "rules": 3, "sources": [{"name": "base"}], "programmed": "0/9"}
    kept = policy_state(merged=None, kept_last_good=True)

    found = status(proxy=proxy_value(status={"policy": known}), policy=kept)["policy"]
    other = status(proxy=proxy_value(status={"policy": {**known, "digest": OLD_DIGEST}}), policy=kept)["policy"]

    assert (found["defaultMode"], found["rules"], found["programmed"]) == ("async", 3, "1/1")
    assert "sources" not in other


def test_a_load_balancer_without_an_address_is_waited_for() -> None:
    spec = {"service": {"type": "LoadBalancer", "port": 8080}}
    pending = status(spec)
    live = children(proxy_value(spec))
    for child in live:
        if child["kind"] == "Service":
            child["status"] = {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}, {"ip": "192.0.2.1"}]}}
    exposed = status(spec, live=live)

    assert (judged(pending, "ExposureReady"), pending["phase"]) == ("False/LoadBalancerPending", "Progressing")
    assert exposed["endpoints"]["external"] == ["http://lb.example.com:8080", "http://192.0.2.1:8080"]
    assert judged(exposed, "Ready") == "True/Running"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, "SingleReplica"),
        ({"replicas": 2, "storage": MEMORY}, "EphemeralStorage"),
        ({"replicas": 2}, "NodeLocalStorage"),
        ({"replicas": 2, "storage": RWX}, "UnsharedSingleFlight"),
    ],
)
def test_what_stands_in_the_way_of_high_availability(spec: dict[str, Any], reason: str) -> None:
    assert judged(status(spec), "HighlyAvailable") == f"False/{reason}"


def test_a_child_that_somebody_froze_is_said_beside_what_is_judged() -> None:
    frozen = {
        ref: {**body, "metadata": {**body["metadata"], "annotations": {"athensproxy.dev/reconcile": "disabled"}}}
        if ref.kind == "Service"
        else body
        for ref, body in observed(proxy_value()).children.items()
    }

    found = status(children=frozen)

    assert condition_of(found, "Suspended")["reason"] == "ChildAnnotation"
    assert "Service go" in message(found, "Suspended")
    assert condition_of(found, "Ready")["status"] == "True"
    assert found["phase"] == "Suspended"


def test_an_object_on_its_way_out_says_so_and_keeps_what_was_known() -> None:
    before = status()

    assert status_of_leaving(Identity.of(proxy_body(status=before))) == {**before, "phase": "Terminating"}


def test_an_invalid_spec_keeps_the_facts_and_names_the_fields() -> None:
    healthy = status()
    identity = Identity.of(proxy_body(status=healthy))
    live: dict[Ref, Manifest] = {ref_of(child): child for child in children(proxy_value())}
    error = SpecError([Problem("spec.storage.type", "write disk or memory")])

    found = status_of_invalid(identity, error, live, NOW)
    nothing_runs = status_of_invalid(identity, error, {}, NOW)

    assert judged(found, "Ready") == judged(found, "ConfigurationValid") == "False/InvalidSpec"
    assert judged(found, "Stalled") == "True/InvalidSpec"
    assert message(found).startswith("spec.storage.type: write disk or memory; correct the spec")
    assert (found["phase"], nothing_runs["phase"]) == ("Degraded", "Failed")
    assert found["endpoints"] == healthy["endpoints"]
