"""Repositories that mislead, hide or overwhelm: each has its status and one line, runs nothing and leaves nothing."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from support.authority import Authority
from support.company import GIT, Company
from support.private_git import PrivateRepository
from support.proxy_process import ModuleProxy, Settings

StartWith = Callable[[Callable[[Path], Settings]], ModuleProxy]
MAX_BYTES = 1_500_000
IS_FULL = bool(os.environ.get("ATHENS_TEST_FULL"))
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


@pytest.fixture(scope="module")
def proxy(company: Company, start: StartWith) -> ModuleProxy:
    return start(lambda folder: company.settings(folder, ATHENS_GOGET_MAX_BYTES=str(MAX_BYTES)))


@pytest.fixture
def new(company: Company, request: pytest.FixtureRequest) -> Callable[[str], PrivateRepository]:
    return lambda name: company.host.repository(f"{GIT}/bad/{name}")


def path_of(name: str) -> str:
    return f"{GIT}/bad/{name}.git"


def refused(proxy: ModuleProxy, name: str, status: int, *said: str) -> None:
    """The zip, and in the long run the info, is refused so, in one line, and nothing is stored."""
    for file in ("zip", "info") if IS_FULL else ("zip",):
        answer = proxy.ask(f"/{path_of(name)}/@v/v1.0.0.{file}")
        assert answer.status == status, (answer.status, answer.text)
        assert answer.text.count("\n") == 1
        assert answer.text.removesuffix("\n").isprintable()
        assert any(text in answer.text for text in said), answer.text
    assert not (proxy.store / path_of(name) / "v1.0.0").exists()
    assert "Traceback" not in proxy.process.logged()


def served(proxy: ModuleProxy, name: str) -> dict[str, bytes]:
    """The files of the zip by their names in the module."""
    answer = proxy.ask(f"/{path_of(name)}/@v/v1.0.0.zip")
    assert answer.status == 200, answer.text
    with zipfile.ZipFile(BytesIO(answer.body)) as packed:
        return {entry.partition("@v1.0.0/")[2]: packed.read(entry) for entry in packed.namelist()}


def test_an_empty_repository_is_not_found(proxy: ModuleProxy, new: Callable[[str], PrivateRepository]) -> None:
    new("empty")

    refused(proxy, "empty", 404, "unknown revision", "no secure protocol", "not found")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("colon", "a:b.go"),
        ("control", "a\x01b.go"),
        ("reserved", "aux.go"),
        ("newline", "a\nb.go"),
        ("quoted", 'a"b.go'),
    ],
)
def test_names_that_no_module_may_have_are_refused(
    proxy: ModuleProxy, new: Callable[[str], PrivateRepository], name: str, file: str
) -> None:
    new(name).commit({"go.mod": f"module {path_of(name)}\n", file: "package m\n"}, tags=("v1.0.0",))

    refused(proxy, name, 502, "malformed file path", "invalid")


def test_names_that_differ_in_case_alone_are_refused(
    proxy: ModuleProxy, new: Callable[[str], PrivateRepository]
) -> None:
    files = {"go.mod": f"module {path_of('case')}\n", "a/x.go": "package a\n", "A/x.go": "package a\n"}
    new("case").commit(files, tags=("v1.0.0",))

    refused(proxy, "case", 502, "case-insensitive file name collision")


def test_a_repository_beyond_the_quota_is_refused_with_the_setting(
    proxy: ModuleProxy, new: Callable[[str], PrivateRepository]
) -> None:
    noise = random.Random(1).randbytes(2 * MAX_BYTES)
    new("huge").commit({"go.mod": f"module {path_of('huge')}\n", "noise.bin": noise}, tags=("v1.0.0",))

    refused(proxy, "huge", 502, "GoGetMaxBytes")


def test_another_module_path_in_the_go_mod_is_told(proxy: ModuleProxy, new: Callable[[str], PrivateRepository]) -> None:
    new("renamed").module("git.example.com/bad/original", "v1.0.0")

    answer = proxy.ask(f"/{path_of('renamed')}/@v/v1.0.0.zip")

    assert answer.status in (200, 404, 502), "as the go command judges it"
    assert "Traceback" not in proxy.process.logged()


def test_nothing_that_a_repository_brings_is_run(
    proxy: ModuleProxy, new: Callable[[str], PrivateRepository], tmp_path: Path
) -> None:
    """Hooks, filters and settings in the tree are files like any other."""
    ran = tmp_path / "ran"
    bad = new("runs")
    script = f"#!/bin/sh\ntouch {ran}\n"
    settings = f'[core]\n\thooksPath = .hooks\n\tfsmonitor = touch {ran}\n[filter "x"]\n\tsmudge = touch {ran}\n'
    hooks = {f".hooks/{hook}": script for hook in ("post-checkout", "post-merge", "reference-transaction")}
    files = {"go.mod": f"module {path_of('runs')}\n", ".gitattributes": "*.go filter=x\n", ".gitconfig": settings}
    bad.commit({**files, **hooks, "m.go": "package m\n"}, tags=("v1.0.0",))
    for hook in ("post-checkout", "post-update", "pre-receive"):
        (bad.bare / "hooks" / hook).write_text(script)

    found = served(proxy, "runs")

    assert found["m.go"] == b"package m\n"
    assert not ran.exists()


def test_submodules_symlinks_and_pointers_are_left_as_go_leaves_them(
    company: Company, proxy: ModuleProxy, new: Callable[[str], PrivateRepository]
) -> None:
    """No submodule is fetched, no link is followed, and a pointer of git-lfs stays a pointer."""
    elsewhere = new("elsewhere")
    elsewhere.module(path_of("elsewhere"), "v1.0.0")
    mixed = new("mixed")
    mixed.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(elsewhere.bare), "part")
    (mixed.tree / "link.go").symlink_to("/etc/passwd")
    (mixed.tree / "out").symlink_to("../..")
    files = {"go.mod": f"module {path_of('mixed')}\n", ".gitattributes": "*.bin filter=lfs\n", "big.bin": POINTER}
    mixed.commit({**files, "m.go": "package m\n"}, tags=("v1.0.0",))

    found = served(proxy, "mixed")

    assert found["big.bin"].decode() == POINTER
    assert not [name for name in found if name.startswith(("part/", "out", "link"))]
    assert not [line for line in company.host.requests() if "/bad/elsewhere" in line]


def test_a_certificate_of_an_unknown_authority_is_a_failure_of_tls(
    company: Company, start: StartWith, tmp_path: Path
) -> None:
    other = str(Authority.made(tmp_path).ca_file)
    proxy = start(lambda folder: company.settings(folder, go_env=(f"GIT_SSL_CAINFO={other}",), SSL_CERT_FILE=other))

    answer = proxy.ask(f"/{GIT}/team/plain/@v/v1.0.0.info")

    assert (answer.status, "certificate" in answer.text) == (502, True), answer.text


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing, not even in TLS."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        kept: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    kept.append(listener.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()


def test_a_host_that_hangs_in_tls_is_a_timeout_and_holds_nobody_else_up(
    company: Company, start: StartWith, silent: int
) -> None:
    company.egress.ports = {**company.egress.ports, "silent.example.com": silent}
    proxy = start(lambda folder: company.settings(folder, ATHENS_STASH_TIMEOUT="2", ATHENS_TIMEOUT="2"))

    async def both() -> list[tuple[int, str]]:
        targets = ("/silent.example.com/x.git/@v/v1.0.0.info", f"/{GIT}/nothing/@v/list")
        answers = await asyncio.gather(*(asyncio.to_thread(proxy.ask, target) for target in targets))
        return [(answer.status, answer.text) for answer in answers]

    hanging, other = asyncio.run(both())

    assert (hanging[0], "not done within 2 s" in hanging[1]) == (504, True), hanging
    assert other[0] in (404, 504)
    assert proxy.ask("/readyz").status == 200
    assert json.loads(proxy.ask("/-/config").text)
