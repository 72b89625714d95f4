"""Servers of private code as companies run them: nginx with TLS and basic authentication in front of git's own
http-backend, of hg and of a module proxy; one loopback port for all host names.

Pages for `?go-get=1` may differ for strangers and for whoever shows a credential, as GitLab's do.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.authority import Authority
from support.ports import free_port
from support.private_git import PrivateRepository
from support.processes import RunningProcess, accepts_connections, inherited, started

DEADLINE_S = 30.0
USER, PASSWORD = "reader", "first-Secret-of-the-reader"


@dataclass(frozen=True)
class Page:
    """The `go-import` content of a page: for strangers, and for whoever shows a credential; "" for none."""

    known: str
    stranger: str = ""


@dataclass
class OriginHost:
    """A running host.

    Attributes:
        folder: `git/HOST/PATH.git` below it is served, `goproxy` is a module proxy.
        port: of https on loopback.
        authority: who signed its certificate.
    """

    folder: Path
    port: int
    authority: Authority
    _made: int = field(default=0)

    def repository(self, address: str) -> PrivateRepository:
        """A new repository behind `https://ADDRESS`, as in `git.example.com/team/x.git`."""
        bare = self.folder / "git" / address
        return PrivateRepository(bare.with_name(bare.name.removesuffix(".git") + ".git"), self.folder / "trees")

    def let_in(self, *logins: tuple[str, str]) -> None:
        """These user names and passwords are valid from now on, and no others."""
        written = self.folder / "htpasswd.new"
        written.write_text("".join(f"{user}:{{PLAIN}}{password}\n" for user, password in logins))
        written.rename(self.folder / "htpasswd")

    def requests(self) -> list[str]:
        """Everything that was asked, as `HOST METHOD TARGET STATUS USER`."""
        return (self.folder / "access.log").read_text().splitlines()


@contextmanager
def serving(folder: Path, authority: Authority, pages: Mapping[str, Page], *, hg_port: int = 0) -> Iterator[OriginHost]:
    """A host with pages by `HOST/PATH`; stopped when the context ends."""
    for name in ("git", "goproxy", "trees", "temporary"):
        (folder / name).mkdir(parents=True)
    host = OriginHost(folder, free_port(), authority)
    host.let_in((USER, PASSWORD))
    (folder / "access.log").touch()
    (folder / "nginx.conf").write_text(_configuration(host, pages, hg_port))
    environment = {**inherited("PATH"), "HOME": str(folder), "GIT_CONFIG_GLOBAL": "/dev/null"}
    cgi: list[str | Path] = [_tool("fcgiwrap"), "-c", "4", "-s", f"unix:{folder}/git.sock"]
    web: list[str | Path] = [_tool("nginx"), "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]
    with (
        _whole_group(started("fcgiwrap", cgi, env=environment, cwd=folder, log=folder / "fcgiwrap.log")),
        started("nginx", web, env=environment, cwd=folder, log=folder / "nginx.log") as nginx,
    ):
        nginx.wait_until(lambda: accepts_connections(host.port), what="listening", deadline_s=DEADLINE_S)
        yield host


@contextmanager
def _whole_group(running: AbstractContextManager[RunningProcess]) -> Iterator[None]:
    """A program whose children outlive it, until the context ends."""
    with running as process:
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _tool(name: str) -> str:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or name


def _configuration(host: OriginHost, pages: Mapping[str, Page], hg_port: int) -> str:
    folder = host.folder
    rows = [
        f'"{known} {address.partition("/")[0]} /{address.partition("/")[2]}?go-get=1" "{content}";'
        for address, page in pages.items()
        for known, content in (("1", page.known), ("0", page.stranger))
        if content
    ]
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/temporary;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
{"user root;" if os.getuid() == 0 else ""}
daemon off;
pid {folder}/nginx.pid;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    log_format seen '$host $request_method $request_uri $status $remote_user';
    access_log {folder}/access.log seen;
    {temporary}
    map_hash_bucket_size 256;
    map $http_authorization $is_known {{ default 1; "" 0; }}
    map "$is_known $host $request_uri" $go_import {{ default ""; {" ".join(rows)} }}
    server {{
        listen 127.0.0.1:{host.port} ssl;
        ssl_certificate {host.authority.cert_file};
        ssl_certificate_key {host.authority.key_file};
        client_max_body_size 0;
        if ($args = go-get=1) {{ rewrite ^ /.page last; }}
        location = /.page {{
            default_type text/html;
            if ($go_import = "") {{ return 404 "no such page"; }}
            return 200 '<html><head><meta name="go-import" content="$go_import"></head></html>';
        }}
        auth_basic "private";
        auth_basic_user_file {folder}/htpasswd;
        location /goproxy/ {{ alias {folder}/goproxy/; }}
        location /hg/ {{ proxy_pass http://127.0.0.1:{hg_port or 9}/; proxy_set_header Host $host; }}
        location / {{
            fastcgi_pass unix:{folder}/git.sock;
            fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
            fastcgi_param GIT_PROJECT_ROOT {folder}/git/$host;
            fastcgi_param GIT_HTTP_EXPORT_ALL "";
            fastcgi_param PATH_INFO $uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
            fastcgi_param GIT_PROTOCOL $http_git_protocol;
            fastcgi_param REMOTE_USER $remote_user;
        }}
    }}
}}
"""
