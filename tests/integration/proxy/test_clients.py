"""Clients with credentials of their own, on a running proxy: who gets in, how credentials rotate, what is told.

The commands of `docs/clients.md` run as they are written there.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from athens_proxy.clients.lines import password_line, token_line
from support.authority import Authority
from support.exchange import Answer, ask, basic_auth
from support.go_client import build_cache
from support.module_tree import ModuleTree
from support.pages import commands, run_commands
from support.processes import inherited
from support.proxy_process import ModuleProxy, Settings, running

FILE = "/example.com/foo/@v/v1.0.0.info"
EVERYTHING = (
    "/",
    "/version",
    "/catalog",
    "/index",
    "/robots.txt",
    "/metrics",
    "/sumdb/sum.golang.org/supported",
    "/-/policy",
    "/-/config",
    "/-/events",
    "/-/ui",
    "/-/modules",
    "/-/versions",
    "/-/summary",
    "/-/top",
    "/-/store/example.com/foo/v1.0.0.info",
    "/example.com/foo/@v/list",
    "/example.com/foo/@latest",
    FILE,
    "/example.com/foo/@v/v1.0.0.mod",
    "/example.com/foo/@v/v1.0.0.zip",
    "/cached-only/example.com/foo/@v/list",
    "/no/such/thing",
    "/..%2f..%2fetc/passwd",
)
DEADLINE_S = 60.0
CI = "ci-token-0123456789-0123456789"
CLIENTS = 20


@dataclass
class Mount:
    """A folder of clients that is written as the kubelet writes mounted Secrets."""

    root: Path

    def __post_init__(self) -> None:
        self._versions = count()

    def write(self, entry: str, **keys: str) -> None:
        """The Secret of an entry has these keys from now on; all change at once."""
        folder = self.root / entry
        version = folder / f"..{next(self._versions)}"
        version.mkdir(parents=True)
        for key, text in keys.items():
            (version / key).write_text(text)
            if not (folder / key).is_symlink():
                (folder / key).symlink_to(f"..data/{key}")
        (folder / "..data_tmp").symlink_to(version.name)
        (folder / "..data_tmp").rename(folder / "..data")
        for link in folder.iterdir():
            if link.name not in keys and not link.name.startswith("."):
                link.unlink()


@dataclass
class Site:
    """A proxy with https and clients."""

    proxy: ModuleProxy
    mount: Mount
    authority: Authority

    @property
    def host(self) -> str:
        return urlsplit(self.proxy.address).netloc

    def ask(self, target: str, headers: dict[str, str] | None = None) -> Answer:
        return ask(self.proxy.address, target, headers=headers, tls=self.authority.trusted())

    def wait_until_refused(self, headers: dict[str, str]) -> None:
        self.proxy.process.wait_until(
            lambda: self.ask(FILE, headers).status == 401, what="refusing", deadline_s=DEADLINE_S
        )

    def wait_until_let_in(self, headers: dict[str, str]) -> None:
        self.proxy.process.wait_until(
            lambda: self.ask(FILE, headers).status == 200, what="letting in", deadline_s=DEADLINE_S
        )


@pytest.fixture
def site(tmp_path: Path, authority: Authority, module_tree: ModuleTree) -> Iterator[Site]:
    mount = Mount(tmp_path / "auth")
    mount.write("people", htpasswd=f"# of team a\n{password_line('ann', 'open sesame')}\n")
    mount.write("builds", tokens=token_line("ci", CI))
    env = {**authority.settings(), "ATHENS_AUTH_CLIENTS_DIR": str(mount.root), "ATHENS_LOG_LEVEL": "info"}
    settings = Settings(module_tree.url, env=env, scheme="https")
    with running(tmp_path / "proxy", settings) as proxy:
        yield Site(proxy, mount, authority)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_every_endpoint_but_the_probes_is_closed_to_strangers(site: Site) -> None:
    strangers: tuple[dict[str, str], ...] = (
        {},
        basic_auth("ann", "open sesam"),
        basic_auth("ci", "open sesame"),
        basic_auth("nobody", "x"),
        bearer("open sesame"),
        bearer(""),
        {"Authorization": "Basic"},
        {"Authorization": "Negotiate " + CI},
        basic_auth("ann", token_line("ci", CI).partition(":")[2]),  # a hash is no credential
    )
    for stranger in strangers:
        for target in EVERYTHING:
            answer = site.ask(target, stranger)
            assert (target, answer.status) == (target, 401)
            assert answer.headers["www-authenticate"].startswith("Basic ")
            assert answer.text == "unauthorized: a user name and password, or a token, are needed\n"
    assert site.ask("/healthz").status == 200
    assert site.ask("/readyz").status == 200


def test_passwords_and_tokens_open_the_door_and_answers_are_private(site: Site) -> None:
    for headers in (basic_auth("ann", "open sesame"), basic_auth("ci", CI), bearer(CI)):
        for _ in range(3):  # the later ones come from memory
            answer = site.ask(FILE, headers)
            assert answer.status == 200
            assert answer.headers["cache-control"].startswith("private")


def test_twenty_clients_see_no_failure_while_credentials_rotate_and_the_old_one_ends(site: Site) -> None:
    """Old, both, new: nobody is refused who changes over in between; no process is replaced."""
    pid, new = site.proxy.process.pid, "new-token-0123456789-0123456789"
    old, present = (bearer(CI), basic_auth("ann", "open sesame")), (bearer(new), basic_auth("ann", "new sesame"))
    shown = [old]
    refused: list[Answer] = []
    stop = threading.Event()

    def fetch(number: int) -> None:
        host, _, port = site.host.partition(":")
        connection = http.client.HTTPSConnection(host, int(port), context=site.authority.trusted(), timeout=60)
        while not stop.is_set():
            connection.request("GET", FILE, headers=shown[0][number % 2])
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                refused.append(Answer(response.status, {}, body))
        connection.close()

    fetchers = [threading.Thread(target=fetch, args=(number,)) for number in range(CLIENTS)]
    for fetcher in fetchers:
        fetcher.start()
    try:
        site.mount.write("builds", tokens=f"{token_line('ci', CI)}\n{token_line('ci', new)}\n")
        both = f"{password_line('ann', 'open sesame')}\n{password_line('ann', 'new sesame')}\n"
        site.mount.write("people", htpasswd=both)
        for headers in present:
            site.wait_until_let_in(headers)
        shown[0] = present
    finally:
        settled = [site.ask(FILE, headers).status for headers in present]
        stop.set()
        for fetcher in fetchers:
            fetcher.join()
    site.mount.write("builds", tokens=token_line("ci", new))
    site.mount.write("people", htpasswd=password_line("ann", "new sesame"))
    for headers in old:
        site.wait_until_refused(headers)

    assert (settled, refused) == ([200, 200], [])
    assert [site.ask(FILE, headers).status for headers in present] == [200, 200]
    assert site.proxy.process.pid == pid
    assert site.proxy.process.child.poll() is None


def test_open_connection_of_a_removed_client_is_refused(site: Site) -> None:
    host, _, port = site.host.partition(":")
    connection = http.client.HTTPSConnection(host, int(port), context=site.authority.trusted(), timeout=60)

    def status() -> int:
        connection.request("GET", FILE, headers=bearer(CI))
        response = connection.getresponse()
        response.read()
        return response.status

    assert [status() for _ in range(3)] == [200, 200, 200]
    site.mount.write("builds", tokens="")
    site.wait_until_refused(bearer(CI))

    assert status() == 401
    assert site.ask(FILE, basic_auth("ann", "open sesame")).status == 200
    connection.close()


def test_what_cannot_be_used_is_told_without_its_content_and_lets_nobody_in(site: Site) -> None:
    ann = basic_auth("ann", "open sesame")
    site.mount.write("builds", tokens="ci:hunter2\n", noise="\x00\x01hunter2", empty="")
    site.wait_until_refused(bearer(CI))
    config = json.loads(site.ask("/-/config", ann).text)
    metrics = site.ask("/metrics", ann).text
    log = site.proxy.process.logged()

    assert config["clients"] == [
        {
            "entry": "builds",
            "passwords": 0,
            "tokens": 0,
            "problems": [
                "noise line 1 is not NAME:HASH; make one with athens-proxy hash-password",
                "tokens line 1 has no hash that is known; use bcrypt (htpasswd -B) or athens-proxy hash-password",
            ],
        },
        {"entry": "people", "passwords": 1, "tokens": 0, "problems": []},
    ]
    assert "athens_client_problems 2.0" in metrics
    assert "builds: tokens line 1" in log
    assert "Traceback" not in log
    for secret in ("hunter2", CI, "open sesame", "$2b$", "$sha256$"):
        assert secret not in log
        assert secret not in metrics
        assert secret not in str(config)


def test_folder_that_vanishes_closes_the_door_until_it_is_back(site: Site) -> None:
    site.mount.root.rename(site.mount.root.with_name("away"))
    site.wait_until_refused(bearer(CI))
    assert site.ask(FILE, basic_auth("ann", "open sesame")).status == 401

    site.mount.root.with_name("away").rename(site.mount.root)
    site.wait_until_let_in(bearer(CI))

    assert "Traceback" not in site.proxy.process.logged()


def test_one_user_of_the_settings_and_the_clients_are_let_in_beside_each_other(
    tmp_path: Path, authority: Authority, module_tree: ModuleTree
) -> None:
    mount = Mount(tmp_path / "auth")
    mount.write("builds", tokens=token_line("ci", CI))
    env = {"ATHENS_AUTH_CLIENTS_DIR": str(mount.root), "BASIC_AUTH_USER": "user", "BASIC_AUTH_PASS": "secret"}
    with running(
        tmp_path / "proxy", Settings(module_tree.url, env={**authority.settings(), **env}, scheme="https")
    ) as p:
        site = Site(p, mount, authority)

        answers = [site.ask(FILE, headers).status for headers in (basic_auth("user", "secret"), bearer(CI), {})]

        assert answers == [200, 200, 401]


@pytest.mark.parametrize("block", ["netrc", "goauth", "address"])
def test_commands_of_the_page_work_with_the_go_command(site: Site, tmp_path: Path, block: str) -> None:
    done = as_developer(site, tmp_path / "user", block, secret=CI)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", ["netrc", "goauth", "address"])
def test_go_tells_the_one_line_to_whoever_is_refused(site: Site, tmp_path: Path, block: str) -> None:
    done = as_developer(site, tmp_path / "user", block, secret="wrong-token-0123456789")

    assert done.returncode != 0
    assert "401 Unauthorized" in done.stderr
    assert "wrong-token-0123456789" not in done.stderr


def test_lines_of_the_page_open_the_door(site: Site, tmp_path: Path) -> None:
    (tmp_path / "clients").symlink_to(site.mount.root)
    (site.mount.root / "team-a").mkdir()
    (tmp_path / "password.txt").write_text("correct horse\n")
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = run_commands(commands("clients.md", "lines"), cwd=tmp_path, env=path)
    assert done.returncode == 0, done.stderr

    site.wait_until_let_in(basic_auth("ann", "correct horse"))
    site.wait_until_let_in(bearer(done.stderr.strip().rpartition(" ")[2]))


def as_developer(site: Site, home: Path, block: str, *, secret: str) -> subprocess.CompletedProcess[str]:
    """The commands of the page in a home of their own."""
    home.mkdir()
    env = {
        **inherited("PATH", "GOROOT", "LANG"),
        "HOME": str(home),
        "GOCACHE": build_cache(),
        "GOFLAGS": "-modcacherw",
        "GOSUMDB": "off",
        "GOTOOLCHAIN": "local",
        "SSL_CERT_FILE": str(site.authority.ca_file),
        "PROXY_HOST": site.host,
        "NAME": "ci",
        "SECRET": secret,
        "MODULE": "example.com/foo@v1.0.0",
    }
    return run_commands(commands("clients.md", block), cwd=home, env=env)


def test_certificate_is_trusted_by_the_test_alone(site: Site) -> None:
    """Guards the others: https is what they speak."""
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(site.proxy.address, FILE, tls=ssl.create_default_context())
