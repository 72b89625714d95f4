"""Whatever is wrong is said with a reason and a next step, and what runs keeps serving."""

from __future__ import annotations

import pytest

from demonstration.kubectl import Manifest, condition
from support.team import EPHEMERAL, Team, login

MODULE = "github.com/google/uuid@v1.6.0"


@pytest.fixture
def serving(team: Team) -> Team:
    """A proxy that runs; its storage lets a new pod start beside the old one."""
    team.apply_proxy(storage=EPHEMERAL)
    team.until_ready()
    return team


def message(proxy: Manifest, kind: str = "Ready") -> str:
    return condition(proxy, kind).get("message", "")


def still_serves(team: Team) -> bool:
    with team.client() as client:
        return client.run("mod", "download", MODULE).succeeded


def test_an_image_that_cannot_be_pulled_is_named_and_the_old_pod_serves_on(serving: Team) -> None:
    pods = serving.pods()
    serving.apply_proxy(storage=EPHEMERAL, image="registry.invalid/none:v1")
    stalled = serving.until(stalls, "the rollout to be given up")

    assert "registry.invalid/none:v1" in message(stalled)
    assert "spec.image" in message(stalled)
    assert condition(stalled, "Available")["status"] == "True"
    assert "registry.invalid/none:v1" in serving.until_event("RolloutStuck")
    assert pods.items() <= serving.pods().items()
    assert still_serves(serving)


def test_a_crashing_pod_is_quoted_and_the_old_one_serves_on(serving: Team) -> None:
    bad = [{"name": "ATHENS_PROXY_VALIDATOR", "value": "validator.example.com/hook"}]
    serving.apply_proxy(storage=EPHEMERAL, extraEnv=bad)
    stalled = serving.until(stalls, "the rollout to be given up")

    assert "ATHENS_PROXY_VALIDATOR" in message(stalled)
    assert condition(stalled, "Available")["status"] == "True"
    assert serving.until_event("RolloutStuck")
    assert still_serves(serving)


def test_a_correction_alone_ends_the_trouble(serving: Team) -> None:
    serving.apply_proxy(storage=EPHEMERAL, image="registry.invalid/none:v1")
    serving.until(lambda proxy: "cannot be pulled" in message(proxy), "the image to be reported")
    serving.apply_proxy(storage=EPHEMERAL, image=serving.images.proxy)

    assert condition(serving.until_ready(), "Stalled") == {}


def test_a_missing_secret_is_named_and_the_old_pod_serves_on(team: Team) -> None:
    """On a volume for one pod at a time, where the old pod would have to end before a new one starts."""
    team.apply_proxy()
    team.until_ready()
    pods = team.pods()
    team.apply_proxy(auth={"basic": {"secretRef": {"name": "login"}}})
    waiting = team.until_condition("SecretsResolved", "False", "SecretNotFound")

    assert "login" in message(waiting)
    assert condition(waiting, "Reconciling")["reason"] == "WaitingForSecret"
    assert "login" in team.until_event("SecretMissing")
    assert still_serves(team)
    assert team.pods() == pods


def test_a_secret_that_appears_is_taken_up(team: Team) -> None:
    team.apply_proxy(storage=EPHEMERAL, auth={"basic": {"secretRef": {"name": "login"}}})
    team.until_condition("SecretsResolved", "False", "SecretNotFound")
    team.kubectl.apply(login(team.namespace))
    asked = {"athensproxy.dev/requestedAt": "now"}
    team.kubectl.patch("athp", "go", team.namespace, {"metadata": {"annotations": asked}})

    team.until_ready()


def test_a_missing_claim_is_named_and_the_old_pod_serves_on(serving: Team) -> None:
    pods = serving.pods()
    serving.apply_proxy(storage={"type": "disk", "disk": {"existingClaim": "shelf"}})
    waiting = serving.until_condition("StorageReady", "False", "ClaimNotFound")

    assert "shelf" in message(waiting)
    assert "existingClaim" in message(waiting)
    assert "shelf" in serving.until_event("ClaimNotFound")
    assert still_serves(serving)
    assert serving.pods() == pods


def stalls(proxy: Manifest) -> bool:
    return condition(proxy, "Stalled").get("status") == "True"
