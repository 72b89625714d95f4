"""What the integration tests share: proxies as processes, sample upstreams, go clients, a test CA."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import go_test_proxy as gotest
from support import proxy_process
from support.authority import Authority
from support.go_client import GoClient
from support.go_test_proxy import GoTestProxy
from support.module_tree import ModuleTree
from support.processes import running_now
from support.proxy_process import ModuleProxy, Settings
from support.sample_modules import Repositories, sample_repositories, sample_tree

StartProxy = Callable[[str, Settings], ModuleProxy]
NewClient = Callable[..., GoClient]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test shows the end of the log of every process that runs."""
    report = yield
    if report.failed:
        report.sections += [(f"log of {process.name}", process.tail()) for process in running_now()]
    return report


@pytest.fixture(scope="session")
def module_tree(tmp_path_factory: pytest.TempPathFactory) -> ModuleTree:
    """A `file://` GOPROXY with modules of every shape; tests only read it."""
    return sample_tree(tmp_path_factory.mktemp("modules"))


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    """Git repositories that stand for https://github.com/acme/...; tests only read them."""
    return sample_repositories(tmp_path_factory.mktemp("repositories"))


@pytest.fixture(scope="session")
def go_test_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoTestProxy]:
    """Go's own test proxy and checksum database."""
    with gotest.running(tmp_path_factory.mktemp("go-test-proxy")) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that only these tests trust."""
    return Authority.made(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def start_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartProxy]:
    """Our proxy with given settings; one process per name, shared until the session ends."""
    started: dict[str, tuple[Settings, ModuleProxy]] = {}
    with ExitStack() as stack:

        def start(name: str, settings: Settings) -> ModuleProxy:
            if name not in started:
                folder = tmp_path_factory.mktemp(f"proxy-{name}")
                started[name] = (settings, stack.enter_context(proxy_process.running(folder, settings)))
            known, proxy = started[name]
            assert known == settings, f"proxy {name!r} runs with other settings"
            return proxy

        yield start


@pytest.fixture
def new_client(tmp_path: Path) -> NewClient:
    """A user of `go` with an empty module cache: `new_client(goproxy, gosumdb="off", env={...})`."""
    made: list[GoClient] = []

    def new(goproxy: str, *, gosumdb: str = "off", env: dict[str, str] | None = None) -> GoClient:
        client = GoClient(tmp_path / f"user-{len(made)}", goproxy, gosumdb=gosumdb, env=env or {})
        made.append(client)
        return client

    return new
