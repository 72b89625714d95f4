"""Every way in which an API server and the network before it fail: the operator recovers by itself and says the truth.

A proxy in front of the real API server injects the faults. The operator runs with shortened time-outs. Every run takes
the faults that differ in kind; `FAULTS=all` adds their variations, and `OUTAGE_S` makes outages longer, beyond what a
leader survives without a restart.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from athens_operator.manifests import Manifest
from athens_operator.resources import POLICIES
from support.api_front import Answer, ApiFront, Asked, Fault, Torn, healthy
from support.controlplane import ControlPlane
from support.installation import OPERATOR_NAMESPACE, install_crds, kubeconfig_for
from support.kube_api import CRD, KubeApi, Refused, until
from support.operator_process import OperatorProcess
from support.proxies import deny, deployment_ref, policy, policy_file_ref, proxy
from support.tree import ROOT

OUTAGE_S = float(os.environ.get("OUTAGE_S", "1.5"))
ALL = os.environ.get("FAULTS") == "all"
TEAM = "cut-off"


@pytest.fixture(scope="module")
def front(plane: ControlPlane) -> Iterator[ApiFront]:
    with ApiFront(plane.url, plane.ca) as front:
        yield front


@pytest.fixture(scope="module")
def behind(
    front: ApiFront, plane: ControlPlane, api: KubeApi, shipped_role: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator that reaches the API server through the front alone, with one proxy to look after."""
    assert shipped_role.exists()
    folder = tmp_path_factory.mktemp("behind")
    kubeconfig = kubeconfig_for(plane, api, folder / "kubeconfig", server=front.url)
    process = OperatorProcess(
        kubeconfig,
        folder / "operator.log",
        NAMESPACE=OPERATOR_NAMESPACE,
        POD_NAME="behind",
        WATCH_SILENCE="2",
        COMPARE_EVERY="5",
    )
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}})
    api.create(proxy(TEAM))
    api.create(policy(TEAM, "base", deny("example.com/first")))
    try:
        yield process.start().until_leading()
    finally:
        process.stop()


def text(api: KubeApi) -> str:
    found: str = ((api.get(policy_file_ref(TEAM)) or {}).get("data") or {}).get("download.hcl", "")
    return found


def until_text(behind: OperatorProcess, api: KubeApi, holds: Callable[[str], bool], what: str) -> None:
    """Wait until the file is as it should be; an operator that ended for want of its Lease is started again."""

    def look() -> bool:
        if behind.has_ended():
            behind.start()
        return holds(text(api))

    until(look, what, within_s=90, context=behind.tail)
    until(lambda: is_healthy(behind), "it calls itself healthy", context=lambda: behind.probe("/healthz"))


def until_enforced(behind: OperatorProcess, api: KubeApi, pattern: str) -> None:
    until_text(behind, api, lambda found: pattern in found, f"{pattern} is in the file")


def is_healthy(behind: OperatorProcess) -> bool:
    """Whether the probe would let it live; a leader that could not renew its Lease has ended by itself."""
    return behind.has_ended() or behind.probe("/healthz")[0] == 200


def during(
    front: ApiFront, judge: Callable[[Asked], Fault | None], *, for_s: float, act: Callable[[], object]
) -> tuple[int, float]:
    """Act while requests are judged, for at least that long and until something was judged faulty; how often, in s."""
    began, front.faults, front.fault = time.monotonic(), 0, judge
    front.cut_streams()
    act()
    until(lambda: front.faults and time.monotonic() - began > for_s, "something went wrong", within_s=for_s + 60)
    front.fault = healthy
    return front.faults, time.monotonic() - began


def change(api: KubeApi, pattern: str) -> Callable[[], Manifest]:
    return lambda: api.edit(policy(TEAM, "base", deny(pattern)))


def everything(fault: Fault) -> Callable[[Asked], Fault]:
    return lambda _: fault


def watches(fault: Fault) -> Callable[[Asked], Fault | None]:
    return lambda asked: fault if asked.is_watch else None


