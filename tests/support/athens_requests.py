"""The requests that Athens and our proxy both answer in the differential suite, by the setting both run with.

Generated from endpoint, module, version and method, plus the cases that were captured from Athens by hand. Within one
setting the order matters: both proxies see the same requests in the same order over the same upstream.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import chain, product
from pathlib import Path

from support.athens_admission import Admission, filtered, hooked
from support.athens_exchange import STORED_ONLY, Exchange, files, lists
from support.exchange import basic_auth
from support.module_tree import ModuleTree, go_package, info_bytes, zip_bytes
from support.proxy_process import Settings
from support.sample_modules import CHECK_V1_PSEUDO, PSEUDO, UNTAGGED_PSEUDO, Repositories

DOWN = "http://127.0.0.1:9"
REDIRECT_BASE = "https://goproxy.example.com/base/"
NO_SUM = "github.com/private/*,github.com/exact/repo@v0.0.1,gitlab.example.com/*/*,corp.example.com/repo*"
POLICY = """\
mode = "none"
downloadURL = "https://fallback.example.com"
download "example.com/foo" {
  mode = "sync"
}
download "example.com/m/*" {
  mode = "redirect"
  downloadURL = "https://first.example.com/go"
}
download "example.com/m" {
  mode = "async_redirect"
}
download "github.com/*/x" {
  mode = "sync"
}
"""


def settings(tree: ModuleTree, repositories: Repositories, admission: Admission) -> dict[str, Settings]:
    """How both proxies are configured under each setting name."""
    url = {"ATHENS_DOWNLOAD_URL": REDIRECT_BASE}
    nowhere = (tree.root / "nothing-is-here").as_uri()
    custom = base64.b64encode(POLICY.encode()).decode()

    def over(upstream: str, **env: str) -> Settings:
        return Settings(upstream, env={"ATHENS_LOG_LEVEL": "info", **env})

    modes = {
        mode: over(tree.url, ATHENS_DOWNLOAD_MODE=mode, **url)
        for mode in ("none", "async", "redirect", "async_redirect")
    }
    return {
        "sync": over(tree.url),
        "memory": over(tree.url, ATHENS_STORAGE_TYPE="memory"),
        **modes,
        "policy": over(tree.url, ATHENS_DOWNLOAD_MODE=f"custom:{custom}"),
        "offline": over(tree.url, ATHENS_NETWORK_MODE="offline"),
        "fallback": over(tree.url, ATHENS_NETWORK_MODE="fallback"),
        "offline-stored": over(nowhere, ATHENS_NETWORK_MODE="offline"),
        "fallback-stored": over(nowhere, ATHENS_NETWORK_MODE="fallback"),
        "strict-stored": over(nowhere),
        "strict-union": over(tree.url),
        "none-stored": over(nowhere, ATHENS_DOWNLOAD_MODE="none"),
        "redirect-stored": over(nowhere, ATHENS_DOWNLOAD_MODE="redirect", **url),
        "git": Settings("direct", repositories.go_env()),
        "strict-down-stored": over(DOWN),
        "fallback-down-stored": over(DOWN, ATHENS_NETWORK_MODE="fallback"),
        "notfound-down-stored": over(DOWN, ATHENS_UPSTREAM_ERRORS="notfound"),
        "prefix": over(tree.url, ATHENS_PATH_PREFIX="/pre/fix"),
        "prefix-redirect": over(tree.url, ATHENS_PATH_PREFIX="/pre/fix", ATHENS_DOWNLOAD_MODE="redirect", **url),
        "auth": over(tree.url, BASIC_AUTH_USER="user", BASIC_AUTH_PASS="secret"),
        "no-sum": over(tree.url, ATHENS_GONOSUM_PATTERNS=NO_SUM, ATHENS_SUM_DBS="https://sums.example.com"),
        "no-sum-all": over(tree.url, ATHENS_GONOSUM_PATTERNS="*", ATHENS_SUM_DBS="https://sums.example.com"),
        "filter-union": over(tree.url, **admission.filter("filter")),
        "filter-all": over(tree.url, **admission.filter("filter-all")),
        "filter-prefix": over(tree.url, **admission.filter("filter"), ATHENS_PATH_PREFIX="/pre/fix"),
        "hook-union": over(tree.url, ATHENS_PROXY_VALIDATOR=admission.hook),
        "hook-down": over(tree.url, ATHENS_PROXY_VALIDATOR=f"{DOWN}/hook"),
    }


def fill_store(setting: str, store: Path) -> None:
    """Put modules into a store before the proxy starts, by Athens' layout, as an operator does who takes one over."""
    if not setting.endswith(("-stored", "-union")):
        return
    for path, versions in {"example.com/foo": STORED_ONLY, "example.com/Upper": ("v1.0.0",)}.items():
        for version in versions:
            folder = store / path / version
            folder.mkdir(parents=True)
            mod = f"module {path}\n"
            files = {"go.mod": mod.encode(), "code.go": go_package(path)}
            (folder / "go.mod").write_text(mod)
            (folder / "source.zip").write_bytes(zip_bytes(path, version, files))
            (folder / f"{version}.info").write_bytes(info_bytes(version))


