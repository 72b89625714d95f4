"""Several replicas, restarts and a failing API server: one writer, nothing lost, no crash loop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from athens_operator.manifests import Manifest
from athens_operator.resources import CONFIG_MAPS, LEASES, POLICIES, REPLICA_SETS
from support.controlplane import ControlPlane
from support.kube_api import KubeApi, until
from support.operator_process import OperatorProcess
from support.proxies import deny, deployment_ref, policy, policy_file_ref, proxy, proxy_ref, service_ref

LEASE = LEASES.ref("athens-operator", "athens-operator")


@pytest.fixture
def standby(operator: OperatorProcess, shipped_role: Path, tmp_path: Path) -> Iterator[OperatorProcess]:
    process = OperatorProcess(shipped_role, tmp_path / "standby.log", NAMESPACE="athens-operator", POD_NAME="second")
    try:
        process.start()
        until(lambda: process.probe("/readyz")[0] == 200, "the standby is ready", context=process.tail)
        yield process
    finally:
        process.stop()


def holder(api: KubeApi) -> str:
    return str((api.get(LEASE) or {})["spec"].get("holderIdentity", ""))


def policy_text(api: KubeApi, namespace: str) -> str:
    found: Manifest = api.get(policy_file_ref(namespace)) or {"data": {}}
    return str(found["data"].get("download.hcl", ""))


def test_a_standby_writes_nothing_and_takes_over_when_the_leader_stops(
    operator: OperatorProcess, standby: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(proxy(namespace))
    until(lambda: api.get(service_ref(namespace)), "the leader works", context=operator.tail)
    assert standby.metric("leader") == 0
    assert standby.writes() == 0
    assert holder(api) == "first"

    try:
        assert operator.stop() == 0
        standby.until_leading(within_s=15)
        assert holder(api) == "second"
        api.delete(service_ref(namespace))
        until(lambda: api.get(service_ref(namespace)), "the new leader works", context=standby.tail)
    finally:
        standby.stop()
        operator.start().until_leading()


def test_a_lease_that_moves_during_a_rollout_leads_to_one_rollout(
    operator: OperatorProcess, standby: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """The first operator ends between its writes; the second one finishes, and writes nothing a second time."""
    api.create(proxy(namespace))
    before = until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=operator.tail)

    api.edit(proxy(namespace, server={"logLevel": "debug"}))
    until(lambda: len(configurations(api, namespace)) == 2, "the rollout has begun", context=operator.tail)
    try:
        operator.stop()
        standby.until_leading(within_s=15)
        until(
            lambda: (api.get(proxy_ref(namespace)) or {}).get("status", {}).get("observedGeneration") == 2,
            "the second operator has judged the edit",
            context=standby.tail,
        )
        after = api.get(deployment_ref(namespace)) or {}
    finally:
        standby.stop()
        operator.start().until_leading()

    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert len(api.list(REPLICA_SETS, namespace)) <= 2
    assert (api.get(deployment_ref(namespace)) or {})["spec"] == after["spec"]
    assert len(configurations(api, namespace)) == 2


def configurations(api: KubeApi, namespace: str) -> set[str]:
    names = {body["metadata"]["name"] for body in api.list(CONFIG_MAPS, namespace)}
    return {name for name in names if name.startswith("go-config-")}


def test_a_leader_that_is_robbed_of_the_lease_ends_with_an_error(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    lease = {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"namespace": LEASE.namespace, "name": LEASE.name},
    }
    api.edit({**lease, "spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 1}})
    try:
        assert operator.wait() == 1
        assert "held by another process" in operator.tail()
    finally:
        operator.start().until_leading()


def test_what_changed_while_no_operator_ran_is_caught_up_with(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(policy(namespace, "base", deny("example.com/evil")))
    api.create(policy(namespace, "gone", deny("example.com/gone")))
    api.create(proxy(namespace))
    until(lambda: "example.com/gone" in policy_text(api, namespace), "the file is there", context=operator.tail)

    operator.kill()
    api.delete(POLICIES.ref(namespace, "gone"))
    api.edit(policy(namespace, "base", deny("example.com/worse")))
    api.delete(service_ref(namespace))
    operator.start().until_leading()

    until(lambda: "example.com/worse" in policy_text(api, namespace), "the edit is there", context=operator.tail)
    assert "example.com/gone" not in policy_text(api, namespace)
    until(lambda: api.get(service_ref(namespace)), "the Service is back", context=operator.tail)


def test_an_api_server_that_goes_away_and_comes_back_is_survived(
    operator: OperatorProcess, plane: ControlPlane, api: KubeApi, namespace: str
) -> None:
    """The leader may end for want of its Lease; the kubelet would start it again, as the test does."""
    api.create(proxy(namespace))
    until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=operator.tail)

    with operator.excused():
        plane.kill_apiserver()
        assert operator.probe("/healthz")[0] == 200
        plane.start_apiserver()
        api.create(policy(namespace, "base", deny("example.com/evil")))
        if operator.has_ended():
            operator.start()
        operator.until_leading(within_s=60)
    until(
        lambda: "example.com/evil" in policy_text(api, namespace),
        "the policy is there",
        within_s=60,
        context=operator.tail,
    )
