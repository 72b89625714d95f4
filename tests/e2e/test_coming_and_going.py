"""Operators, proxies, Secrets and places for pods that go and come back."""

from __future__ import annotations

import os

import pytest

from demonstration.installation import NAMESPACE, RELEASE, Way, install
from demonstration.kubectl import Kubectl, condition
from demonstration.tools import CLUSTER, Images, run
from support.team import EPHEMERAL, Team, login

CACHED = "github.com/google/uuid@v1.6.0"
FRESH = "github.com/pkg/errors@v0.9.1"
STORED_ALONE = {"name": "stored", "patterns": ["*"], "mode": "none"}
REQUESTED_AT = "athensproxy.dev/requestedAt"


def served(team: Team, module: str) -> bool:
    with team.client() as client:
        return client.run("mod", "download", module).succeeded


@pytest.mark.alone
def test_an_uninstalled_operator_takes_nothing_with_it_and_a_new_one_restarts_no_pod(
    kubectl: Kubectl, images: Images, team: Team
) -> None:
    team.apply_proxy(storage=EPHEMERAL)
    team.until_ready()
    before = team.pods()
    helm = run([CLUSTER, "tool", "helm"], print)
    try:
        run([helm, "--kubeconfig", str(kubectl.kubeconfig), "uninstall", RELEASE, "-n", NAMESPACE, "--wait"], print)
        alone = served(team, CACHED)
        kept = kubectl.get("athp", "go", team.namespace)
    finally:
        install(kubectl, images, Way.HELM, print)
    team.apply_policy(STORED_ALONE)
    team.until_policy_programmed()

    assert alone
    assert kept is not None
    assert team.pods() == before
    assert not served(team, FRESH)


if os.environ.get("ATHENS_TEST_FULL"):  # without pods, that the claim is taken over is always tested

    def test_a_proxy_that_is_made_again_serves_what_the_one_before_it_stored(team: Team) -> None:
        """Mode `none` serves what is stored and fetches nothing, so only the kept volume can answer."""
        team.apply_proxy()
        team.until_ready()
        assert served(team, CACHED)

        team.kubectl.run("delete", "athp", "go", "--namespace", team.namespace, "--cascade=foreground", deadline_s=90)
        team.apply_proxy()
        team.apply_policy(STORED_ALONE)
        team.until_ready()
        team.until_policy_programmed()

        assert served(team, CACHED)
        assert not served(team, FRESH)


def test_a_secret_that_goes_later_stops_no_pod_and_is_taken_up_when_it_is_back(team: Team) -> None:
    team.kubectl.apply(login(team.namespace))
    team.apply_proxy(storage=EPHEMERAL, auth={"basic": {"secretRef": {"name": "login"}}})
    team.until_ready()
    before = team.pods()

    team.kubectl.run("delete", "secret", "login", "--namespace", team.namespace)
    look(team, "gone")
    waiting = team.until_condition("SecretsResolved", "False", "SecretNotFound")
    during = team.pods()
    team.kubectl.apply(login(team.namespace))
    look(team, "back")
    team.until_ready()

    assert condition(waiting, "Available")["status"] == "True"
    assert during == before
    assert team.pods() == before


def look(team: Team, nonce: str) -> None:
    """Ask the operator to look now; it would within two minutes."""
    team.kubectl.patch("athp", "go", team.namespace, {"metadata": {"annotations": {REQUESTED_AT: nonce}}})


def test_a_pod_that_no_node_takes_is_told_with_the_field_to_change(team: Team) -> None:
    team.apply_proxy(storage=EPHEMERAL, scheduling={"nodeSelector": {"example.com/disk": "none"}})

    said = condition(team.until_condition("Available", "False", "Unschedulable"), "Available")["message"]

    assert "no node takes pod go-" in said
    assert "spec.scheduling" in said


def test_a_store_that_is_not_there_is_told_with_the_setting_to_check(team: Team) -> None:
    where = {"bucket": "modules", "region": "eu", "endpoint": "http://store:9000", "forcePathStyle": True}
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "p1anted"}
    metadata = {"name": "keys", "namespace": team.namespace}
    team.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys})
    team.apply_proxy(storage={"type": "s3", "s3": {**where, "credentialsSecretRef": {"name": "keys"}}})

    found = team.until_condition("Available", "False", "CrashLooping")

    said = condition(found, "Available")["message"]
    assert "s3 bucket modules" in said
    assert "check the endpoint" in said
    assert "p1anted" not in str(found["status"])
