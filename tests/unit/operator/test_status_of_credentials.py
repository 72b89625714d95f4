"""What a status says of credentials: the worst that a pod reports, why, and what to do; Ready does not depend on it."""

from __future__ import annotations

from typing import Any

import pytest

from athens_operator.credential_states import reports_in
from athens_operator.status import status_of
from athens_operator.status_observed import CredentialReport, CredentialState
from support.observations import NOW, condition_of, observed
from support.operator_values import MEMORY, proxy_value

NETRC = {"name": "git", "type": "netrc", "secretRef": {"name": "git-login"}}
CONFIG = {"name": "rules", "type": "gitConfig", "secretRef": {"name": "git-config"}}


def told(state: str, name: str = "git", **more: str) -> CredentialReport:
    return CredentialReport(name, CredentialState(state), **more)


def status(*pods: tuple[CredentialReport, ...], credentials: tuple[dict[str, Any], ...] = (NETRC,)) -> dict[str, Any]:
    proxy = proxy_value({"storage": MEMORY, "credentials": list(credentials)})
    said = {f"go-{number}": reports for number, reports in enumerate(pods)}
    return status_of(proxy, observed(proxy, credentials=said), NOW)


def test_without_credentials_nothing_is_said() -> None:
    found = status(credentials=())

    assert "credentials" not in found
    assert "CredentialsReady" not in [entry["type"] for entry in found["conditions"]]


def test_an_accepted_credential_is_shown_with_its_end() -> None:
    found = status((told("Valid", expires="2027-02-01T00:00:00Z"),))

    assert found["credentials"] == [{"name": "git", "state": "Valid", "expires": "2027-02-01T00:00:00Z"}]
    assert condition_of(found, "CredentialsReady")["status"] == "True"


def test_one_pod_that_is_refused_outweighs_one_that_was_not() -> None:
    found = status((told("Valid"),), (told("Refused", message="git.example.com answers 401"),))

    assert found["credentials"] == [{"name": "git", "state": "Refused"}]
    condition = condition_of(found, "CredentialsReady")
    assert (condition["status"], condition["reason"]) == ("False", "CredentialRefused")
    assert condition["message"] == (
        "credential git of Secret git-login is refused (git.example.com answers 401); put one that is accepted into "
        "the Secret"
    )


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        (told("Unreachable"), ("False", "CredentialUnreachable")),
        (told("Valid", expires="2026-11-25T00:00:00Z"), ("False", "CredentialExpiring")),
        (told("Valid", expires="2026-11-20T00:00:00Z"), ("False", "CredentialExpiring")),
        (told("Valid", expires="soon"), ("True", "Accepted")),
        (told("Valid", expires="0001-01-01T00:00:00+14:00"), ("True", "Accepted")),
        (told("Unknown"), ("Unknown", "NotTried")),
    ],
)
def test_each_state_has_its_reason_and_none_of_them_is_an_outage(
    report: CredentialReport, verdict: tuple[str, str]
) -> None:
    found = status((report,))

    condition = condition_of(found, "CredentialsReady")
    assert (condition["status"], condition["reason"]) == verdict
    assert condition_of(found, "Ready")["status"] == "True"


@pytest.mark.parametrize("auth", [{}, {"basic": {"secretRef": {"name": "login"}}}])
def test_that_the_operator_has_no_login_is_said_where_nothing_is_known_for_that_reason(auth: dict[str, Any]) -> None:
    clients = [{"name": "builds", "secretRef": {"name": "builds"}}]
    proxy = proxy_value({"storage": MEMORY, "credentials": [NETRC], "auth": {"clients": clients, **auth}})

    condition = condition_of(status_of(proxy, observed(proxy), NOW), "CredentialsReady")

    assert condition["reason"] == "NotTried"
    assert ("add spec.auth.basic" in condition["message"]) == (not auth), condition["message"]


def test_a_pod_that_has_not_tried_yet_hides_nothing_that_another_one_knows() -> None:
    assert status((told("Unknown"),), (told("Valid"),))["credentials"] == [{"name": "git", "state": "Valid"}]


def test_the_first_of_several_ends_counts() -> None:
    found = status(
        (told("Valid", expires="2027-02-01T00:00:00+02:00"),), (told("Valid", expires="2027-03-01T00:00:00Z"),)
    )

    assert found["credentials"][0]["expires"] == "2027-01-31T22:00:00Z"


def test_entries_stand_in_the_order_of_the_spec_and_those_of_which_no_pod_speaks_are_named() -> None:
    found = status((told("Valid"),), credentials=(CONFIG, NETRC))

    assert [entry["name"] for entry in found["credentials"]] == ["git"]
    assert condition_of(found, "CredentialsReady")["message"] == "not used so far, or no pod says: rules"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"credentials": None},
        {"credentials": "all"},
        {"credentials": [1, {"name": ["git"]}, {"name": "other", "state": "Valid"}]},
    ],
)
def test_an_answer_without_our_entries_reports_nothing(answer: Any) -> None:
    assert list(reports_in(answer, {"git"})) == []


def test_a_report_is_one_short_line_and_an_unknown_state_is_unknown() -> None:
    entry = {"name": "git", "state": "Splendid", "expires": None, "message": "two\nlines " + "x" * 500}

    [report] = reports_in({"credentials": [entry]}, {"git"})

    assert report.state is CredentialState.UNKNOWN
    assert report.expires == ""
    assert report.message.startswith("two lines x")
    assert len(report.message) <= 200
