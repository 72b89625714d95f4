"""A start that the tests make by a fork is the start that users make: what holds for the one holds for the other."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.forked import ForkedChild, can_fork
from support.modules_fixture import SampleModule, write_file_proxy
from support.processes import inherited, ran, started
from support.proxy_process import ModuleProxy, Settings, running

PROXY = [sys.executable, "-m", "athens_proxy"]
OPERATOR = [sys.executable, "-m", "athens_operator"]
M = SampleModule()
SEEN_FROM_OUTSIDE = ("SigBlk", "SigIgn", "SigCgt", "CapEff", "Seccomp", "Umask")
DIFFERENT_EACH_TIME = re.compile(r'"(?:instance|loadedAt)":"[^"]+"')


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    upstream = write_file_proxy(tmp_path_factory.mktemp("upstream"), [M]).as_uri()
    return Settings(upstream, toml='LogLevel = "debug"\n', env={"ATHENS_INDEX_TYPE": "memory"})


@pytest.fixture(scope="module")
def both(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModuleProxy, ModuleProxy]]:
    """A forked proxy and one with an image of its own."""
    folders = [tmp_path_factory.mktemp(name) for name in ("forked", "executed")]
    with running(folders[0], settings) as forked, running(folders[1], replace(settings, own_image=True)) as executed:
        yield forked, executed


def kind(proxy: ModuleProxy) -> type:
    return type(proxy.process.child)


def told(proxy: ModuleProxy, text: str) -> str:
    """A text without what differs between any two proxies."""
    folder, port = str(proxy.store.parent), proxy.address.rpartition(":")[2]
    return DIFFERENT_EACH_TIME.sub("", text.replace(folder, "FOLDER").replace(port, "PORT"))


def seen(proxy: ModuleProxy) -> dict[str, str]:
    """What the kernel says of its process."""
    process = Path(f"/proc/{proxy.process.pid}")
    rows = dict(row.split(":", 1) for row in (process / "status").read_text().splitlines())
    streams = {f"stream {number}": os.readlink(process / "fd" / str(number)) for number in range(3)}
    leads = {"leads": str(os.getsid(proxy.process.pid) == os.getpgid(proxy.process.pid) == proxy.process.pid)}
    found = {name: rows[name].strip() for name in SEEN_FROM_OUTSIDE}
    limits = {"limits": (process / "limits").read_text(), "folder": os.readlink(process / "cwd")}
    return {name: told(proxy, value) for name, value in {**found, **streams, **leads, **limits}.items()}


def test_one_of_them_is_forked(both: tuple[ModuleProxy, ModuleProxy]) -> None:
    assert [kind(proxy) for proxy in both] == [ForkedChild, subprocess.Popen]


@pytest.mark.parametrize(
    "target", ["/healthz", "/-/config", "/-/policy", "/version", f"/{M.path}/@v/{M.version}.zip", "/nothing/@v/list"]
)
def test_it_answers_alike(both: tuple[ModuleProxy, ModuleProxy], target: str) -> None:
    forked, executed = [(answer.status, told(proxy, answer.text)) for proxy in both for answer in [proxy.ask(target)]]

    assert forked == executed


def test_the_kernel_sees_alike_but_its_arguments(both: tuple[ModuleProxy, ModuleProxy]) -> None:
    forked, executed = [seen(proxy) for proxy in both]

    assert forked == executed


def test_what_is_drawn_at_random_is_drawn_after_the_fork(
    both: tuple[ModuleProxy, ModuleProxy], settings: Settings, tmp_path: Path
) -> None:
    with running(tmp_path, settings) as another:
        drawn = {DIFFERENT_EACH_TIME.search(proxy.ask("/-/config").text)[0] for proxy in (*both, another)}  # type: ignore[index]
        ids = {proxy.ask("/healthz").headers["athens-request-id"] for proxy in (*both, another)}

    assert (len(drawn), len(ids)) == (3, 3)


def test_a_forked_start_ends_alike(tmp_path: Path, settings: Settings) -> None:
    for ending, code in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
        with running(tmp_path / ending.name, settings) as proxy:
            child = proxy.process.child
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(0.01)
            child.send_signal(ending)

            assert child.wait(30) == child.poll() == child.returncode == code
            assert not Path(f"/proc/{proxy.process.pid}").exists(), "nobody would have waited for it"


@pytest.mark.parametrize(
    ("argv", "env", "code"),
    [
        ([*PROXY, "-version"], {}, 0),
        ([*PROXY, "--nonsense"], {}, 2),
        (PROXY, {"ATHENS_LOG_LEVEL": "bogus"}, 1),
        (OPERATOR, {"ATHENS_OPERATOR_LOG_LEVEL": "bogus"}, 1),
    ],
)
def test_a_command_says_the_same(tmp_path: Path, argv: list[str], env: dict[str, str], code: int) -> None:
    env = {**inherited("PATH", "LANG"), "HOME": str(tmp_path), **env}

    forked = ran(argv, env=env, cwd=tmp_path)
    executed = subprocess.run(argv, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert can_fork(argv, env)
    assert (forked.returncode, forked.stdout, forked.stderr) == (code, executed.stdout, executed.stderr)


@pytest.mark.parametrize(
    ("argv", "env"),
    [
        (["setpriv", *PROXY], {}),
        ([sys.executable, "-c", "pass"], {}),
        (PROXY, {"PYTHONHASHSEED": "1"}),
        (PROXY, {"MALLOC_ARENA_MAX": "1"}),
        (PROXY, {"SSL_CERT_FILE": "/ca"}),
        (PROXY, {"TZ": "Asia/Kathmandu"}),
        (PROXY, {"LANG": "xx"}),
    ],
)
def test_what_a_fork_would_change_is_started_by_exec(tmp_path: Path, argv: list[str], env: dict[str, str]) -> None:
    env = {**inherited("PATH", "LANG"), **env}

    assert not can_fork(argv, env)
    if argv[0] == sys.executable:
        with started("any", argv, env=env, cwd=tmp_path, log=tmp_path / "log") as process:
            assert isinstance(process.child, subprocess.Popen)
