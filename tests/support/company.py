"""A company with private code on real servers, and the settings of proxies whose only way out is watched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from support.egress import Egress
from support.origin_host import PASSWORD, USER, OriginHost, Page
from support.proxy_process import Settings
from support.ssh_host import SshHost

GIT, GITLAB, VANITY, HG, SSH = (f"{name}.example.com" for name in ("git", "gitlab", "go", "hg", "ssh"))
UPSTREAM = "proxy.example.com"
PUBLIC, DATABASE = "public.example.org", "sum.example.org"
PRIVATE_HOSTS = (GIT, GITLAB, VANITY, HG, UPSTREAM)
DEEP = f"{GITLAB}/group/subgroup/deep"


@dataclass(frozen=True)
class Company:
    """The servers of a company and the way to them.

    Attributes:
        host: its server of git, hg and pages, by several names.
        ssh: its server of git and svn over ssh.
        egress: the only way out for its proxies.
    """

    host: OriginHost
    ssh: SshHost
    egress: Egress

    def settings(
        self,
        folder: Path,
        *,
        logins: str | None = None,
        chain: str = "direct",
        go_env: tuple[str, ...] = (),
        **env: str,
    ) -> Settings:
        """Of a proxy of the company.

        Args:
            folder: for its files.
            logins: a netrc file; None for one with the reader's password for every host.
            chain: of upstreams.
            go_env: further variables of the go command.
            env: further variables of the proxy.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "netrc").write_text(netrc_of(USER, PASSWORD) if logins is None else logins)
        (folder / "gitconfig").write_text(
            f'[url "ssh://{SSH}{self.host.folder}/git/{SSH}/"]\n\tinsteadOf = https://{SSH}/\n'
        )
        ca_file = str(self.host.authority.ca_file)
        login = f"all.prefix = *\nall.username = {USER}\nall.password = {PASSWORD}\n" if logins is None else ""
        (folder / ".hgrc").write_text(f"[web]\ncacerts = {ca_file}\n[auth]\n{login}")
        variables = (
            "GOSUMDB=off",
            "GOPRIVATE=*.example.com",
            f"GIT_SSL_CAINFO={ca_file}",
            f"GIT_CONFIG_GLOBAL={folder}/gitconfig",
            f"GIT_SSH_COMMAND={self.ssh.command}",
            f"SVN_SSH={self.ssh.command} -q",
            *go_env,
        )
        outside = {
            "HTTPS_PROXY": self.egress.url,
            "http_proxy": self.egress.url,  # the one that hg reads, for https too
            "SSL_CERT_FILE": ca_file,
            "ATHENS_NETRC_PATH": str(folder / "netrc"),
            "ATHENS_HGRC_PATH": str(folder / ".hgrc"),
        }
        return Settings(chain, variables, env={**outside, **env})


def netrc_of(user: str, password: str) -> str:
    """A login for every private host."""
    return "".join(f"machine {host} login {user} password {password}\n" for host in PRIVATE_HOSTS)


def pages(svn: Path) -> dict[str, Page]:
    """What the hosts answer to `?go-get=1`."""
    projects = f"{DEEP} git https://{DEEP}.git"
    # GitLab tells strangers of the first two elements only, so that they cannot find out which projects there are.
    of_gitlab = Page(projects, f"{GITLAB}/group/subgroup git https://{GITLAB}/group/subgroup.git")
    return {
        f"{GITLAB}/group/subgroup": everybody(of_gitlab.stranger),
        DEEP: of_gitlab,
        f"{DEEP}/sub": of_gitlab,
        f"{VANITY}/widget": everybody(f"{VANITY}/widget git https://{GIT}/team/widget"),
        f"{VANITY}/mono": everybody(f"{VANITY}/mono git https://{GIT}/team/mono"),
        f"{VANITY}/mono/sub": everybody(f"{VANITY}/mono git https://{GIT}/team/mono"),
        f"{VANITY}/mono/sub/v2": everybody(f"{VANITY}/mono git https://{GIT}/team/mono"),
        f"{VANITY}/locked": everybody(f"{VANITY}/locked git https://{SSH}/team/locked"),
        f"{VANITY}/hgmod": everybody(f"{VANITY}/hgmod hg https://{HG}/hg/hgmod"),
        f"{VANITY}/svnmod": everybody(f"{VANITY}/svnmod svn svn+ssh://{SSH}{svn}/repository"),
        f"{GIT}/team-a/library": everybody(f"{GIT}/team-a/library git https://{GIT}/team-a/library.git"),
        f"{GIT}/team/plain": everybody(f"{GIT}/team/plain git https://{GIT}/team/plain.git"),
    }


def everybody(content: str) -> Page:
    """The same for strangers."""
    return Page(content, content)


def fill(host: OriginHost) -> None:
    """One repository of git at least for every way to find one."""
    host.repository(f"{GIT}/team/plain").module(f"{GIT}/team/plain", "v1.0.0")
    host.repository(f"{GIT}/team/suffix").module(f"{GIT}/team/suffix.git", "v1.0.0")
    host.repository(f"{GIT}/team/widget").module(f"{VANITY}/widget", "v1.0.0")
    mono = host.repository(f"{GIT}/team/mono")
    mono.module(f"{VANITY}/mono", "v1.0.0")
    mono.module(f"{VANITY}/mono/sub", "sub/v1.1.0", folder="sub")
    mono.module(f"{VANITY}/mono/sub/v2", "sub/v2.0.0", folder="sub")
    deep = host.repository(DEEP)
    deep.module(DEEP, "v1.0.0")
    deep.module(f"{DEEP}/sub", "sub/v1.1.0", folder="sub")
    locked = host.repository(f"{SSH}/team/locked")
    locked.module(f"{SSH}/team/locked.git", "v1.0.0")
    locked.module(f"{VANITY}/locked", "v1.1.0")
