"""Modules of the public world through our proxy: what a new user tries first.

The public proxy's address is this machine's own; only versions that exist are asked of it. Checksums are those that
the checksum database has published for them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.go_client import GoClient, public_proxy
from support.module_tree import ModuleTree
from support.proxy_process import ModuleProxy, Settings

PUBLISHED = {
    "rsc.io/quote@v1.5.2": "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=",
    "github.com/BurntSushi/toml@v0.3.1": "h1:WXkYYl6Yr3qBf1K79EBnL4mak0OimBfB0XUf9Vl28OQ=",
    "github.com/dgrijalva/jwt-go@v3.2.0+incompatible": "h1:7qlOGliEKZXTDg6OTjfoBKDXWrumCAMpl/TFQ4/5kLM=",
    "github.com/kr/logfmt@v0.0.0-20140226030751-b84e30acd515": "h1:T+h1c/A9Gawja4Y9mFVWj2vyii2bbUNDw3kt9VxK2EY=",
}


@pytest.fixture
def public(start_proxy: Callable[[str, Settings], ModuleProxy], module_tree: ModuleTree) -> ModuleProxy:
    """A proxy in front of the sample tree and then the public proxy."""
    return start_proxy("public", Settings(f"{module_tree.url},{public_proxy()}", go_env=()))


@pytest.mark.parametrize(("module", "sum_"), PUBLISHED.items(), ids=PUBLISHED.keys())
def test_a_public_module_arrives_with_its_published_checksum(
    module: str, sum_: str, public: ModuleProxy, new_client: Callable[..., GoClient]
) -> None:
    run = new_client(public.url).run("mod", "download", "-json", module)

    assert f'"Sum": "{sum_}"' in run.ok().stdout


def test_go_get_checks_a_public_module_with_the_checksum_database_through_the_proxy(
    public: ModuleProxy, new_client: Callable[..., GoClient]
) -> None:
    client = new_client(public.url, gosumdb="sum.golang.org")
    client.program("rsc.io/quote")

    client.run("get", "rsc.io/quote@v1.5.2").ok()

    assert f"rsc.io/quote v1.5.2 {PUBLISHED['rsc.io/quote@v1.5.2']}" in (client.work / "go.sum").read_text()


def test_a_version_that_does_not_exist_is_reported_with_the_reason(
    start_proxy: Callable[[str, Settings], ModuleProxy], module_tree: ModuleTree, new_client: Callable[..., GoClient]
) -> None:
    proxy = start_proxy("tree", Settings(module_tree.url))

    run = new_client(proxy.url).run("mod", "download", "example.com/m@v1.9.9")

    assert "404 Not Found" in run.failed().stderr
    assert "server response: not found: " in " ".join(run.stderr.split())
