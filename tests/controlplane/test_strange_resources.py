"""What hardly anybody writes and somebody will: the longest lists, and children that cannot change any more."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from athens_operator.manifests import Manifest, Ref
from athens_operator.resources import DEPLOYMENTS, DISRUPTION_BUDGETS, POLICIES, SERVICES
from support.kube_api import KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deny, deployment_ref, policy, policy_file_ref, proxy

MOST_RULES = 500
LONGEST_NAME = 63


def test_the_longest_policy_is_accepted_and_its_rules_of_one_name_are_told(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    names = [f"{number:03}-{'x' * (LONGEST_NAME - 4)}" for number in range(MOST_RULES - 1)]
    rules = [deny(f"example.com/{number}", name=name) for number, name in enumerate([*names, names[0]])]

    api.create(policy(namespace, "base", *rules))

    found = until(
        lambda: condition(api.get(POLICIES.ref(namespace, "base")), "Accepted"), "it is judged", context=operator.tail
    )
    assert (found["status"], found["reason"]) == ("False", "DuplicateRuleName")
    assert names[0] in found["message"]


def test_a_policy_file_that_somebody_made_immutable_follows_its_policies_all_the_same(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(policy(namespace, "base", deny("example.com/first")))
    api.create(proxy(namespace))
    ref = policy_file_ref(namespace)
    until(lambda: api.get(ref), "there is a file", context=operator.tail)
    api.edit({**address(ref), "immutable": True})

    api.edit(policy(namespace, "base", deny("example.com/second")))

    until(
        lambda: "example.com/second" in (api.get(ref) or {"data": {}})["data"].get("download.hcl", ""),
        "the file follows",
        context=operator.tail,
    )


RULES_OURS_OUT: list[tuple[Ref, Manifest, Manifest]] = [
    (
        SERVICES.ref("", "go"),
        {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "loadBalancerSourceRanges": ["192.0.2.0/24"]},
        {"type": "ClusterIP"},
    ),
    (
        DEPLOYMENTS.ref("", "go"),
        {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}},
        {"strategy": {"type": "Recreate"}},
    ),
    (
        DISRUPTION_BUDGETS.ref("", "go"),
        {"maxUnavailable": None, "minAvailable": 2},
        {"maxUnavailable": 1},
    ),
]
"""What somebody writes, and what stands there at last: both together are refused by Kubernetes."""


def test_a_change_that_rules_our_field_out_is_undone_as_any_other(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    s3 = {"type": "s3", "s3": {"bucket": namespace, "region": "eu-central-1"}}
    api.create(proxy(namespace, storage=s3, replicas=2, rollout={"strategy": "Recreate"}))
    changes = [(replace(ref, namespace=namespace), theirs, ours) for ref, theirs, ours in RULES_OURS_OUT]
    until(lambda: all(api.get(ref) for ref, _, _ in changes), "there are children", context=operator.tail)

    for ref, theirs, _ in changes:
        api.edit({**address(ref), "spec": theirs})

    for ref, theirs, ours in changes:
        until(partial(is_back, api, ref, theirs, ours), f"{ref} is as it was", context=operator.tail)


def test_a_volume_of_another_kind_is_put_right_and_what_is_set_meanwhile_can_be_taken_out_again(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """Kubernetes refuses a volume of two kinds; and what repairs it must own nothing afterwards."""
    body = proxy(namespace, extraEnv=[{"name": "A", "value": "1"}])
    api.create(body)
    ref = deployment_ref(namespace)
    until(lambda: api.get(ref), "there is a Deployment", context=operator.tail)

    theirs = api.call("PUT", DEPLOYMENTS.path(namespace=namespace, name="go"), policy_in_memory(api, ref))
    assert "emptyDir" in volumes(theirs)["policy"]
    until(lambda: "configMap" in volumes(api.get(ref))["policy"], "the file is mounted again", context=operator.tail)
    assert "A" in variables(api.get(ref))

    api.edit({**body, "spec": {"extraEnv": []}})
    until(lambda: "A" not in variables(api.get(ref)), "the variable is gone", context=operator.tail)


def policy_in_memory(api: KubeApi, ref: Ref) -> Manifest:
    """The Deployment with an empty folder in the place of the policy, and without the variable."""
    live = api.get(ref)
    assert live is not None
    pods = live["spec"]["template"]["spec"]
    others = [volume for volume in pods["volumes"] if volume["name"] != "policy"]
    pods["volumes"] = [*others, {"name": "policy", "emptyDir": {}}]
    container = pods["containers"][0]
    container["env"] = [entry for entry in container["env"] if entry["name"] != "A"]
    del live["metadata"]["resourceVersion"]
    return live


def volumes(deployment: Manifest | None) -> dict[str, Manifest]:
    assert deployment is not None
    return {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}


def variables(deployment: Manifest | None) -> set[str]:
    assert deployment is not None
    return {entry["name"] for entry in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}


def is_back(api: KubeApi, ref: Ref, theirs: Manifest, ours: Manifest) -> bool:
    """Whether our value stands and nothing is left of what somebody wrote beside it."""
    spec = (api.get(ref) or {"spec": {}})["spec"]
    foreign = {name for name, value in theirs.items() if value is not None} - ours.keys()
    return {name: spec.get(name) for name in ours} == ours and not foreign & spec.keys()


def address(ref: Ref) -> Manifest:
    return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"namespace": ref.namespace, "name": ref.name}}
