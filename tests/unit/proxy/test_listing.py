"""Which versions are listed, by network mode, store and upstream.

Source of the cases: github.com/gomods/athens pkg/download (listModeTests, list_merge_test)
"""

from __future__ import annotations

import pytest

from athens_proxy.download.listing import NetworkMode, listed, meant, newest
from athens_proxy.errors import ModuleNotFound, ProxyError, UpstreamError
from athens_proxy.modules import ModulePath

PATH = ModulePath.parse("example.com/m")
GONE = ModuleNotFound("not found: gone")
DOWN = UpstreamError("down")
PSEUDO = "v0.0.0-20200102030405-0123456789ab"
STRICT, FALLBACK, OFFLINE = NetworkMode.STRICT, NetworkMode.FALLBACK, NetworkMode.OFFLINE


@pytest.mark.parametrize(
    ("mode", "stored", "upstream", "wanted"),
    [
        (STRICT, ["v0.0.4"], ["v0.0.1", "v0.0.2", "v0.0.3"], ["v0.0.1", "v0.0.2", "v0.0.3", "v0.0.4"]),
        (STRICT, ["v1.0.0", "v1.0.2"], ["v1.0.10", "v1.0.0"], ["v1.0.0", "v1.0.2", "v1.0.10"]),
        (STRICT, [], ["v1.0.0"], ["v1.0.0"]),
        (STRICT, [PSEUDO], [], []),
        (STRICT, [PSEUDO], GONE, [PSEUDO]),
        (STRICT, ["v1.0.0", PSEUDO], GONE, ["v1.0.0"]),
        (STRICT, ["v1.0.0"], GONE, ["v1.0.0"]),
        (STRICT, ["v2.0.0", "v1.0.0", "v2.0.0+incompatible"], GONE, ["v1.0.0", "v2.0.0+incompatible"]),
        (FALLBACK, ["v1.0.0"], DOWN, ["v1.0.0"]),
        (FALLBACK, ["v1.0.0"], ["v1.1.0"], ["v1.0.0", "v1.1.0"]),
        (OFFLINE, ["v1.1.0", "v1.0.0"], GONE, ["v1.0.0", "v1.1.0"]),
    ],
)
def test_stored_and_upstream_versions_are_merged(
    mode: NetworkMode, stored: list[str], upstream: list[str] | ProxyError, wanted: list[str]
) -> None:
    assert listed(PATH, stored, upstream, mode) == wanted


@pytest.mark.parametrize("mode", list(NetworkMode))
def test_a_module_that_nobody_has_is_not_found_in_every_mode(mode: NetworkMode) -> None:
    with pytest.raises(ModuleNotFound):
        listed(PATH, [], GONE, mode)


def test_a_failure_is_an_error_in_strict_mode_even_with_stored_versions() -> None:
    with pytest.raises(UpstreamError):
        listed(PATH, ["v1.0.0"], DOWN, STRICT)


def test_a_failure_with_nothing_stored_is_not_found_in_fallback_mode_and_says_why() -> None:
    with pytest.raises(ModuleNotFound, match="not found: nothing is stored, and down"):
        listed(PATH, [], DOWN, FALLBACK)


@pytest.mark.parametrize(
    ("versions", "latest"),
    [
        ([], ""),
        ([PSEUDO], PSEUDO),
        ([PSEUDO, "v0.1.0-pre"], "v0.1.0-pre"),
        (["v1.0.0", "v1.1.0-pre", PSEUDO], "v1.0.0"),
        (["v1.9.0", "v1.10.0"], "v1.10.0"),
        (["v1.0.0", "v2.0.0+incompatible"], "v1.0.0"),
        (["v2.0.0+incompatible", "v1.0.0-pre"], "v2.0.0+incompatible"),
    ],
)
def test_latest_is_the_highest_release_then_prerelease_then_commit(versions: list[str], latest: str) -> None:
    assert newest(versions) == latest


@pytest.mark.parametrize(
    ("query", "version"),
    [
        ("v2.0.0", "v2.0.0+incompatible"),
        ("v2", "v2.0.0+incompatible"),
        ("v1", "v1.2.3"),
        ("v1.2", "v1.2.3"),
        ("v1.3", "v1.3.0-rc.1"),
        ("v1.20", "v1.20.0-20200102030405-0123456789ab"),
        ("v3", ""),
        ("main", ""),
        ("v1.2.", ""),
        ("v1.2.3-0", ""),
        ("", ""),
    ],
)
def test_a_query_means_what_is_stored_of_it(query: str, version: str) -> None:
    stored = ["v1.2.3", "v1.2.2", "v1.3.0-rc.1", "v2.0.0+incompatible", "v1.20.0-20200102030405-0123456789ab"]

    assert meant(query, stored) == version
