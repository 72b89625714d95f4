"""A forge of git repositories behind TLS and basic authentication: `git http-backend` with a front.

Clients reach it through a forward proxy that leads every host to it, so that names of hosts are those of a user. It
runs on an event loop of its own.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from support.egress import Egress, leading
from support.processes import inherited

HOST = "git.example.com"
OTHER_HOST = "other.example.com"
DEADLINE_S = 30.0


@dataclass(frozen=True)
class Seen:
    """One request that reached the forge."""

    host: str
    path: str
    authorization: str


@dataclass
class Forge:
    """What a test decides about the forge, and what it sees of it; may be changed while it runs.

    Attributes:
        repositories: working trees by their path on the forge, such as `team/repo`.
        accepts: whether a user with a password may read a repository's path; asked for each request.
        behind: ports of plain http servers of hg by the paths of their repositories on the forge.
        hosts: names that lead to it.
        seen: its requests.
        instead: answers of the test's own, by host and path.
        egress: the forward proxy in front of it.
    """

    repositories: dict[str, Path] = field(default_factory=dict)
    accepts: Callable[[str, str, str], bool] = lambda user, password, path: True
    behind: dict[str, int] = field(default_factory=dict)
    hosts: Sequence[str] = (HOST, OTHER_HOST)
    seen: list[Seen] = field(default_factory=list)
    instead: dict[str, Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]] = field(default_factory=dict)
    egress: Egress = field(default_factory=lambda: Egress({}))

    def environment(self, ca_file: Path) -> dict[str, str]:
        """Variables of a process that reaches the forge and trusts its certificate."""
        return {"HTTPS_PROXY": self.egress.url, "SSL_CERT_FILE": str(ca_file)}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request."""
        header = request.headers.get("Authorization", "")
        self.seen.append(Seen(request.host, request.path_qs, header))
        special = self.instead.get(f"{request.host}{request.path}")
        if special is not None:
            return await special(request)
        path, rest = self._repository(request.path)
        if not self.accepts(*_login(header), path or request.path.strip("/")):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="forge"'}, text="no\n")
        if path is None:
            return web.Response(status=404, text="not found\n")
        if "go-get" in request.query:
            root = f"{request.host}/{path}"
            kind = f"hg https://{root}" if path in self.behind else f"git https://{root}.git"
            tag = f'<meta name="go-import" content="{root} {kind}">'
            return web.Response(text=f"<html><head>{tag}</head></html>", content_type="text/html")
        if path in self.behind:
            return await _led_on(request, self.behind[path], path)
        return await _http_backend(request, self.repositories[path] / ".git", rest)

    def _repository(self, path: str) -> tuple[str | None, str]:
        for name in sorted([*self.repositories, *self.behind], key=len, reverse=True):
            for prefix in (f"/{name}.git", f"/{name}"):
                if path == prefix or path.startswith(f"{prefix}/"):
                    return name, path.removeprefix(prefix)
        return None, ""


@contextmanager
def serving(forge: Forge, context: ssl.SSLContext) -> Iterator[Forge]:
    """The forge, reachable through its forward proxy until the context ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="forge", daemon=True)
    thread.start()
    runner, port = asyncio.run_coroutine_threadsafe(_started(forge, context), loop).result(DEADLINE_S)
    try:
        with leading(dict.fromkeys(forge.hosts, port)) as forge.egress:
            yield forge
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(DEADLINE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE_S)
        loop.close()


async def _started(forge: Forge, context: ssl.SSLContext) -> tuple[web.ServerRunner, int]:
    runner = web.ServerRunner(web.Server(forge.answer), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    return runner, runner.addresses[0][1]


async def _led_on(request: web.BaseRequest, port: int, path: str) -> web.Response:
    """The answer of the server behind, which has the repository under the last element of its path."""
    target = request.path_qs.removeprefix(f"/{path.rpartition('/')[0]}")
    headers = {name: value for name, value in request.headers.items() if name.lower().startswith(("accept", "x-hg"))}
    async with aiohttp.ClientSession() as session:
        url = URL(f"http://127.0.0.1:{port}{target}", encoded=True)
        async with session.request(request.method, url, headers=headers, data=await request.read()) as answer:
            kept = {"Content-Type": answer.headers.get("Content-Type", "")}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())


async def _http_backend(request: web.BaseRequest, repository: Path, rest: str) -> web.Response:
    body = await request.read()
    process = await asyncio.create_subprocess_exec(
        "git",
        "http-backend",
        env={
            **inherited("PATH"),
            "GIT_PROJECT_ROOT": str(repository),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": rest,
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(body)
    head, _, content = out.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
    status = int(headers.pop("Status", "200").split()[0])
    return web.Response(status=status, headers=headers, body=content)


def _login(header: str) -> tuple[str, str]:
    scheme, _, value = header.partition(" ")
    if scheme != "Basic":
        return "", ""
    user, _, password = base64.b64decode(value).decode().partition(":")
    return user, password
