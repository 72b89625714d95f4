"""Private code from real servers: who has the login gets it, who has none or a wrong one is told so in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.company import DEEP, GIT, GITLAB, SSH, UPSTREAM, VANITY, Company, netrc_of
from support.go_client import GoClient
from support.module_tree import ModuleTree
from support.origin_host import PASSWORD, USER
from support.proxy_process import ModuleProxy, Settings

StartWith = Callable[[Callable[[Path], Settings]], ModuleProxy]
NewClient = Callable[..., GoClient]
MODULES = {
    "a page beside the repository": (f"{GIT}/team/plain", "v1.0.0"),
    "the suffix of git": (f"{GIT}/team/suffix.git", "v1.0.0"),
    "a page of another host": (f"{VANITY}/widget", "v1.0.0"),
    "the root of many modules": (f"{VANITY}/mono", "v1.0.0"),
    "a folder of many modules": (f"{VANITY}/mono/sub", "v1.1.0"),
    "a folder, second major version": (f"{VANITY}/mono/sub/v2", "v2.0.0"),
    "a subgroup of GitLab": (DEEP, "v1.0.0"),
    "a folder in a subgroup of GitLab": (f"{DEEP}/sub", "v1.1.0"),
    "git over ssh": (f"{SSH}/team/locked.git", "v1.0.0"),
}
OVER_SSH = "git over ssh"
IS_FULL = bool(os.environ.get("ATHENS_TEST_FULL"))  # hg and svn start dozens of processes for one version
WITH_LOGIN = (
    [name for name in MODULES if name != OVER_SSH]
    if IS_FULL
    else ["a page beside the repository", "the suffix of git", "a folder in a subgroup of GitLab"]
)


@pytest.fixture(scope="module")
def trusted(company: Company, start: StartWith) -> ModuleProxy:
    """A proxy with logins."""
    return start(company.settings)


@pytest.fixture(scope="module")
def strangers(company: Company, start: StartWith) -> ModuleProxy:
    """A proxy without any."""
    return start(lambda folder: company.settings(folder, logins=""))


@pytest.fixture(scope="module")
def mistaken(company: Company, start: StartWith) -> ModuleProxy:
    """A proxy with a password that was changed."""
    return start(lambda folder: company.settings(folder, logins=netrc_of(USER, "an-older-Secret")))


@pytest.mark.parametrize("kind", MODULES)
def test_private_module_is_fetched_with_its_login(trusted: ModuleProxy, kind: str) -> None:
    path, version = MODULES[kind]

    packed = trusted.ask(f"/{path}/@v/{version}.zip")
    info, mod = trusted.ask(f"/{path}/@v/{version}.info"), trusted.ask(f"/{path}/@v/{version}.mod")

    if IS_FULL or kind in WITH_LOGIN:
        assert version in trusted.ask(f"/{path}/@v/list").text.split()
    assert (packed.status, packed.media_type) == (200, "application/zip"), packed.text
    assert json.loads(info.text)["Version"] == version
    assert mod.text.startswith(f"module {path}\n")
    for secret in (PASSWORD, USER):
        assert secret not in info.text + trusted.process.logged()


def test_a_repository_of_hg_is_fetched_with_its_login(trusted: ModuleProxy) -> None:
    if IS_FULL:
        assert trusted.ask(f"/{VANITY}/hgmod/@v/list").text == "v1.0.0\n"
    assert trusted.ask(f"/{VANITY}/hgmod/@v/v1.0.0.zip").status == 200
    assert trusted.ask(f"/{VANITY}/hgmod/@v/v1.0.0.mod").text.startswith(f"module {VANITY}/hgmod\n")


def test_a_repository_of_svn_is_asked_through_ssh(trusted: ModuleProxy) -> None:
    latest = json.loads(trusted.ask(f"/{VANITY}/svnmod/@latest").text)["Version"]

    assert latest.startswith("v0.0.0-")
    if IS_FULL:
        assert trusted.ask(f"/{VANITY}/svnmod/@v/{latest}.zip").status == 200


def test_go_downloads_all_of_it_through_the_proxy_alone(trusted: ModuleProxy, new_client: NewClient) -> None:
    """The client has no login and no way to the origins; checksums are its own matter."""
    client = new_client(trusted.url, env={"GONOSUMDB": "*", "HTTPS_PROXY": "http://127.0.0.1:9"})

    client.run("mod", "download", *(f"{path}@{version}" for path, version in MODULES.values())).ok()


@pytest.mark.parametrize("kind", WITH_LOGIN)
def test_without_a_login_it_is_not_found_and_the_line_says_that_a_login_lacks(
    strangers: ModuleProxy, kind: str
) -> None:
    path, version = MODULES[kind]

    answer = strangers.ask(f"/{path}/@v/{version}.info")

    assert answer.status == 404
    assert "no credential for that host" in answer.text, answer.text
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize("kind", WITH_LOGIN)
def test_a_login_that_is_refused_is_a_bad_gateway_and_no_absence(mistaken: ModuleProxy, kind: str) -> None:
    """Else `go` would go on to the next proxy, with the private name."""
    path, version = MODULES[kind]

    answer = mistaken.ask(f"/{path}/@v/{version}.info")

    assert (answer.status, "check the credential for that host" in answer.text) == (502, True), answer.text
    assert answer.text.count("\n") == 1
    assert "an-older-Secret" not in answer.text + mistaken.process.logged()


def test_login_that_changes_in_its_file_counts_without_a_restart(company: Company, start: StartWith) -> None:
    proxy = start(company.settings)
    netrc = proxy.store.parent / "netrc"
    path, version = MODULES["a page beside the repository"]
    try:
        company.host.let_in((USER, "the-next-Secret"))
        assert proxy.ask(f"/{path}/@v/{version}.info").status == 502

        netrc.write_text(netrc_of(USER, "the-next-Secret"))

        assert proxy.ask(f"/{path}/@v/{version}.info").status == 200
    finally:
        company.host.let_in((USER, PASSWORD))


def test_wrong_host_key_and_unusable_keys_are_told_as_such(company: Company, start: StartWith) -> None:
    files = company.ssh.folder

    def asked(command: str) -> tuple[int, str]:
        proxy = start(lambda folder: company.settings(folder, go_env=(f"GIT_SSH_COMMAND={command}",)))
        answer = proxy.ask(f"/{VANITY}/locked/@v/v1.1.0.info")
        assert answer.text.count("\n") <= 1
        return answer.status, answer.text

    assert asked(company.ssh.command)[0] == 200
    company.ssh.know(files / "other_host_key.pub")
    try:
        status, text = asked(company.ssh.command)
        assert (status, "Host key verification failed" in text) == (502, True), text
    finally:
        company.ssh.know(files / "host_key.pub")
    for key in ("locked_id", "other_host_key"):
        status, text = asked(company.ssh.command_with(key))
        assert (status, "Permission denied" in text) == (502, True), text


def test_private_module_proxy_is_asked_with_its_login(company: Company, start: StartWith) -> None:
    """By the user of its address, or by netrc; wrong, it is a bad gateway; none, it is absent."""
    ModuleTree(company.host.folder / "goproxy").add("example.net/inner", "v1.0.0")

    def asked(user: str, *, logins: str | None = "") -> tuple[int, str]:
        chain = f"https://{user}{UPSTREAM}/goproxy"
        proxy = start(lambda folder: company.settings(folder, logins=logins, chain=chain))
        answer = proxy.ask("/example.net/inner/@v/v1.0.0.zip")
        assert PASSWORD not in proxy.process.logged()
        return answer.status, "" if answer.status == 200 else answer.text

    assert asked(f"{USER}:{PASSWORD}@") == (200, "")
    assert asked("", logins=None) == (200, "")
    status, text = asked(f"{USER}:an-older-Secret@")
    assert (status, "an-older-Secret" in text, UPSTREAM in text) == (502, False, True), text
    assert asked("")[0] in (404, 502)


def test_stranger_of_a_subgroup_is_not_sent_to_another_repository(strangers: ModuleProxy) -> None:
    """GitLab answers strangers with the first two elements, as if they were the project."""
    answer = strangers.ask(f"/{GITLAB}/group/subgroup/nothing/@v/list")

    assert answer.status == 404
