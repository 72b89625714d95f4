"""The proxies that conformance tests ask, each a process of its own with one purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.go_test_proxy import SUMDB_NAME, GoTestProxy
from support.module_tree import ModuleTree
from support.proxy_process import ModuleProxy, Settings
from support.sample_modules import Repositories

POLICY = """\
mode = "sync"
downloadURL = ""
download "example.com/blocked" {
  mode = "deny"
  name = "no-blocked"
  reason = "not allowed here"
}
"""
CLOSED_PORT = "http://127.0.0.1:9"

Site = Callable[[str], ModuleProxy]


@pytest.fixture(scope="session")
def policy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A download file that denies one module."""
    written = tmp_path_factory.mktemp("policy") / "download.hcl"
    written.write_text(POLICY)
    return written


@pytest.fixture(scope="session")
def site(
    start_proxy: Callable[[str, Settings], ModuleProxy],
    module_tree: ModuleTree,
    repositories: Repositories,
    go_test_proxy: GoTestProxy,
    policy_file: Path,
) -> Site:
    """The proxy of a site name, started when first asked for."""
    sumdb = {"ATHENS_SUM_DBS": f"https://{SUMDB_NAME}", "ATHENS_GONOSUM_PATTERNS": "rsc.io/sampler"}
    known = {
        "tree": Settings(module_tree.url),
        "cold": Settings(module_tree.url),
        "git": Settings("direct", repositories.go_env()),
        "policy": Settings(module_tree.url, env={"ATHENS_DOWNLOAD_MODE": f"file:{policy_file}"}),
        "auth": Settings(module_tree.url, env={"BASIC_AUTH_USER": "user", "BASIC_AUTH_PASS": "secret"}),
        "down": Settings(CLOSED_PORT),
        "down-notfound": Settings(CLOSED_PORT, env={"ATHENS_UPSTREAM_ERRORS": "notfound"}),
        "sumdb": Settings(go_test_proxy.url, env=sumdb),
        "down-sumdb": Settings(CLOSED_PORT, env=sumdb),
    }
    return lambda name: start_proxy(name, known[name])
