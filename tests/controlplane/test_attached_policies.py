"""Which policies reach which proxy, who agreed to it, and what becomes of a commit that cannot be rendered."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from athens_operator.manifests import Manifest
from athens_operator.resources import CLUSTER_POLICIES, EVENTS, POLICIES, PROXIES
from athens_policy.model import MAX_BLOCKS, MAX_BYTES
from support.fake_pods import digest_in, running_pod
from support.kube_api import KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deny, policy, policy_file_ref, proxy, proxy_ref

PATTERNS_OF_A_RULE = 32


def text(api: KubeApi, namespace: str, name: str = "go") -> str:
    found = api.get(policy_file_ref(namespace, name))
    return str(found["data"]["download.hcl"]) if found else ""


def until_text(api: KubeApi, namespace: str, part: str, operator: OperatorProcess) -> str:
    found: str = until(
        lambda: part in text(api, namespace) and text(api, namespace), f"{part!r} in the file", context=operator.tail
    )
    return found


def until_condition(api: KubeApi, namespace: str, kind: str, reason: str, operator: OperatorProcess) -> dict[str, Any]:
    found: dict[str, Any] = until(
        lambda: held if (held := condition(api.get(proxy_ref(namespace)), kind)).get("reason") == reason else None,
        f"{kind} has the reason {reason}",
        context=operator.tail,
    )
    return found


def test_a_proxy_that_is_relabelled_changes_its_policies(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    for team in ("red", "blue"):
        chosen = {"matchLabels": {"team": team}}
        api.create(policy(namespace, team, deny(f"example.com/{team}"), proxySelector=chosen))
    api.create(proxy(namespace, labels={"team": "red"}))
    assert "example.com/blue" not in until_text(api, namespace, "example.com/red", operator)

    metadata = {"namespace": namespace, "name": "go", "labels": {"team": "blue"}}
    api.edit({"apiVersion": PROXIES.api_version, "kind": PROXIES.kind, "metadata": metadata})

    assert "example.com/red" not in until_text(api, namespace, "example.com/blue", operator)


def test_a_policy_of_another_namespace_applies_while_both_sides_agree(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """Once it is no longer shared its last file stays, and the status says so."""
    platform = f"{namespace}-platform"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": platform}})
    shared = {"from": "Selector", "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    api.create(policy(platform, "guard", deny("example.com/evil"), proxySelector=None))
    api.create(proxy(namespace, policyRefs=[{"name": "guard", "namespace": platform}]))
    refused = until_condition(api, namespace, "PoliciesResolved", "NotShared", operator)
    assert text(api, namespace) == ""

    api.edit(policy(platform, "guard", deny("example.com/evil"), shareWith=shared))
    good = until_text(api, namespace, "example.com/evil", operator)
    until_condition(api, namespace, "PoliciesResolved", "Resolved", operator)

    api.edit(policy(platform, "guard", deny("example.com/worse"), shareWith=None))
    revoked = until_condition(api, namespace, "PoliciesResolved", "NotShared", operator)

    assert f"{platform}/guard" in refused["message"]
    assert "last good file" in revoked["message"]
    assert text(api, namespace) == good
    until(
        lambda: any(body["reason"] == "NotShared" for body in api.list(EVENTS, namespace)),
        "an Event tells",
        context=operator.tail,
    )


def test_a_commit_that_cannot_be_rendered_changes_nothing_and_its_revert_gives_the_same_digest(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """Pods are not told of anything, GitOps tools see a failure and, after the revert, the object as it was."""
    api.create(policy(namespace, "base", deny("example.com/evil")))
    api.create(proxy(namespace, rollout={"minReadySeconds": 0}))
    with running_pod(api, namespace) as pod:
        until_condition(api, namespace, "Ready", "Running", operator)
        good, digest = text(api, namespace), pod.digest

        api.edit(policy(namespace, "base", {**deny("example.com/evil"), "versions": ">=v2.0.0 <v1.0.0"}))
        failed = until_condition(api, namespace, "ConfigurationValid", "InvalidRule", operator)
        held = api.get(proxy_ref(namespace))
        rejected = until(
            lambda: condition(api.get(POLICIES.ref(namespace, "base")), "Stalled").get("status") == "True",
            "the policy is red as well",
            context=lambda: (api.get(POLICIES.ref(namespace, "base")) or {}).get("status"),
        )
        assert text(api, namespace) == good

        api.edit(policy(namespace, "base", deny("example.com/evil")))
        until_condition(api, namespace, "ConfigurationValid", "Valid", operator)
        until_condition(api, namespace, "Ready", "Running", operator)

    assert rejected
    assert "base#no" in failed["message"]
    assert condition(held, "Stalled")["status"] == "True"
    assert condition(held, "Available")["status"] == "True"
    assert text(api, namespace) == good
    assert pod.programmed == []
    assert digest_in(api.get(policy_file_ref(namespace))) == digest


def padded(by: int) -> list[Manifest]:
    """Rules of as many blocks as a file may have, whose patterns have that many characters more than they need."""
    longer, rest = divmod(by, MAX_BLOCKS)
    patterns = [f"example.com/{n:04}{'x' * (longer + (n < rest))}" for n in range(MAX_BLOCKS)]
    grouped = [patterns[first : first + PATTERNS_OF_A_RULE] for first in range(0, MAX_BLOCKS, PATTERNS_OF_A_RULE)]
    return [{"name": f"n{number}", "patterns": group, "mode": "sync"} for number, group in enumerate(grouped)]


def test_a_file_of_the_largest_size_is_written_and_one_byte_more_is_not(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """Of as many blocks as a file may have, too."""
    api.create(policy(namespace, "base", *padded(0)))
    api.create(proxy(namespace))
    room = MAX_BYTES - len(until_text(api, namespace, "example.com/1999", operator))
    api.edit(policy(namespace, "base", *padded(room)))
    largest = until_text(api, namespace, "example.com/1999x", operator)
    until_condition(api, namespace, "ConfigurationValid", "Valid", operator)

    api.edit(policy(namespace, "base", *padded(room + 1)))
    refused = until_condition(api, namespace, "ConfigurationValid", "Oversize", operator)

    assert len(largest) == MAX_BYTES
    assert largest.count("download ") == MAX_BLOCKS
    assert str(MAX_BYTES) in refused["message"].replace(",", "")
    assert text(api, namespace) == largest


def test_both_sides_of_a_conflict_name_it(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    """A duplicate, a conflict, a shadowed and an unreachable rule, in the status of the proxy and of the policies."""
    first = [deny("example.com/a", name="a"), deny("example.com/b", name="b"), deny("example.com/c", name="c")]
    later = [
        deny("example.com/a", name="again"),
        {**deny("example.com/b", name="otherwise"), "mode": "sync"},
        deny("example.com/c/below", name="below"),
        deny("localhost/x", name="never"),
    ]
    api.create(policy(namespace, "first", *first, priority=2))
    api.create(policy(namespace, "later", *later, priority=1))
    api.create(proxy(namespace))
    losers = until(
        lambda: ((api.get(proxy_ref(namespace)) or {}).get("status") or {}).get("policy", {}).get("conflicts"),
        "conflicts are listed",
        context=operator.tail,
    )
    until(
        lambda: condition(api.get(POLICIES.ref(namespace, "later")), "Conflicted").get("status") == "True",
        "the policy says so",
        context=lambda: (api.get(POLICIES.ref(namespace, "later")) or {}).get("status"),
    )

    classes = {
        (loser["class"], loser["rule"].partition("#")[2], loser.get("by", "").partition("#")[2]) for loser in losers
    }
    assert classes >= {("Duplicate", "again", "a"), ("Conflict", "otherwise", "b"), ("Shadowed", "below", "c")}
    for kind in ("AthensProxy", "DownloadPolicy"):
        until(partial(told_of_conflict, api, namespace, kind), f"an Event tells of the {kind}", context=operator.tail)


def told_of_conflict(api: KubeApi, namespace: str, kind: str) -> bool:
    events = api.list(EVENTS, namespace)
    return any(body["reason"] == "PolicyConflict" and body["regarding"]["kind"] == kind for body in events)


def test_the_same_objects_made_again_in_another_order_give_the_same_bytes(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """All tiers and the default, each from two objects."""
    label = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    made: list[Manifest] = [
        proxy(namespace, download={"rules": [deny("example.com/inline")]}, policyRefs=[{"name": "z"}, {"name": "y"}])
    ]
    for name in ("b", "a"):
        made.append(policy(namespace, name, deny(f"example.com/selected-{name}"), defaultMode="none"))
        made.append(policy(namespace, f"{name}-first", deny(f"example.com/first-{name}"), priority=7))
        for enforcement in ("Mandatory", "Default"):
            metadata = {"name": f"{namespace}-{enforcement.lower()}-{name}"}
            rules = [deny(f"example.com/{enforcement.lower()}-{name}")]
            spec = {"enforcement": enforcement, "namespaceSelector": label, "rules": rules}
            kind = {"apiVersion": CLUSTER_POLICIES.api_version, "kind": CLUSTER_POLICIES.kind}
            made.append({**kind, "metadata": metadata, "spec": spec})
    made += [policy(namespace, name, deny(f"example.com/named-{name}"), proxySelector=None) for name in ("y", "z")]
    shuffled = random.Random(namespace)
    files = []
    for _ in range(2):
        shuffled.shuffle(made)
        for manifest in made:
            api.create(manifest)
        until(lambda: text(api, namespace).count("download ") == 11, "all rules are there", context=operator.tail)
        files.append(text(api, namespace))
        for manifest in made:
            resource = {kind.kind: kind for kind in (PROXIES, POLICIES, CLUSTER_POLICIES)}[manifest["kind"]]
            api.delete(resource.ref(namespace, manifest["metadata"]["name"]))
        until(lambda: not api.get(policy_file_ref(namespace)), "the file is gone", within_s=60)

    order = [
        line.split('"')[1].removeprefix("example.com/")
        for line in files[0].splitlines()
        if line.startswith("download ")
    ]
    assert files[0] == files[1]
    assert order == [
        "mandatory-a",
        "mandatory-b",
        "inline",
        "named-z",
        "named-y",
        "first-a",
        "first-b",
        "selected-a",
        "selected-b",
        "default-a",
        "default-b",
    ]
