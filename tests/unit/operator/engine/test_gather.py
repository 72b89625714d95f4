"""What a pass knows before it renders: the file when policies cannot be used, and which Secrets replace pods."""

from __future__ import annotations

import base64
from typing import Any

from athens_operator.advisories import AdvisoryReader
from athens_operator.cache import Cache
from athens_operator.desired.configuration import policy_config_map
from athens_operator.desired.workload import INPUTS_HASH
from athens_operator.gather import Gatherer
from athens_operator.manifests import Manifest
from athens_operator.secrets import SecretReader
from athens_operator.settings import Settings
from athens_operator.spec import AthensProxy
from athens_operator.status_checks import policies_resolved
from athens_operator.status_observed import Observed
from athens_policy.decide import digest
from athens_policy.model import Mode
from athens_policy.parse import parse
from support.fake_cluster import FakeCluster
from support.operator_values import INPUTS, proxy_value

LAST_GOOD = 'mode = "sync"\ndownloadURL = ""\n'
MISSING_POLICY: dict[str, Any] = {"policyRefs": [{"name": "gone"}]}
LOGIN: dict[str, Any] = {"auth": {"basic": {"secretRef": {"name": "users"}}}}


def gatherer(cluster: FakeCluster, cache: Cache) -> Gatherer:
    return Gatherer(
        cluster, cache, SecretReader(cluster, namespace="ops", allowed=True), Settings(), AdvisoryReader(cluster)
    )


def with_last_good(proxy: AthensProxy) -> Cache:
    cache = Cache()
    body = policy_config_map(proxy, LAST_GOOD, INPUTS)
    body["metadata"] |= {"uid": "u-policy", "resourceVersion": "1"}
    cache.put(body)
    return cache


async def test_the_last_good_file_stays_while_a_policy_is_missing() -> None:
    proxy = proxy_value(MISSING_POLICY)
    policy = (await gatherer(FakeCluster(), with_last_good(proxy)).gather(proxy)).policy

    assert (policy.text, policy.kept_last_good, policy.closed) == (LAST_GOOD, True, False)


async def test_fail_closed_refuses_everything_while_a_policy_is_missing_and_says_so() -> None:
    proxy = proxy_value({**MISSING_POLICY, "onError": "FailClosed"})
    gathered = await gatherer(FakeCluster(), with_last_good(proxy)).gather(proxy)
    policy = gathered.policy
    assert policy.text is not None
    file = parse(policy.text)
    condition = policies_resolved(proxy, Observed(inputs=gathered.inputs, policy=policy))

    assert [(block.pattern.text, block.mode) for block in file.blocks] == [("*", Mode.DENY)]
    assert (file.mode, policy.digest) == (Mode.NONE, digest(policy.text.encode()))
    assert "fail-closed" in file.blocks[0].name
    assert condition.message.endswith("every module is refused until then, because spec.onError is FailClosed")


async def test_fail_closed_starts_nothing_before_the_first_file() -> None:
    proxy = proxy_value({**MISSING_POLICY, "onError": "FailClosed"})

    assert (await gatherer(FakeCluster(), Cache()).gather(proxy)).policy.text is None


def users(password: str) -> Manifest:
    data = {"username": "YW5u", "password": base64.b64encode(password.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "team-a", "name": "users"}, "data": data}


def running_with(proxy: AthensProxy, secrets_hash: str) -> Cache:
    """A cache with the Deployment of a proxy that was started with these Secrets."""
    cache = Cache()
    owner = {"uid": proxy.uid, "controller": True, "kind": "AthensProxy", "name": proxy.name}
    metadata = {
        "namespace": proxy.namespace,
        "name": proxy.name,
        "uid": "u-deployment",
        "resourceVersion": "1",
        "labels": {"athensproxy.dev/proxy": proxy.name},
        "ownerReferences": [owner],
    }
    template = {"metadata": {"annotations": {INPUTS_HASH: secrets_hash}}}
    cache.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"template": template}})
    return cache


async def test_a_new_value_replaces_pods_unless_the_spec_says_to_ignore_it() -> None:
    cluster = FakeCluster()
    cluster.put(users("old"))
    first = (await gatherer(cluster, Cache()).gather(proxy_value(LOGIN))).inputs.secrets_hash
    cluster.put(users("new"))
    restarting = proxy_value(LOGIN)
    ignoring = proxy_value({**LOGIN, "rollout": {"secretChange": "Ignore"}})
    restarted = await gatherer(cluster, running_with(restarting, first)).gather(restarting)
    ignored = await gatherer(cluster, running_with(ignoring, first)).gather(ignoring)

    assert first
    assert (restarted.rotates_secrets, restarted.inputs.secrets_hash != first) == (True, True)
    assert (ignored.rotates_secrets, ignored.inputs.secrets_hash) == (False, first)


async def test_a_list_to_prefetch_that_is_missing_is_told_and_holds_back_no_pod() -> None:
    """Nor does it replace any once it is there."""
    prefetching = proxy_value({**LOGIN, "prefetch": {"goSumConfigMapRef": {"name": "build"}}})
    cluster = FakeCluster()
    cluster.put(users("x"))
    without = await gatherer(cluster, Cache()).gather(prefetching)
    metadata = {"namespace": "team-a", "name": "build"}
    cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"go.sum": ""}})
    there = await gatherer(cluster, running_with(prefetching, without.inputs.secrets_hash)).gather(prefetching)

    assert [found.reference.path for found in without.secrets.missing] == ["spec.prefetch.goSumConfigMapRef"]
    assert (without.may_start_pods, there.may_start_pods) == (True, True)
    assert (there.secrets.missing, there.rotates_secrets) == ((), False)
    assert without.inputs.secrets_hash


async def test_a_login_that_is_missing_holds_back_every_pod() -> None:
    assert not (await gatherer(FakeCluster(), Cache()).gather(proxy_value(LOGIN))).may_start_pods
