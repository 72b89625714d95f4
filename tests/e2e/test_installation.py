"""Both ways to install lead to the same operator, may be repeated and may follow one another."""

from __future__ import annotations

import pytest

from demonstration.installation import INSTALL, NAMESPACE, RELEASE, Way, install
from demonstration.kubectl import Kubectl
from demonstration.tools import Images
from support.team import EPHEMERAL, Team, login


@pytest.mark.alone
def test_the_plain_manifest_can_be_applied_twice_and_the_operator_works(
    kubectl: Kubectl, images: Images, team: Team
) -> None:
    install(kubectl, images, Way.MANIFESTS, print)
    again = kubectl.apply_file(INSTALL)
    install(kubectl, images, Way.MANIFESTS, print)
    team.apply_proxy(storage=EPHEMERAL)
    team.until_ready()

    assert "athensproxies.athensproxy.dev" in again
    install(kubectl, images, Way.HELM, print)


@pytest.mark.alone
def test_an_upgrade_without_a_change_restarts_neither_operator_nor_proxies(
    kubectl: Kubectl, images: Images, team: Team
) -> None:
    team.apply_proxy(storage=EPHEMERAL)
    team.until_ready()
    before = (operator_pods(kubectl), team.pods())
    install(kubectl, images, Way.HELM, print)

    assert (operator_pods(kubectl), team.pods()) == before


@pytest.mark.alone
def test_the_operator_runs_under_the_restricted_profile_and_its_roles_suffice(kubectl: Kubectl, team: Team) -> None:
    """A missing right would show in the operator's log as a refusal of its service account."""
    kubectl.run("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    kubectl.run("rollout", "restart", f"deployment/{RELEASE}", "--namespace", NAMESPACE)
    kubectl.run("rollout", "status", f"deployment/{RELEASE}", "--namespace", NAMESPACE, deadline_s=120)
    team.kubectl.apply(login(team.namespace))
    team.apply_proxy(auth={"basic": {"secretRef": {"name": "login"}}})
    team.apply_policy()
    team.until_ready()
    log = kubectl.run("logs", f"deployment/{RELEASE}", "--namespace", NAMESPACE, "--tail=-1")

    assert [line for line in log.splitlines() if "system:serviceaccount" in line and "cannot" in line] == []


def test_what_may_be_asked_of_the_cluster_is_served_under_short_names(kubectl: Kubectl, team: Team) -> None:
    team.apply_proxy(storage=EPHEMERAL)
    team.until_ready()
    header, row = kubectl.run("get", "athp", "--namespace", team.namespace).splitlines()

    assert header.split()[:8] == ["NAME", "READY", "PHASE", "REPLICAS", "VERSION", "STORAGE", "POLICY", "PROGRAMMED"]
    assert row.split()[:3] == ["go", "True", "Ready"]
    assert "1/1" in row.split()


def operator_pods(kubectl: Kubectl) -> set[str]:
    pods = kubectl.items("pods", NAMESPACE, selector="app.kubernetes.io/component=operator")
    return {pod["metadata"]["uid"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}
