"""The real process: how it starts, refuses to start, reloads its policy and stops."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from athens_policy.decide import digest
from support.modules_fixture import SampleModule, write_file_proxy
from support.ports import free_port
from support.processes import inherited, ran
from support.proxy_parts import download_file
from support.proxy_process import ModuleProxy, Settings, running

M = SampleModule()
COMMAND = [sys.executable, "-m", "athens_proxy"]


@pytest.fixture
def upstream(tmp_path: Path) -> str:
    return f"file://{write_file_proxy(tmp_path / 'upstream', [M])}"


def start(tmp_path: Path, env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, which must come by itself."""
    base = {**inherited("PATH", "LANG"), "HOME": str(tmp_path), "ATHENS_PORT": f"127.0.0.1:{free_port()}"}
    return ran([*COMMAND, *arguments], env={**base, **env}, cwd=tmp_path)


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({"ATHENS_LOG_LEVEL": "bogus"}, 'ATHENS_LOG_LEVEL: "bogus" is not allowed; use one of trace, debug'),
        ({"ATHENS_STORAGE_TYPE": "gcp"}, "Storage.GCP.Bucket: must not be empty with StorageType gcp"),
        ({"ATHENS_DISK_STORAGE_ROOT": "/nowhere"}, "ATHENS_DISK_STORAGE_ROOT: open the disk storage /nowhere"),
        ({"ATHENS_DOWNLOAD_MODE": "bogus"}, "ATHENS_DOWNLOAD_MODE: unrecognized download mode: bogus"),
        ({"ATHENS_DOWNLOAD_MODE": "file:/nowhere"}, "ATHENS_DOWNLOAD_MODE: open /nowhere: no such file or directory"),
        ({"ATHENS_GO_BINARY_ENV_VARS": "GOPROXY=ftp://x"}, "ATHENS_GO_BINARY_ENV_VARS: "),
        ({"GO_BINARY_PATH": "nogo"}, 'GO_BINARY_PATH: "nogo" cannot be run'),
        ({"ATHENS_GOGET_DIR": "/nowhere"}, "ATHENS_GOGET_DIR: /nowhere is not an existing folder"),
        ({"ATHENS_GOGET_DIR": "/proc"}, "ATHENS_GOGET_DIR: making a temporary folder in /proc: "),
        ({"ATHENS_TLSCERT_FILE": "/c", "ATHENS_TLSKEY_FILE": "/k"}, "TLSCertFile /c, TLSKeyFile /k: "),
        ({"ATHENS_UNIX_SOCKET": "/nowhere/socket"}, "listen on /nowhere/socket: "),
    ],
)
def test_what_cannot_work_ends_the_start_with_one_line(tmp_path: Path, env: Mapping[str, str], line: str) -> None:
    done = start(tmp_path, env)

    assert done.returncode == 1
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stdout + done.stderr


def test_a_bad_download_file_ends_the_start_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "download.hcl", download_file('download "x" {\n  mode = "bogus"\n}'))

    done = start(tmp_path, {"ATHENS_DOWNLOAD_MODE": f"file:{path}"})

    assert done.returncode == 1
    assert done.stderr.startswith("ATHENS_DOWNLOAD_MODE: line 4, column ")
    assert done.stderr.count("\n") == 1


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start(tmp_path, {"ATHENS_PORT": f"127.0.0.1:{port}"})

    assert (done.returncode, done.stderr) == (1, f"listen on 127.0.0.1:{port}: address already in use\n")


def test_an_unwritable_root_is_one_line(tmp_path: Path) -> None:
    done = start(tmp_path, {"ATHENS_DISK_STORAGE_ROOT": "/proc"})  # no folder can be made there, even by root

    assert done.returncode == 1
    assert done.stderr.startswith("ATHENS_DISK_STORAGE_ROOT: open the disk storage /proc: ")
    assert done.stderr.count("\n") == 1


def test_flags_as_athens_has_them(tmp_path: Path) -> None:
    version, unknown = start(tmp_path, {}, "-version"), start(tmp_path, {}, "-nonsense")

    assert (version.returncode, version.stdout.splitlines()[0]) == (0, "Build Details:")
    assert (unknown.returncode, unknown.stderr.splitlines()[0]) == (2, "flag provided but not defined: -nonsense")


def test_the_default_store_is_made_in_the_users_data_folder(tmp_path: Path, upstream: str) -> None:
    settings = Settings(
        upstream, env={"ATHENS_DISK_STORAGE_ROOT": "", "XDG_DATA_HOME": str(tmp_path / "data"), "ATHENS_SUM_DBS": ""}
    )
    with running(tmp_path / "proxy", settings) as proxy:
        assert proxy.ask("/example.com/m/@v/v1.0.0.zip").body == M.zip

    assert (tmp_path / "data" / "athens" / "example.com" / "m" / "v1.0.0" / "source.zip").exists()


def policy_digest(proxy: ModuleProxy) -> str:
    return proxy.ask("/readyz").headers["athens-policy-digest"]


def test_a_changed_policy_is_enforced_without_a_restart(tmp_path: Path, upstream: str) -> None:
    path = tmp_path / "download.hcl"
    allowing = download_file()
    denying = download_file('download "example.com/m" {\n  mode = "deny"\n  name = "n"\n  reason = "r"\n}')
    write(path, allowing)
    with running(tmp_path / "proxy", Settings(upstream, env={"ATHENS_DOWNLOAD_MODE": f"file:{path}"})) as proxy:
        assert policy_digest(proxy) == digest(allowing.encode())
        assert proxy.ask("/example.com/m/@v/v1.0.0.zip").status == 200

        write(path, denying)
        wanted = digest(denying.encode())
        proxy.process.wait_until(lambda: policy_digest(proxy) == wanted, what="the new policy", deadline_s=20)
        denied = proxy.ask("/example.com/m/@v/v1.0.0.zip")

        write(path, "nonsense")
        proxy.process.wait_until(
            lambda: b'"lastError":{' in proxy.ask("/-/policy").body, what="the refusal", deadline_s=20
        )
        still = proxy.ask("/example.com/m/@v/v1.0.0.zip")
        kept = policy_digest(proxy)

    assert (denied.status, denied.text) == (403, "denied by n: r\n")
    assert (still.status, kept) == (403, wanted)


def test_a_stop_lets_running_requests_finish_and_exits_cleanly(tmp_path: Path, upstream: str) -> None:
    with running(tmp_path / "proxy", Settings(upstream)) as proxy:
        assert proxy.ask("/example.com/m/@v/list").text == "v1.0.0\n"
        proxy.process.child.send_signal(signal.SIGTERM)

        assert proxy.process.child.wait(30) == 0


def test_a_second_signal_ends_a_stop_that_waits_for_requests(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with running(tmp_path / "proxy", settings) as proxy, ThreadPoolExecutor(1) as clients:
            asking = clients.submit(proxy.ask, "/example.com/m/@v/list")
            held = silent.accept()[0]
            proxy.process.child.send_signal(signal.SIGTERM)
            proxy.process.wait_until(lambda: "Shutting down" in proxy.process.logged(), what="stopping", deadline_s=20)
            proxy.process.child.send_signal(signal.SIGTERM)
            status = proxy.process.child.wait(20)
            held.close()

    assert status == -signal.SIGTERM
    assert isinstance(asking.exception(), ConnectionError | http.client.HTTPException)
