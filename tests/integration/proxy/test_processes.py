"""Several processes on one port, as users run them: one store, one fetch per version, one set of metrics, one life."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.ended_processes import still_running
from support.exchange import ask
from support.goproxy_server import GoProxyServer
from support.modules_fixture import SampleModule, write_file_proxy
from support.ports import free_port
from support.processes import accepts_connections, inherited, ran, started
from support.proxy_process import ModuleProxy, Settings, environment, running, running_beside
from support.shared_store import CLIENTS, VERSIONS, VERSIONS_PER_CLIENT, ask_everything, modules

M = SampleModule()
COUNT = 3
DEADLINE_S = 30.0


def several(upstream: str, **env: str) -> Settings:
    return Settings(upstream, env={"ATHENS_PROCESSES": str(COUNT), **env})


@pytest.fixture
def upstream(tmp_path: Path) -> str:
    return f"file://{write_file_proxy(tmp_path / 'upstream', [M])}"


def children(proxy: ModuleProxy) -> set[int]:
    """The processes that serve, once all of them do."""
    proxy.process.wait_until(
        lambda: proxy.process.logged().count("Starting application") >= COUNT, what="serving", deadline_s=DEADLINE_S
    )
    return children_of(proxy.process.pid)


def children_of(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


async def test_each_version_is_fetched_once_by_all_of_them(tmp_path: Path) -> None:
    async with (
        GoProxyServer(modules()).running() as server,
        running_beside(tmp_path / "proxy", several(server.url)) as proxy,
    ):
        outcome = await ask_everything([proxy], server, modules())

    assert outcome.statuses == {200: CLIENTS * VERSIONS_PER_CLIENT}
    assert (len(outcome.fetches), outcome.surplus) == (VERSIONS, 0)


def test_metrics_are_those_of_all_of_them(tmp_path: Path, upstream: str) -> None:
    with running(tmp_path / "proxy", several(upstream)) as proxy:
        children(proxy)
        for _ in range(30):  # a connection each, so that every process has some
            assert proxy.ask("/example.com/m/@v/v1.0.0.mod").status == 200
        scraped = [proxy.ask("/metrics").text for _ in range(2)]

    counts = [
        float(re.findall(r'proxy_http_requests_total{method="GET",status="200"} (\S+)', text)[0]) for text in scraped
    ]
    lookups = [sum(map(float, re.findall(r'proxy_cache_lookup_total{.*"gomod"} (\S+)', text))) for text in scraped]
    assert counts == [30.0, 31.0]
    assert lookups == [30.0, 30.0]


def test_process_that_was_killed_is_replaced_and_the_others_go_on(tmp_path: Path, upstream: str) -> None:
    with running(tmp_path / "proxy", several(upstream)) as proxy:
        first = children(proxy)
        assert len(first) == COUNT
        os.kill(min(first), signal.SIGKILL)
        proxy.process.wait_until(
            lambda: min(first) not in children_of(proxy.process.pid), what="rid of it", deadline_s=DEADLINE_S
        )

        assert all(proxy.ask("/example.com/m/@v/v1.0.0.mod").status == 200 for _ in range(10))
        proxy.process.wait_until(
            lambda: proxy.process.logged().count("Starting application") == COUNT + 1,
            what="whole",
            deadline_s=DEADLINE_S,
        )
        assert len(children_of(proxy.process.pid)) == COUNT
    assert "ended with -9; starting another one" in proxy.process.logged()


async def test_stop_lets_running_requests_finish_and_exits_cleanly(tmp_path: Path, upstream: str) -> None:
    with running(tmp_path / "proxy", several(upstream)) as proxy:
        served = children(proxy)
        proxy.process.child.send_signal(signal.SIGTERM)

        assert proxy.process.child.wait(DEADLINE_S) == 0
        assert await still_running(served) == []


async def test_second_signal_ends_all_of_them_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = several(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with running(tmp_path / "proxy", settings) as proxy, ThreadPoolExecutor(1) as clients:
            served = children(proxy)
            asking = clients.submit(proxy.ask, "/example.com/m/@v/list")
            held = silent.accept()[0]
            proxy.process.child.send_signal(signal.SIGTERM)
            proxy.process.wait_until(
                lambda: proxy.process.logged().count("Shutting down") == COUNT, what="stopping", deadline_s=DEADLINE_S
            )
            proxy.process.child.send_signal(signal.SIGTERM)
            status = proxy.process.child.wait(DEADLINE_S)
            held.close()

    assert status == -signal.SIGTERM
    assert asking.exception() is not None
    assert await still_running(served) == []


def test_they_stop_when_their_supervisor_is_killed(tmp_path: Path, upstream: str) -> None:
    with running(tmp_path / "proxy", several(upstream)) as proxy:
        served = children(proxy)
        ends = [os.pidfd_open(pid) for pid in served]
        proxy.process.child.kill()
        proxy.process.child.wait()

        for end in ends:
            assert select.select([end], [], [], DEADLINE_S)[0]
            os.close(end)


def start(tmp_path: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, which must come by itself."""
    base = {
        **inherited("PATH", "LANG"),
        "HOME": str(tmp_path),
        "ATHENS_PORT": f"127.0.0.1:{free_port()}",
        "ATHENS_PROCESSES": str(COUNT),
    }
    return ran([sys.executable, "-m", "athens_proxy"], env={**base, **env}, cwd=tmp_path)


@pytest.mark.parametrize(
    ("env", "line"),
    [
        (
            {"ATHENS_STORAGE_TYPE": "memory"},
            "ATHENS_PROCESSES: several processes cannot share what ATHENS_STORAGE_TYPE",
        ),
        ({"ATHENS_INDEX_TYPE": "memory"}, "ATHENS_PROCESSES: several processes cannot share what ATHENS_INDEX_TYPE"),
        ({"ATHENS_UNIX_SOCKET": "/tmp/x"}, "ATHENS_PROCESSES: several processes cannot share what ATHENS_UNIX_SOCKET"),
        ({"ATHENS_DISK_STORAGE_ROOT": "/nowhere"}, "ATHENS_DISK_STORAGE_ROOT: open the disk storage /nowhere"),
    ],
)
def test_what_cannot_work_ends_the_start(tmp_path: Path, env: Mapping[str, str], line: str) -> None:
    done = start(tmp_path, env)

    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith(line)


def test_port_that_somebody_listens_on_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = start(tmp_path, {"ATHENS_PORT": f"127.0.0.1:{port}"})

    assert (done.returncode, done.stderr) == (1, f"listen on 127.0.0.1:{port}: address already in use\n")


def test_host_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    done = start(tmp_path, {"ATHENS_PORT": "192.0.2.1:3000"})

    assert (done.returncode, done.stderr) == (1, "listen on 192.0.2.1:3000: cannot assign requested address\n")


def test_every_interface_is_listened_on_without_a_host(tmp_path: Path, upstream: str) -> None:
    port, store = free_port(), tmp_path / "store"
    store.mkdir()
    env = environment(tmp_path, several(upstream, ATHENS_PORT=f":{port}"), port=port, store=store)
    command = [sys.executable, "-m", "athens_proxy"]
    with started("athens-proxy", command, env=env, cwd=tmp_path, log=tmp_path / "log") as process:
        process.wait_until(lambda: accepts_connections(port), what="listening", deadline_s=DEADLINE_S)

        assert ask(f"http://127.0.0.1:{port}", "/healthz").status == 200
