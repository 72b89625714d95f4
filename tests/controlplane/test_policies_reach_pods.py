"""From an edited policy to the pods that enforce it, with no roll-out in between."""

from __future__ import annotations

import os
import time
from typing import Any

from athens_operator.manifests import Manifest
from athens_operator.resources import CLUSTER_POLICIES, EVENTS, PODS, POLICIES
from support.fake_pods import digest_in, running_pod
from support.kube_api import KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deny, deployment_ref, policy, policy_file_ref, proxy, proxy_ref

QUICK: dict[str, Any] = {"rollout": {"minReadySeconds": 0}}
EDITS_FOR_S = 10.0 if os.environ.get("ATHENS_TEST_FULL") else 2.5
EDITS_PER_S = 5
PAUSE_S = 1.0  # half of what the operator waits for the next edit


def text(api: KubeApi, namespace: str) -> str:
    found = api.get(policy_file_ref(namespace))
    return str(found["data"]["download.hcl"]) if found else ""


def until_text(api: KubeApi, namespace: str, part: str, operator: OperatorProcess) -> Any:
    return until(
        lambda: part in text(api, namespace) and text(api, namespace), f"{part!r} in the file", context=operator.tail
    )


def until_programmed(api: KubeApi, namespace: str, operator: OperatorProcess) -> Any:
    """The proxy once its status says that every pod enforces the file that is there now."""
    wanted = digest_in(api.get(policy_file_ref(namespace)))
    return until(
        lambda: (
            (found := api.get(proxy_ref(namespace)))
            and condition(found, "PolicyProgrammed").get("status") == "True"
            and found["status"]["policy"]["digest"] == wanted
            and found
        ),
        "every pod enforces the file",
        context=operator.tail,
    )