def writes(fault: Fault) -> Callable[[Asked], Fault | None]:
    return lambda asked: fault if asked.is_work else None


def test_watches_that_fall_silent_are_opened_again(front: ApiFront, behind: OperatorProcess, api: KubeApi) -> None:
    until_enforced(behind, api, "example.com/first")

    front.mute_streams()
    change(api, "example.com/silent")()

    until_enforced(behind, api, "example.com/silent")


@pytest.mark.parametrize("code", [410, *([500] if ALL else [])])
def test_a_policy_that_was_deleted_unseen_leaves_no_ghost_when_streams_end(
    front: ApiFront, behind: OperatorProcess, api: KubeApi, code: int
) -> None:
    """What was deleted is never said: the streams list again, or begin anew, and only what exists comes."""
    api.create(policy(TEAM, "ghost", deny("example.com/ghost")))
    until_enforced(behind, api, "example.com/ghost")

    front.mute_streams()
    api.delete(POLICIES.ref(TEAM, "ghost"))
    front.fail_streams(code)

    until_text(behind, api, lambda found: "example.com/ghost" not in found, "no ghost policy")
    change(api, f"example.com/after-{code}")()
    until_enforced(behind, api, f"example.com/after-{code}")


FAULTS: dict[str, tuple[Callable[[Asked], Fault | None], float]] = {
    "down": (everything(Answer(503, reason="ServiceUnavailable")), OUTAGE_S),
    "torn": (everything(Torn()), OUTAGE_S),
    "watch-gone": (watches(Answer(410, reason="Expired")), 0.0),
}
VARIATIONS: dict[str, tuple[Callable[[Asked], Fault | None], float]] = {
    "watch-not-found": (watches(Answer(404, reason="NotFound")), 0.0),
    "forbidden": (everything(Answer(403, reason="Forbidden")), OUTAGE_S),
}


@pytest.mark.parametrize("name", [*FAULTS, *(VARIATIONS if ALL else ())])
def test_what_changed_meanwhile_is_caught_up_with(
    front: ApiFront, behind: OperatorProcess, api: KubeApi, name: str
) -> None:
    """An API server that fails is no reason to restart, so the probe stays green."""
    judge, for_s = (FAULTS | VARIATIONS)[name]

    def act() -> None:
        change(api, f"example.com/{name}")()
        until(lambda: is_healthy(behind), "it calls itself healthy meanwhile", context=behind.tail)

    during(front, judge, for_s=for_s, act=act)

    until_enforced(behind, api, f"example.com/{name}")


def test_a_server_that_asks_for_patience_is_not_pressed(front: ApiFront, behind: OperatorProcess, api: KubeApi) -> None:
    tries, took_s = during(
        front,
        writes(Answer(429, {"Retry-After": "1"}, "TooManyRequests")),
        for_s=2.5,
        act=change(api, "example.com/patience"),
    )

    until_enforced(behind, api, "example.com/patience")
    assert tries <= 8 * took_s / 2.5  # without the pause it would be hundreds


@pytest.mark.parametrize("plural", ["downloadpolicies", *(["athensproxies"] if ALL else [])])
def test_a_kind_that_is_deleted_and_comes_back_is_served_again(
    behind: OperatorProcess, api: KubeApi, plural: str
) -> None:
    crd = yaml.safe_load((ROOT / f"crds/{plural}.yaml").read_text())
    api.delete(CRD.ref("", crd["metadata"]["name"]))

    def created() -> bool:
        try:
            install_crds(api, crd)
        except Refused as error:
            if error.status != 409:
                raise
            return False
        return True

    until(created, "the kind can be created again", within_s=60)
    if plural == "athensproxies":
        until(lambda: api.get(deployment_ref(TEAM)) is None, "the children are gone", within_s=60)
        api.create(proxy(TEAM))
        until(lambda: api.get(deployment_ref(TEAM)), "the Deployment is back", within_s=60, context=behind.tail)
        change(api, "example.com/again")()
    else:
        api.create(policy(TEAM, "base", deny("example.com/again")))
    until_enforced(behind, api, "example.com/again")
