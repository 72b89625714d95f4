"""Private modules: what is asked for at its origin alone, what no redirect and no checksum database hears of."""

from __future__ import annotations

from pathlib import Path

import pytest

from athens_policy.decide import FetchSync, Redirect
from athens_policy.patterns import Pattern
from athens_proxy.config.load import ConfigFile, load
from athens_proxy.download.first_seen import FirstSeen
from athens_proxy.download.rules import Rules
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.outside import private_modules
from athens_proxy.storage.memory import MemoryStorage
from athens_proxy.upstream.go_environment import patterns_of
from athens_proxy.upstream.private import PrivateModules
from support.proxy_parts import policy

PRIVATE = "git.example.com/team/*,*.corp.example.com,src.example.com/[ab]/x"


@pytest.fixture
def private() -> PrivateModules:
    return PrivateModules(patterns_of(PRIVATE))


@pytest.mark.parametrize(
    "path",
    [
        "git.example.com/team/x",
        "git.example.com/team/x/sub/v2",
        "go.corp.example.com",
        "go.corp.example.com/any",
        "src.example.com/a/x",
    ],
)
def test_what_a_pattern_covers_is_private(private: PrivateModules, path: str) -> None:
    assert private.covers(path)


@pytest.mark.parametrize("path", ["git.example.com", "git.example.com/team", "src.example.com", "src.example.com/b"])
def test_the_leading_parts_that_go_asks_for_as_well_are_private(private: PrivateModules, path: str) -> None:
    assert private.covers(path)


@pytest.mark.parametrize(
    "path",
    [
        "example.com",
        "git.example.com/other",
        "git.example.com/teams",
        "git.example.com/other/x",
        "corp.example.com",
        "src.example.com/c",
        "src.example.com/a/y",
    ],
)
def test_neighbours_are_not(private: PrivateModules, path: str) -> None:
    assert not private.covers(path)


@pytest.mark.parametrize(
    ("rule", "is_held"),
    [
        ("git.example.com/team/*", True),
        ("git.example.com/team/x", True),
        ("git.example.com/team", False),
        ("git.example.com/*/x", False),
        ("a.corp.example.com/x", True),
        ("*", False),
        ("src.example.com/[ab]/x", True),
        ("src.example.com/[a-z]/x", False),
        ("src.example.com/[a", False),
    ],
)
def test_a_rule_is_about_private_modules_only_if_all_it_covers_is_private(
    private: PrivateModules, rule: str, is_held: bool
) -> None:
    assert private.holds(Pattern.of_file(rule)) is is_held


REDIRECTING = """\
mode = "redirect"
downloadURL = "https://public.example.com"
download "git.example.com/team/moved" {
  mode = "redirect"
  downloadURL = "https://go.corp.example.com"
}
download "*" {
  mode = "async_redirect"
}
"""


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("example.com/open", "https://public.example.com"),
        ("git.example.com/team/moved", "https://go.corp.example.com"),
        ("git.example.com/team/x", ""),
        ("git.example.com/team", ""),
    ],
)
async def test_clients_are_sent_nowhere_with_a_private_name_unless_a_rule_says_so_of_it(
    private: PrivateModules, path: str, url: str
) -> None:
    rules = Rules(policy(REDIRECTING), FirstSeen(MemoryStorage()), private)
    module = ModulePath.parse(path)

    for decision in (rules.about_module(module), await rules.about(ModuleVersion(module, "v1.0.0"))):
        match decision.effect:
            case Redirect(url=sent_to):
                assert sent_to == url
            case effect:
                assert (effect, url) == (FetchSync(), "")


def nothing(name: str) -> ConfigFile:
    raise FileNotFoundError(2, "No such file or directory", name)


@pytest.mark.parametrize(
    ("environ", "is_private"),
    [
        ({"ATHENS_GO_BINARY_ENV_VARS": "GOPRIVATE=git.example.com"}, True),
        ({"ATHENS_GO_BINARY_ENV_VARS": "GONOPROXY=git.example.com;GOPRIVATE=x.example.com"}, True),
        ({"ATHENS_GONOSUM_PATTERNS": "git.example.com/*"}, True),
        ({"ATHENS_GONOSUM_PATTERNS": "git.example.com/*", "ATHENS_GO_BINARY_ENV_VARS": "GOFLAGS=-v"}, True),
        ({"ATHENS_GONOSUM_PATTERNS": "git.example.com/*", "ATHENS_GO_BINARY_ENV_VARS": "GOPROXY=direct"}, False),
        ({"ATHENS_GONOSUM_PATTERNS": "*"}, False),
        ({}, False),
    ],
)
def test_modules_without_checksums_are_private_where_nobody_chose_a_chain(
    environ: dict[str, str], is_private: bool, tmp_path: Path
) -> None:
    """Athens asks origins alone by default, so that such names never left; here a public proxy comes first."""
    config = load([], environ, nothing)

    assert private_modules(config).covers("git.example.com/team") is is_private