def exchanges() -> tuple[Exchange, ...]:
    """Every request, in the order they are sent."""
    asked = (
        _sync(),
        _malformed(),
        _git(),
        _modes(),
        _network(),
        _stored(),
        _services(),
        _sums(),
        filtered(),
        hooked(),
    )
    return tuple(chain.from_iterable(asked))


MODULES = {
    "example.com/foo": ("v1.0.0", "v1.1.0", "v1.2.0-pre.1", "v9.9.9", "v1", "v1.1", "nobranch", "v1.0.0+meta"),
    "example.com/m": (PSEUDO, "main", "v1.1.0", "latest", "upgrade", "patch", "v2.0.0"),
    "example.com/m/v2": ("v2.0.0", "v2.0.1", "v1.0.0", "v2"),
    "example.com/!upper": ("v1.0.0", "v2.0.0"),
    "example.com/%21upper": ("v1.0.0",),
    "example.com/inc": ("v2.0.0+incompatible", "v2.0.0%2Bincompatible", "v2.0.0", "v1.0.0"),
    "example.com/pseudo": (UNTAGGED_PSEUDO, "master", "latest"),
    "example.com/pre": ("v0.9.0-rc.1", "v0.9.0"),
    "example.com/zone": ("v1.0.0",),
    "gopkg.in/yaml.v2": ("v2.4.0", "v3.0.0"),
    "gopkg.in/check.v1": (CHECK_V1_PSEUDO,),
    "example.com/renamed": ("v1.0.0",),
    "example.com/badname": ("v1.0.0",),
    "example.com/collision": ("v1.0.0",),
    "example.com/badprefix": ("v1.0.0",),
    "example.com/page": ("v1.0.0", "v1.1.0"),
    "example.com/otherversion": ("v1.0.0",),
    "example.com/nope": ("v1.0.0", "main"),
    "example.com": ("v1.0.0",),
}


def _sync() -> Iterator[Exchange]:
    for module, versions in MODULES.items():
        yield from lists("sync", module, "GET", "HEAD", "POST")
        for version in versions:
            yield from files("sync", module, version, "GET", "HEAD")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        yield from files("sync", "example.com/foo", "v1.0.0", method)
        yield Exchange("sync", "/example.com/foo/@v/list", method)
    for span in ("bytes=0-9", "bytes=9999999999-"):
        yield Exchange("sync", "/example.com/foo/@v/v1.0.0.zip", headers={"Range": span})
    yield Exchange("sync", "/example.com/foo/@v/list?go-get=1")
    yield Exchange("sync", "/example.com/foo/@v/v1.0.0.info?x=y")
    for module in ("example.com/foo", "example.com/!upper", "example.com/pseudo", "example.com/nope"):
        yield from lists("memory", module)
    for module, version in (
        ("example.com/foo", "v1.0.0"),
        ("example.com/!upper", "v1.0.0"),
        ("example.com/inc", "v2.0.0+incompatible"),
    ):
        yield from files("memory", module, version)
        yield from files("memory", module, version)
    yield Exchange("memory", "/catalog")


def _malformed() -> Iterator[Exchange]:
    modules = (
        "example.com/Upper", "Example.com/foo", "example.com/!Upper", "example.com/!!upper", "example.com/a!",
        "example.com/!1a", "foobar", "x...y/z", "-x.y/z", ".x.y/m", "x.y/a.", "x.y/z/v0", "x.y/z/v1", "gopkg.in/yaml",
        "x.y/aux.foo", "x.y/%C3%A9", "example.com/a%20b", "example.com/%2521upper",
    )  # fmt: skip
    for module in modules:
        yield from lists("sync", module)
        yield from files("sync", module, "v1.0.0")
    for version in ("!!v1.0.0", "V1.0.0", "v1.0.0!", "feature/x", "feature%2Fx", "a%20b", "..", "%2A", "-x", "--x=y"):
        yield from files("sync", "example.com/foo", version)
    for target in (
        "//example.com/foo/@v/list", "/example.com//foo/@v/list", "/example.com/a/../foo/@v/list",
        "/example.com/./foo/@v/list", "/example.com/a/%2e%2e/foo/@v/list", "/example.com%2Ffoo/@v/list",
        "/example.com/foo", "/example.com/foo/@v", "/example.com/foo/@v/", "/example.com/foo/@v/list/",
        "/example.com/foo/@latest/", "/example.com/foo/@v/v1.0.0", "/example.com/foo/@v/v1.0.0.txt",
        "/example.com/foo/@v/v1.0.0.ziphash", "/example.com/foo/@v/.info", "/@v/list", "/@latest", "/favicon.ico",
        "/nothing", "/sumdb", "/sumdb/", "/sumdb/x", "/sumdb/unknown.example.com/supported",
    ):  # fmt: skip
        yield Exchange("sync", target)


