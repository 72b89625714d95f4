"""Private code on real servers that only loopback knows, and proxies whose only way out is watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import origin_host, ssh_host
from support.authority import Authority
from support.company import DATABASE, PRIVATE_HOSTS, PUBLIC, SSH, VANITY, Company, fill, pages
from support.egress import leading
from support.other_repositories import hg_module, hg_serving, svn_module
from support.proxy_process import ModuleProxy, Settings, running

StartWith = Callable[[Callable[[Path], Settings]], ModuleProxy]


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Servers of every kind, with one module at least on each."""
    folder = tmp_path_factory.mktemp("company")
    (folder / "authority").mkdir()
    authority = Authority.made(folder / "authority", *PRIVATE_HOSTS, PUBLIC, DATABASE)
    hg_module(folder / "hg" / "hgmod", f"{VANITY}/hgmod", "v1.0.0")
    svn_module(folder / "svn", f"{VANITY}/svnmod")
    with ExitStack() as stack:
        hg_port = stack.enter_context(hg_serving(folder / "hg"))
        ssh = stack.enter_context(ssh_host.serving(folder / "ssh", SSH))
        host = stack.enter_context(
            origin_host.serving(folder / "host", authority, pages(folder / "svn"), hg_port=hg_port)
        )
        egress = stack.enter_context(leading(dict.fromkeys(PRIVATE_HOSTS, host.port)))
        fill(host)
        yield Company(host, ssh, egress)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartWith]:
    """A proxy with the settings for its folder, until the module's tests end."""
    with ExitStack() as stack:

        def started(settings: Callable[[Path], Settings]) -> ModuleProxy:
            folder = tmp_path_factory.mktemp("proxy")
            return stack.enter_context(running(folder, settings(folder)))

        yield started
