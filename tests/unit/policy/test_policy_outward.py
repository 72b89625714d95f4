"""What leads back to its own proxy, and upstreams that private modules never reach: refused, with place and fix."""

from __future__ import annotations

from typing import Any

import pytest

from athens_policy.merge import MergeError, PolicyRule, PolicySource, Tier, merge
from athens_policy.model import Mode
from athens_policy.outward import OwnAddress, check_outward, outward

OWN = (
    OwnAddress("go.team-a.svc.cluster.local", frozenset({80})),
    OwnAddress("go.example.com", frozenset({80, 443}), "/team-a"),
)


def source(*rules: PolicyRule, **more: Any) -> PolicySource:
    return PolicySource("DownloadPolicy", "team-a", "base", 1, Tier.SELECTED, 0, rules, **more)


def problem(policy: PolicySource, *private: str) -> tuple[str, str]:
    """Reason and message of what is refused; empty texts where nothing is."""
    try:
        check_outward(outward(merge([policy])), OWN, private)
    except MergeError as error:
        return error.reason, error.message
    return "", ""


def redirect(url: str, mode: Mode = Mode.REDIRECT) -> PolicySource:
    return source(PolicyRule("big", ("example.org/big",), mode, download_url=url))


@pytest.mark.parametrize(
    "url",
    [
        "http://go.team-a.svc.cluster.local",
        "http://GO.team-a.svc.cluster.local.:80/any/path",
        "https://go.example.com/team-a",
        "http://go.example.com/team-a/further/",
    ],
)
@pytest.mark.parametrize("mode", [Mode.REDIRECT, Mode.ASYNC_REDIRECT])
def test_a_redirect_back_to_the_proxy_is_refused(url: str, mode: Mode) -> None:
    said = f"DownloadPolicy team-a/base#big (Selected): downloadURL {url} leads back to this proxy"

    assert problem(redirect(url, mode)) == ("RedirectLoop", f"{said}; name another server, or remove it")


@pytest.mark.parametrize(
    "url",
    [
        "https://go.team-a.svc.cluster.local",  # another port
        "http://go.team-a.svc.cluster.local:8080",
        "https://go.example.com",  # the hosts' other paths belong to others
        "https://go.example.com/team-ab",
        "https://go.example.org/team-a",
    ],
)
def test_a_redirect_to_a_neighbour_is_none_of_our_business(url: str) -> None:
    assert problem(redirect(url)) == ("", "")


def test_an_upstream_and_a_default_that_lead_back_are_refused_as_well() -> None:
    chain = "https://goproxy.example.com|http://go.team-a.svc.cluster.local,direct"
    rule = PolicyRule("odd", ("example.org/*",), Mode.SYNC, upstream=chain)

    reason, message = problem(
        source(rule, default_mode=Mode.REDIRECT, download_url="http://go.team-a.svc.cluster.local/")
    )

    assert reason == "RedirectLoop"
    assert "team-a/base#odd (Selected): upstream http://go.team-a.svc.cluster.local leads back" in message
    assert (
        "DownloadPolicy team-a/base (Selected): downloadURL http://go.team-a.svc.cluster.local/ leads back" in message
    )


@pytest.mark.parametrize("private", ["git.example.com", "git.example.com/*", "*.example.com", "git.example.com/team"])
def test_an_upstream_for_modules_that_never_leave_is_refused(private: str) -> None:
    rule = PolicyRule("mirror", ("git.example.com/team/*",), Mode.SYNC, upstream="https://goproxy.example.com")

    reason, message = problem(source(rule), "other.example.org", private)

    assert reason == "PrivateUpstream"
    assert message == (
        "DownloadPolicy team-a/base#mirror (Selected): upstream can never apply to git.example.com/team/*: "
        f"spec.privateModules has {private}, and such modules come from their origin alone; remove one of the two, or "
        "name the pattern in spec.checksumDB.noSumPatterns instead"
    )


@pytest.mark.parametrize(
    ("pattern", "chain"),
    [
        ("git.example.com/team/*", "direct"),
        ("git.example.com/team/*", "file:///modules,direct"),
        ("*", "https://goproxy.example.com"),
        ("git.example.com/other", "https://goproxy.example.com"),
    ],
)
def test_an_upstream_that_may_apply_is_left_alone(pattern: str, chain: str) -> None:
    rule = PolicyRule("mirror", (pattern,), Mode.SYNC, upstream=chain)

    assert problem(source(rule), "git.example.com/team") == ("", "")


def test_a_private_pattern_that_cannot_be_read_hides_nothing() -> None:
    rule = PolicyRule("mirror", ("git.example.com",), Mode.SYNC, upstream="https://goproxy.example.com")

    assert problem(source(rule), "[", "") == ("", "")
