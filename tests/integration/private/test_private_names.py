"""Names of private modules stay at home: whatever clients ask, only the origins hear of them.

The proxies have one way out, which writes down who was asked for; names resolve nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.company import GIT, PRIVATE_HOSTS, PUBLIC, Company
from support.go_client import GoClient
from support.proxy_process import ModuleProxy, Settings

StartWith = Callable[[Callable[[Path], Settings]], ModuleProxy]
NewClient = Callable[..., GoClient]
CHAIN = f"https://{PUBLIC},direct"
PLAIN = f"/{GIT}/team/plain"
TARGETS = (
    f"{PLAIN}/@v/list",
    f"{PLAIN}/@latest",
    f"{PLAIN}/@v/v1.0.0.info",
    f"{PLAIN}/@v/v1.0.0.mod",
    f"{PLAIN}/@v/v1.0.0.zip",
    f"{PLAIN}/@v/main.info",
    f"{PLAIN}/@v/v9.9.9.info",
    f"{PLAIN}/sub/pkg/@v/list",
    f"/{GIT}/team/nothing/@v/list",
    f"/{GIT}/team/@v/list",
    f"/{GIT}/@v/list",
    f"/{GIT}/team/@latest",
    f"/sumdb/sum.golang.org/lookup/{GIT}/team/plain@v1.0.0",
)
REDIRECTING = f"""\
mode = "redirect"
downloadURL = "https://{PUBLIC}"
download "*" {{
  mode = "async_redirect"
  downloadURL = "https://{PUBLIC}"
}}
"""
PATTERNS = {
    "GOPRIVATE": ("GOPRIVATE=" + GIT + "/team/*",),
    "GONOPROXY": ("GOPRIVATE=", f"GONOPROXY={GIT}/team/*", f"GONOSUMDB={GIT}/team/*"),
}


def all_asked(proxy: ModuleProxy) -> list[tuple[str, int, str]]:
    """Every target with its status and where it sends clients."""
    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(proxy.ask, TARGETS)
        return [(t, a.status, a.headers.get("location", "")) for t, a in zip(TARGETS, answers, strict=True)]


def hosts_asked(company: Company, since: int) -> set[str]:
    return {target.partition(":")[0] for target in company.egress.asked[since:]}


@pytest.mark.parametrize(("mode", "patterns"), [("sync", "GOPRIVATE"), ("redirect", "GONOPROXY")])
def test_no_endpoint_lets_a_private_name_out(
    company: Company, start: StartWith, tmp_path: Path, patterns: str, mode: str
) -> None:
    """Neither as fetch, nor as probe for a leading part, nor as checksum lookup, nor as redirect."""
    (tmp_path / "download.hcl").write_text(REDIRECTING)
    policy = {"ATHENS_DOWNLOAD_MODE": mode if mode == "sync" else f"file:{tmp_path / 'download.hcl'}"}
    variables = ("GOSUMDB=sum.golang.org", *PATTERNS[patterns])
    proxy = start(lambda folder: company.settings(folder, chain=CHAIN, go_env=variables, **policy))
    since = len(company.egress.asked)

    answers = all_asked(proxy)

    assert not [answer for answer in answers if answer[2]]
    assert hosts_asked(company, since) <= set(PRIVATE_HOSTS)
    assert dict((target, status) for target, status, _ in answers)[f"{PLAIN}/@v/v1.0.0.zip"] == 200


def test_public_names_do_go_out(company: Company, start: StartWith) -> None:
    """Guards the others: the way out is the one that is watched."""
    proxy = start(lambda folder: company.settings(folder, chain=CHAIN, go_env=("GOSUMDB=sum.golang.org",)))
    since = len(company.egress.asked)

    proxy.ask("/example.net/open/@v/list")
    proxy.ask("/sumdb/sum.golang.org/lookup/example.net/open@v1.0.0")

    assert hosts_asked(company, since) >= {PUBLIC, "sum.golang.org"}


def test_go_get_of_a_package_far_below_tells_nobody(company: Company, start: StartWith, new_client: NewClient) -> None:
    """`go` asks the proxy for every leading part of the path, and here for checksums as well."""
    proxy = start(lambda folder: company.settings(folder, chain=CHAIN, go_env=(f"GOPRIVATE={GIT}/team/*",)))
    since = len(company.egress.asked)
    client = new_client(proxy.url, gosumdb="sum.golang.org", env={"HTTPS_PROXY": company.egress.url})
    client.program()

    said = client.run("get", f"{GIT}/team/plain/some/package@v1.0.0").failed().stderr

    assert hosts_asked(company, since) <= set(PRIVATE_HOSTS)
    assert "403 Forbidden" in said or "does not contain package" in said


def test_names_stay_private_when_the_origin_is_down(company: Company, start: StartWith) -> None:
    """A failure at the origin is no reason to ask others: the chain for these modules has one entry."""
    since = len(company.egress.asked)
    proxy = start(
        lambda folder: company.settings(
            folder, logins="", chain=f"https://{PUBLIC}|direct", go_env=("GOPRIVATE=down.example.com",)
        )
    )

    answer = proxy.ask("/down.example.com/x/@v/list")

    assert answer.status in (404, 502)
    assert hosts_asked(company, since) == {"down.example.com"}
