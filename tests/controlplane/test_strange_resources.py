"""What hardly anybody writes and somebody will: the longest lists, and children that cannot change any more."""

from __future__ import annotations

from athens_operator.manifests import Manifest, Ref
from athens_operator.resources import POLICIES
from support.kube_api import KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deny, policy, policy_file_ref, proxy

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


def address(ref: Ref) -> Manifest:
    return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"namespace": ref.namespace, "name": ref.name}}
