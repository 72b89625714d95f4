"""Request targets: what they name, and that nothing else gets through."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from athens_proxy.errors import ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.web.targets import (
    ChecksumTarget,
    FileTarget,
    FixedTarget,
    LatestTarget,
    ListTarget,
    Target,
    target,
)

PATH = ModulePath.parse("example.com/m")
UPPER = ModulePath.parse("github.com/Azure/x")


def file(text: str, extension: str, *, path: ModulePath = PATH, cached_only: bool = False) -> FileTarget:
    return FileTarget(ModuleVersion.parse(path, text), extension, cached_only)


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("/", FixedTarget("/")),
        ("/?x=y", FixedTarget("/")),
        ("/healthz", FixedTarget("/healthz")),
        ("/-/policy", FixedTarget("/-/policy")),
        ("http://proxy.example.com/healthz", FixedTarget("/healthz")),
        ("http://proxy.example.com", FixedTarget("/")),
        ("/example.com/m/@v/list", ListTarget(PATH, False)),
        ("/example.com/m/@v/list?go-get=1", ListTarget(PATH, False)),
        ("/example.com/m/@latest", LatestTarget(PATH, False)),
        ("/cached-only/example.com/m/@latest", LatestTarget(PATH, True)),
        ("/example.com/m/@v/v1.0.0.info", file("v1.0.0", "info")),
        ("/example.com/m/@v/v2.0.0+incompatible.zip", file("v2.0.0+incompatible", "zip")),
        ("/example.com/m/@v/v2.0.0%2Bincompatible.zip", file("v2.0.0+incompatible", "zip")),
        ("/example.com/m/@v/main.info", file("main", "info")),
        ("/example.com/m/@v/%21h%21e%21a%21d.info", file("HEAD", "info")),
        ("/github.com/%21azure/x/@v/list", ListTarget(UPPER, False)),
        ("/github.com/!azure/x/@v/list", ListTarget(UPPER, False)),
        ("/sumdb/sum.golang.org/lookup/a.b/%21c@v1.0.0", ChecksumTarget("sum.golang.org/lookup/a.b/!c@v1.0.0")),
    ],
)
def test_a_target_names_one_thing(raw: str, wanted: Target) -> None:
    assert target(raw, prefix="") == wanted


@pytest.mark.parametrize(
    "raw",
    [
        "*", "", "example.com:443", "ftp://x/healthz", "/favicon.ico", "/example.com/m", "/example.com/m/@",
        "/example.com/m/@v", "/example.com/m/@v/", "/example.com/m/@v/list/", "/example.com/m/@latest/",
        "/foobar/@v/list", "/Example.com/m/@v/list", "/github.com/Azure/x/@v/list", "/github.com/%2521azure/x/@v/list",
        "/github.com/!Azure/x/@v/list", "/github.com/!!azure/x/@v/list", "/github.com/a!/x/@v/list",
        "/example.com%2Fm/@v/list", "/example.com%5Cm/@v/list", "/example.com\\m/@v/list", "/example.com/m%00/@v/list",
        "/example.com/m%0A/@v/list", "//example.com/m/@v/list", "/example.com//m/@v/list",
        "/example.com/a/../m/@v/list",
        "/example.com/a/%2e%2e/m/@v/list", "/example.com/./m/@v/list", "/.x.y/m/@v/list", "/x.y/.git/@v/list",
        "/x.y/a./@v/list", "/-x.y/m/@v/list", "/x.y/z/v0/@v/list", "/x.y/z/v1/@v/list", "/x.y/aux.foo/@v/list",
        "/x.y/%C3%A9/@v/list", "/x.y/é/@v/list", "/x.y/%zz/@v/list", "/x.y/%ff/@v/list", "/x...y/z/@v/list",
        "/example.com/m/@v/v1.0.0", "/example.com/m/@v/foo.bar", "/example.com/m/@v/v1.0.0.ziphash",
        "/example.com/m/@v/.info", "/example.com/m/@v/latest.info", "/example.com/m/@v/upgrade.info",
        "/example.com/m/@v/patch.info", "/example.com/m/@v/main.mod", "/example.com/m/@v/v1.zip",
        "/example.com/m/@v/v1.0.0+meta.zip", "/example.com/m/v2/@v/v1.0.0.zip", "/example.com/m/@v/feature%2Ffoo.info",
        "/@v/list", "//@v/list", "/@latest",
    ],
)  # fmt: skip
def test_everything_else_is_not_found_with_a_reason(raw: str) -> None:
    with pytest.raises(ModuleNotFound, match=r"\Anot found: .+"):
        target(raw, prefix="")


PIECES = st.one_of(
    st.sampled_from(
        ["/", "//", "/@v/", "/@latest", "list", "v1.0.0", ".info", ".zip", "example.com", "m", "..", ".", "!a", "%21a"]
    ),
    st.sampled_from(
        ["%2f", "%5c", "%00", "%0a", "%25", "%zz", "%ff", "?", "#", "*", "sumdb", "\\", "~1", "-x", "http:"]
    ),
    st.text(max_size=5),
)


@given(raw=st.lists(PIECES, max_size=12).map("".join), prefix=st.sampled_from(["", "/go"]))
@example(raw="/go/example.com/m/@v/v1.0.0.zip", prefix="/go")
@example(raw="http://[::1/x", prefix="")
@example(raw="\udcff", prefix="")
def test_no_target_causes_anything_but_a_name_or_not_found(raw: str, prefix: str) -> None:
    try:
        named = target(raw, prefix=prefix)
    except ModuleNotFound:
        return
    if isinstance(named, FileTarget):
        assert re.fullmatch(r"[A-Za-z0-9._~/-]+", named.wanted.path.text)
        assert ".." not in named.wanted.path.text.split("/")
        assert "/" not in named.wanted.version
        assert named.extension == "info" or named.wanted.is_canonical
