"""`docs/private-modules.md`, as a new user follows it: few commands, and the first try works."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from athens_operator.spec.proxy import AthensProxy
from support.company import GIT, Company
from support.go_client import build_cache
from support.origin_host import PASSWORD, USER
from support.pages import commands
from support.ports import free_port
from support.processes import inherited
from support.tree import ROOT

PAGE = "private-modules.md"
AT_MOST = 10
DEADLINE_S = 120.0


@pytest.mark.parametrize("block", ["kubernetes", "plain"])
def test_a_new_user_needs_few_commands(block: str) -> None:
    assert 0 < len(commands(PAGE, block)) <= AT_MOST


def test_the_proxy_of_the_page_is_one_that_the_operator_takes() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs" / PAGE).read_text(), re.MULTILINE | re.DOTALL)
    document = yaml.safe_load(text)
    document["metadata"] |= {"uid": "1", "generation": 1}

    proxy = AthensProxy.parse(document)

    assert [entry.match for entry in proxy.spec.credentials] == ["git.example.com"]


def test_the_commands_without_kubernetes_work_on_the_first_try(company: Company, tmp_path: Path) -> None:
    """As they are written, but for the port, the way to the company's hosts and the authority to trust."""
    company.host.let_in((USER, PASSWORD), ("x-access-token", PASSWORD))
    library = company.host.repository(f"{GIT}/team-a/library")
    library.module(f"{GIT}/team-a/library", "v1.0.0")
    (tmp_path / "token.txt").write_text(f"{PASSWORD}\n")
    port, since = free_port(), len(company.egress.asked)
    ca_file = str(company.host.authority.ca_file)
    lines = [
        line.replace(":3000", f":{port}").replace(
            "athens-proxy &", "HTTPS_PROXY=$WAY_OUT athens-proxy > log 2>&1 &\nuntil grep -q Starting log; do :; done"
        )
        for line in commands(PAGE, "plain")
    ]
    environment = {
        **inherited("GOROOT", "LANG"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "GOCACHE": build_cache(),
        "GOFLAGS": "-modcacherw",
        "GOSUMDB": "sum.golang.org",
        "GOTOOLCHAIN": "local",
        "ATHENS_PORT": f"127.0.0.1:{port}",
        "SSL_CERT_FILE": ca_file,
        "GIT_SSL_CAINFO": ca_file,
        "WAY_OUT": company.egress.url,
    }
    with subprocess.Popen(
        ["/bin/sh", "-eu", "-c", "\n".join(lines)],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as shell:
        try:
            shell.wait(DEADLINE_S)
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
        assert shell.stderr is not None
        said = shell.stderr.read().decode()

    assert shell.returncode == 0, said + (tmp_path / "log").read_text()
    assert (tmp_path / "store" / GIT / "team-a" / "library" / "v1.0.0" / "source.zip").is_file()
    assert PASSWORD not in said + (tmp_path / "log").read_text()
    asked = {target.partition(":")[0] for target in company.egress.asked[since:]}
    assert asked == {GIT}, "nobody else was asked, neither for the module nor for its checksum"
