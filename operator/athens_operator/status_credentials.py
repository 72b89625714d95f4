"""How the proxy's credentials fare: the condition CredentialsReady and `status.credentials`. Pure.

A private module that cannot be fetched is not an outage, so Ready does not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from athens_operator.conditions import Condition, Verdict, parsed_timestamp
from athens_operator.spec.origins import Credential
from athens_operator.spec.proxy import AthensProxy
from athens_operator.status_observed import CredentialReport, CredentialState, Observed

CREDENTIALS_READY = "CredentialsReady"
EXPIRES_SOON = timedelta(days=7)
RENEWED_BY_THE_PROXY = frozenset({"githubApp", "command"})
"""Types whose tokens end within the hour and are replaced in time; nobody needs to know when."""
LACKS_LOGIN = (
    "spec.auth.clients lets in only those whose secrets the operator does not know; add spec.auth.basic, or install "
    "with features.generatedSecrets"
)
NEVER = datetime.max.replace(tzinfo=UTC)


def credentials_block(proxy: AthensProxy, observed: Observed) -> list[dict[str, Any]]:
    """`status.credentials`: an entry of each credential that some pod speaks of, the worst of what they say."""
    return [
        {"name": found.name, "state": found.state.value, **({"expires": found.expires} if found.expires else {})}
        for _, found in _found(proxy, observed)
    ]


def credentials_ready(proxy: AthensProxy, observed: Observed, now: datetime) -> Condition | None:
    """Whether origins accept what the proxy shows them; None when it has nothing to show."""
    if not proxy.spec.credentials:
        return None
    found = list(_found(proxy, observed))
    for state, reason, advice in (
        (CredentialState.REFUSED, "CredentialRefused", "put one that is accepted into the Secret"),
        (CredentialState.UNREACHABLE, "CredentialUnreachable", "check the host's name and the way to it"),
    ):
        failing = [(entry, report) for entry, report in found if report.state is state]
        if failing:
            return _false(reason, "; ".join(_failure(*each, state.value.lower()) for each in failing), advice)
    ending = [(entry, report) for entry, report in found if _end_of(report) - now < EXPIRES_SOON]
    if ending:
        said = "; ".join(_failure(entry, report, f"valid until {report.expires}") for entry, report in ending)
        return _false("CredentialExpiring", said, "put a new one into the Secret before that")
    unknown = [entry.name for entry in proxy.spec.credentials if not any(e is entry for e, r in found if _is_valid(r))]
    if unknown:
        said = f"not used so far, or no pod says: {', '.join(unknown)}"
        if proxy.lacks_login:
            said = f"nothing is known of {', '.join(unknown)}: {LACKS_LOGIN}"
        return Condition(CREDENTIALS_READY, Verdict.UNKNOWN, "NotTried", said)
    return Condition(CREDENTIALS_READY, Verdict.TRUE, "Accepted", "every credential was accepted when last used")


def _found(proxy: AthensProxy, observed: Observed) -> Iterator[tuple[Credential, CredentialReport]]:
    """Each entry that pods speak of, in the order of the spec."""
    for entry in proxy.spec.credentials:
        reports = [report for told in observed.credentials.values() for report in told if report.name == entry.name]
        if reports:
            yield entry, _worst(entry, reports)


def _worst(entry: Credential, reports: list[CredentialReport]) -> CredentialReport:
    """The worst state that a pod reports, and the first end; pods that do not know count only where none does."""
    order = list(CredentialState)
    telling = [report for report in reports if report.state is not CredentialState.UNKNOWN] or reports
    worst = min(telling, key=lambda report: (order.index(report.state), report.message))
    ends = [] if entry.type in RENEWED_BY_THE_PROXY else [r for r in telling if _end_of(r) < NEVER]
    first = min(ends, key=_end_of, default=None)
    return CredentialReport(worst.name, worst.state, _timestamp(_end_of(first)) if first else "", worst.message)


def _end_of(report: CredentialReport) -> datetime:
    return parsed_timestamp(report.expires, NEVER) if report.expires else NEVER


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_valid(report: CredentialReport) -> bool:
    return report.state is CredentialState.VALID


def _failure(entry: Credential, report: CredentialReport, what: str) -> str:
    why = f" ({report.message})" if report.message else ""
    return f"credential {entry.name} of Secret {entry.secret_ref.name} is {what}{why}"


def _false(reason: str, said: str, advice: str) -> Condition:
    return Condition(CREDENTIALS_READY, Verdict.FALSE, reason, f"{said}; {advice}")