def test_a_policy_edit_changes_one_file_and_rolls_nothing(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(policy(namespace, "base", deny("example.com/evil")))
    api.create(proxy(namespace))
    until_text(api, namespace, "example.com/evil", operator)
    before = until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=operator.tail)

    api.edit(policy(namespace, "base", deny("example.com/worse", reason="SEC-1")))

    after_text = until_text(api, namespace, "example.com/worse", operator)
    assert "example.com/evil" not in after_text
    assert 'reason = "SEC-1"' in after_text
    after = api.get(deployment_ref(namespace))
    assert after is not None
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_an_edit_is_enforced_by_every_pod_within_seconds_and_all_statuses_say_so(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(policy(namespace, "base", deny("example.com/evil")))
    api.create(proxy(namespace, **QUICK))
    with running_pod(api, namespace) as pod:
        until_programmed(api, namespace, operator)
        uid = api.list(PODS, namespace)[0]["metadata"]["uid"]

        api.edit(policy(namespace, "base", deny("example.com/worse")))
        until_text(api, namespace, "example.com/worse", operator)
        body = until_programmed(api, namespace, operator)

        assert body["status"]["policy"]["programmed"] == "1/1"
        assert pod.digest == digest_in(api.get(policy_file_ref(namespace)))
        live = api.list(PODS, namespace)[0]
        assert live["metadata"]["uid"] == uid
        assert live["metadata"]["annotations"]["athensproxy.dev/policy-digest"] == pod.digest
        found = until(
            lambda: (
                (found := api.get(POLICIES.ref(namespace, "base")))
                and found["status"]["observedGeneration"] == 2
                and condition(found, "Programmed").get("status") == "True"
                and found
            ),
            "the policy says Programmed",
            context=lambda: (api.get(POLICIES.ref(namespace, "base")) or {}).get("status"),
        )
        assert found["status"]["summary"] == "1/1"
    until(lambda: {"AthensProxy", "DownloadPolicy"} <= told_of(api, namespace), "Events tell", context=operator.tail)


def told_of(api: KubeApi, namespace: str) -> set[str]:
    """The kinds that Events call programmed."""
    return {body["regarding"]["kind"] for body in api.list(EVENTS, namespace) if body["reason"] == "PolicyProgrammed"}


def test_a_pod_takes_up_at_most_two_files_of_a_burst_of_edits_and_the_last_one_wins(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """The ConfigMap follows the edits closely; the pod is told once they have ended, or have lasted for long."""
    api.create(policy(namespace, "base", deny("example.com/x0")))
    api.create(proxy(namespace, **QUICK))
    with running_pod(api, namespace) as pod:
        until_programmed(api, namespace, operator)
        count = int(EDITS_FOR_S * EDITS_PER_S)
        began = time.monotonic()
        done_at, pauses = began, 0
        for number in range(1, count + 1):
            api.edit(policy(namespace, "base", deny(f"example.com/x{number}")))
            last, done_at = done_at, time.monotonic()
            pauses += done_at - last > PAUSE_S
            time.sleep(max(0.0, began + number / EDITS_PER_S - time.monotonic()))  # people's pace is what is tested
        edited_at = time.monotonic()

        until_text(api, namespace, f"example.com/x{count}", operator)
        until_programmed(api, namespace, operator)

        print(f"{count} edits in {edited_at - began:.1f} s, {time.monotonic() - edited_at:.1f} s later enforced")
        assert 1 <= len(set(pod.programmed)) <= 2 + pauses, "a machine that pauses ends a burst and begins another"
        assert pod.digest == digest_in(api.get(policy_file_ref(namespace)))


def test_a_pod_at_rest_is_not_asked_again(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    api.create(proxy(namespace, **QUICK))
    with running_pod(api, namespace) as pod:
        until_programmed(api, namespace, operator)
        asked = pod.asked

        api.edit(
            {**proxy(namespace, **QUICK), "metadata": {"namespace": namespace, "name": "go", "labels": {"a": "b"}}}
        )
        passes = operator.metric("reconcile_seconds_count") or 0
        until(lambda: (operator.metric("reconcile_seconds_count") or 0) > passes, "another pass", context=operator.tail)

        assert pod.asked == asked


def test_a_pod_that_refuses_the_file_is_named_with_its_own_error(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(policy(namespace, "base", deny("example.com/evil")))
    api.create(proxy(namespace, **QUICK))
    with running_pod(api, namespace) as pod:
        until_programmed(api, namespace, operator)
        pod.stubborn = True
        pod.refusal = {"message": "line 4, column 1: unknown attribute", "at": "2026-01-01T00:00:00Z", "digest": ""}

        api.edit(policy(namespace, "base", deny("example.com/worse")))

        body = until(
            lambda: (
                (found := api.get(proxy_ref(namespace)))
                and condition(found, "PolicyProgrammed").get("reason") == "RejectedByProxy"
                and found
            ),
            "RejectedByProxy",
            context=operator.tail,
        )
        assert "line 4, column 1: unknown attribute" in condition(body, "PolicyProgrammed")["message"]
        assert condition(body, "Stalled")["status"] == "True"


def test_an_unreachable_pod_makes_the_answer_unknown_and_not_wrong(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(proxy(namespace, **QUICK))
    with running_pod(api, namespace) as pod:
        until_programmed(api, namespace, operator)
        address = pod.address
    # the pod still counts as ready, and nobody answers at its address any more
    assert address
    api.create(policy(namespace, "base", deny("example.com/evil")))

    body = until(
        lambda: (
            (found := api.get(proxy_ref(namespace)))
            and condition(found, "PolicyProgrammed").get("status") == "Unknown"
            and found
        ),
        "PodsUnreachable",
        context=operator.tail,
    )

    assert condition(body, "PolicyProgrammed")["reason"] == "PodsUnreachable"
    assert condition(body, "Ready")["status"] == "True"


def test_a_missing_policy_keeps_the_last_good_file_even_when_that_file_is_deleted(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(policy(namespace, "named", deny("example.com/evil"), proxySelector=None))
    api.create(proxy(namespace, policyRefs=[{"name": "named"}]))
    good = until_text(api, namespace, "example.com/evil", operator)

    api.delete(POLICIES.ref(namespace, "named"))
    body = until(
        lambda: (
            (found := api.get(proxy_ref(namespace)))
            and condition(found, "PoliciesResolved").get("reason") == "PolicyNotFound"
            and found
        ),
        "PolicyNotFound",
        context=operator.tail,
    )
    assert "last good file" in condition(body, "PoliciesResolved")["message"]
    assert text(api, namespace) == good

    api.delete(policy_file_ref(namespace))
    until(lambda: text(api, namespace) == good, "the last good file is back", context=operator.tail)

    api.create(policy(namespace, "named", deny("example.com/evil"), proxySelector=None))
    until(
        lambda: condition(api.get(proxy_ref(namespace)), "PoliciesResolved").get("status") == "True",
        "the policy is found again",
        context=operator.tail,
    )
    assert text(api, namespace) == good


def test_no_pod_starts_before_its_policies_are_there(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    api.create(proxy(namespace, policyRefs=[{"name": "later"}]))
    until(
        lambda: condition(api.get(proxy_ref(namespace)), "Reconciling").get("reason") == "WaitingForPolicy",
        "WaitingForPolicy",
        context=operator.tail,
    )
    assert api.get(deployment_ref(namespace)) is None

    api.create(policy(namespace, "later", deny("example.com/evil"), proxySelector=None))

    until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=operator.tail)
    assert "example.com/evil" in text(api, namespace)


def test_cluster_policies_follow_the_labels_of_namespaces(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    guard = {
        "apiVersion": CLUSTER_POLICIES.api_version,
        "kind": CLUSTER_POLICIES.kind,
        "metadata": {"name": f"guard-{namespace}"},
        "spec": {
            "enforcement": "Mandatory",
            "namespaceSelector": {"matchLabels": {"guarded": namespace}},
            "rules": [deny("example.com/evil")],
        },
    }
    api.create(guard)
    api.create(proxy(namespace))
    until(lambda: text(api, namespace), "a file appears", context=operator.tail)
    assert "example.com/evil" not in text(api, namespace)
    labelled: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}

    api.edit({**labelled, "metadata": {"name": namespace, "labels": {"guarded": namespace}}})
    until_text(api, namespace, "example.com/evil", operator)

    api.edit({**labelled, "metadata": {"name": namespace, "labels": {"guarded": None}}})
    until(lambda: "example.com/evil" not in text(api, namespace), "the guard is gone", context=operator.tail)


def test_a_policy_that_stops_selecting_a_proxy_leaves_its_file(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(policy(namespace, "base", deny("example.com/evil")))
    api.create(proxy(namespace))
    until_text(api, namespace, "example.com/evil", operator)

    api.edit(policy(namespace, "base", deny("example.com/evil"), proxySelector={"matchLabels": {"other": "one"}}))

    until(lambda: "example.com/evil" not in text(api, namespace), "the rules are gone", context=operator.tail)


def test_a_burst_of_edits_ends_with_the_last_one(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    api.create(policy(namespace, "base", deny("example.com/x0")))
    api.create(proxy(namespace))
    until_text(api, namespace, "example.com/x0", operator)

    for number in range(1, 31):
        api.edit(policy(namespace, "base", deny(f"example.com/x{number}")))

    until_text(api, namespace, "example.com/x30", operator)
    managers = (api.get(policy_file_ref(namespace)) or {})["metadata"]["managedFields"]
    assert [entry["manager"] for entry in managers] == ["athens-operator"]


def test_a_policy_that_leads_back_to_its_proxy_is_refused_on_both_and_the_last_good_file_stays(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(policy(namespace, "base", deny("example.com/evil")))
    api.create(proxy(namespace))
    good = until_text(api, namespace, "example.com/evil", operator)
    loop = {
        "name": "big",
        "patterns": ["example.org/big"],
        "mode": "redirect",
        "downloadURL": f"http://go.{namespace}.svc",
    }

    api.edit(policy(namespace, "base", loop))

    body = until(
        lambda: (
            (found := api.get(proxy_ref(namespace)))
            and condition(found, "ConfigurationValid").get("reason") == "RedirectLoop"
            and found
        ),
        "RedirectLoop",
        context=operator.tail,
    )
    said = condition(body, "ConfigurationValid")["message"]
    assert f"{namespace}/base#big (Selected): downloadURL http://go.{namespace}.svc leads back to this proxy" in said
    assert text(api, namespace) == good
    until(
        lambda: condition(api.get(POLICIES.ref(namespace, "base")), "Programmed").get("reason") == "Held",
        "the policy says so, too",
        context=operator.tail,
    )
