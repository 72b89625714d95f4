"""Every kind of `go` command works through every way of reaching the proxy, with the checksum database on."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.authority import Authority
from support.client_commands import COMMANDS, SAMPLES, Command
from support.exchange import basic_auth
from support.go_client import GoClient
from support.go_test_proxy import SUMDB_KEY, SUMDB_NAME, GoTestProxy
from support.module_tree import ModuleTree
from support.proxy_process import ModuleProxy, Settings

WAYS = ("http", "https", "base-path", "netrc", "goauth", "comma", "pipe")
USER, PASSWORD = "reader", "s3cret"

Connect = Callable[[str], GoClient]


@pytest.fixture
def connect(
    start_proxy: Callable[[str, Settings], ModuleProxy],
    go_test_proxy: GoTestProxy,
    module_tree: ModuleTree,
    authority: Authority,
    tmp_path: Path,
) -> Connect:
    """A new user who reaches the proxy in the named way."""
    sumdb = {"ATHENS_SUM_DBS": f"https://{SUMDB_NAME}", "ATHENS_GONOSUM_PATTERNS": SAMPLES}
    upstream = f"{go_test_proxy.url},{module_tree.url}"

    def proxy(name: str, scheme: str = "http", **env: str) -> ModuleProxy:
        # One way also verifies at the proxy what it stores; the answers must be no others.
        go_env = (f"GOSUMDB={SUMDB_KEY}",) if name == "prefix" else ("GOSUMDB=off",)
        return start_proxy(f"matrix-{name}", Settings(upstream, go_env, env={**sumdb, **env}, scheme=scheme))

    def user(goproxy: str, **env: str) -> GoClient:
        return GoClient(tmp_path / "user", goproxy, gosumdb=SUMDB_KEY, env={"GONOSUMDB": SAMPLES, **env})

    def over_tls(*, auth: bool) -> tuple[ModuleProxy, dict[str, str]]:
        credentials = {"BASIC_AUTH_USER": USER, "BASIC_AUTH_PASS": PASSWORD} if auth else {}
        found = proxy("auth" if auth else "https", "https", **authority.settings(), **credentials)
        return found, {"SSL_CERT_FILE": str(authority.ca_file)}

    def connected(way: str) -> GoClient:
        faults = go_test_proxy.url
        match way:
            case "http":
                return user(proxy("http").url)
            case "https":
                found, env = over_tls(auth=False)
                return user(found.url, **env)
            case "base-path":
                return user(proxy("prefix", ATHENS_PATH_PREFIX="/go/modules").url)
            case "netrc":
                found, env = over_tls(auth=True)
                client = user(found.url, **env)
                machine = found.address.removeprefix("https://")
                (client.home / ".netrc").write_text(f"machine {machine} login {USER} password {PASSWORD}\n")
                return client
            case "goauth":
                found, env = over_tls(auth=True)
                return user(found.url, **env, GOAUTH=str(credential_command(tmp_path, found.address)))
            case "comma":
                return user(f"{faults}/404,{faults}/410,{proxy('http').url}")
            case "pipe":
                return user(f"{faults}/503|{proxy('http').url}")
            case _:
                raise AssertionError(way)

    return connected


def credential_command(folder: Path, address: str) -> Path:
    """A GOAUTH command that prints the credentials for an address (see `go help goauth`)."""
    command = folder / "credentials"
    header = f"Authorization: {basic_auth(USER, PASSWORD)['Authorization']}"
    command.write_text(f"#!{sys.executable}\nprint({address!r}, '', {header!r}, '', sep='\\n')\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return command


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
@pytest.mark.parametrize("way", WAYS)
def test_a_go_command_works_in_every_way_of_reaching_the_proxy(way: str, command: Command, connect: Connect) -> None:
    # With `|`, go reports the 503 of the proxy before ours: any other failure outranks "not found".
    command.judge(connect(way), reason_is_ours=way != "pipe")


@pytest.mark.parametrize("way", ["netrc", "goauth"])
def test_a_user_with_a_wrong_password_is_told_so(way: str, connect: Connect) -> None:
    client = connect(way)
    (client.home / ".netrc").write_text("")

    run = GoClient(client.folder, client.goproxy, env={**(client.env or {}), "GOAUTH": "netrc"}).run(
        "mod", "download", "rsc.io/quote@v1.5.2"
    )

    assert "401 Unauthorized" in run.failed().stderr
    assert "server response:" in run.stderr