def _git() -> Iterator[Exchange]:
    versions = {
        "widget": ("v1.0.0", "v1.2.0", "v1.2.3+meta", "v1.9.9", "v1", "main", "stable", "dev@x", "v1.0.0+incompatible"),
        "inc": ("v1.0.0", "v2.0.0", "v2.0.0+incompatible"),
        "major": ("v1.0.0", "v2.0.0"),
        "major/v2": ("v2.0.0", "v1.0.0"),
        "tagless": ("main", "v1.0.0"),
        "renamed": ("v1.0.0",),
        "badname": ("v1.0.0",),
        "empty": ("v1.0.0", "main"),
    }
    for module, wanted in versions.items():
        yield from lists("git", f"github.com/acme/{module}")
        for version in wanted:
            yield from files("git", f"github.com/acme/{module}", version)


def _modes() -> Iterator[Exchange]:
    for setting in ("none", "async", "redirect", "async_redirect", "policy"):
        for module, version in (
            ("example.com/foo", "v1.0.0"),
            ("example.com/!upper", "v1.0.0"),
            ("example.com/m", "v1.1.0"),
            ("example.com/m/v2", "v2.0.0"),
            ("github.com/!azure/x", "v1.0.0"),
        ):
            # A fetch in the background makes a second request for the same version a matter of time.
            in_background = setting.startswith("async") or (setting, module) == ("policy", "example.com/m")
            if not in_background:
                yield from files(setting, module, version)
            else:
                yield Exchange(setting, f"/{module}/@v/{version}.info")
        yield from lists(setting, "example.com/foo")
        yield from lists(setting, "example.com/nope")
    yield Exchange("redirect", "/example.com/inc/@v/v2.0.0+incompatible.info")
    yield Exchange("redirect", "/example.com/foo/@v/v1.1.0.info?x=y")
    yield Exchange("redirect", "/example.com/foo/@v/v1.1.0.zip", "HEAD")
    yield Exchange("redirect", "/example.com/foo/@v/master.info")


def _network() -> Iterator[Exchange]:
    for setting in ("offline", "fallback"):
        for module, version in (
            ("example.com/foo", "v1.0.0"),
            ("example.com/pseudo", "master"),
            ("example.com/nope", "v1.0.0"),
        ):
            yield from lists(setting, module)
            yield from files(setting, module, version)
            yield from lists(setting, module)


def _stored() -> Iterator[Exchange]:
    kinds = ("offline", "fallback", "strict", "none", "redirect", "strict-down", "fallback-down", "notfound-down")
    for setting in (*(f"{kind}-stored" for kind in kinds), "strict-union"):
        for module in ("example.com/foo", "example.com/!upper"):
            yield from lists(setting, module)
        for version in ("v0.9.0", "v1.0.0", PSEUDO):
            yield from files(setting, "example.com/foo", version)
        yield from files(setting, "example.com/!upper", "v1.0.0")
        yield from files(setting, "example.com/foo", "v1.9.9")
        yield from (
            Exchange(setting, f"/catalog{query}") for query in ("", "?pagesize=2", "?pagesize=0", "?pagesize=x")
        )


def _services() -> Iterator[Exchange]:
    plain = ("/", "/healthz", "/readyz", "/version", "/index", "/robots.txt", "/metrics")
    for target, method in product(plain, ("GET", "HEAD", "POST")):
        yield Exchange("prefix", target, method)
        yield Exchange("prefix", f"/pre/fix{target}", method)
        yield Exchange("sync", target, method)
    for module in ("example.com/foo", "pre/fix/example.com/foo"):
        yield from lists("prefix", module)
        yield from files("prefix", module, "v1.0.0")
    yield from files("prefix-redirect", "pre/fix/example.com/foo", "v1.0.0")
    yield from files("prefix-redirect", "pre/fix/example.com/!upper", "v1.0.0")
    for query in ("limit=0", "limit=-1", "limit=x", "since=x", "limit=1", "since=2020-01-02T03:04:05Z"):
        yield Exchange("memory", f"/index?{query}")
    right, wrong_user, wrong_password = basic_auth("user", "secret"), basic_auth("x", "secret"), basic_auth("user", "x")
    for target in (
        "/",
        "/healthz",
        "/readyz",
        "/version",
        "/catalog",
        "/example.com/foo/@v/list",
        "/example.com/foo/@v/v1.0.0.mod",
        "/nothing",
    ):
        for headers in ({}, right, wrong_user, wrong_password):
            yield Exchange("auth", target, headers=headers)


def _sums() -> Iterator[Exchange]:
    modules = (
        "github.com/private/repo@v1.0.0", "github.com/private/repo/sub@v1.0.0", "github.com/exact/repo@v0.0.1",
        "gitlab.example.com/group/repo@v1.0.0", "corp.example.com/repo@v1.0.0", "corp.example.com/repository@v1.0.0",
    )  # fmt: skip
    for module in modules:
        yield Exchange("no-sum", f"/sumdb/sums.example.com/lookup/{module}")
        yield Exchange("no-sum-all", f"/sumdb/sums.example.com/lookup/{module}")
    for setting in ("no-sum", "no-sum-all"):
        yield Exchange(setting, "/sumdb/sums.example.com/supported")
        yield Exchange(setting, "/sumdb/sum.golang.org/supported")
        yield Exchange(setting, "/sumdb/other.example.com/lookup/github.com/a/b@v1.0.0")
