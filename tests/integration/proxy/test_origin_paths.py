"""Module paths that do not name their repository: `x.git/…`, and vanity paths whose web page names it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from support.authority import Authority
from support.exchange import Answer
from support.proxy_process import ModuleProxy, Settings, running_beside
from support.sample_modules import Repositories

VANITY = "go.example.com"
PAGES = {
    "/widget": "go.example.com/widget git https://github.com/acme/widget",
    "/nowhere": "go.example.com/nowhere git https://github.com/acme/nothing",
    "/elsewhere": "go.example.com/other git https://github.com/acme/widget",
    "/option": "go.example.com/option git --upload-pack=touch",
    "/file": "go.example.com/file git file:///etc",
}


async def page(request: web.Request) -> web.Response:
    """The page of a vanity path; the go command asks with `?go-get=1`."""
    content = PAGES.get(request.path)
    if content is None or request.query_string != "go-get=1":
        return web.Response(status=404, text="no such page")
    return web.Response(
        text=f'<html><head><meta name="go-import" content="{content}"></head></html>', content_type="text/html"
    )


@asynccontextmanager
async def vanity_host(authority: Authority) -> AsyncIterator[str]:
    """The address of a forward proxy whose every tunnel ends at a web server with the certificate of `VANITY`."""
    application = web.Application()
    application.router.add_get("/{path:.*}", page)
    server = TestServer(application, host="127.0.0.1", scheme="https")
    await server.start_server(ssl=authority.serving())

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(carried(reader, back), carried(there, writer))

    forward = await asyncio.start_server(tunnel, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{forward.sockets[0].getsockname()[1]}"
    finally:
        forward.close()
        await server.close()


async def carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything that comes goes on, until either end is closed."""
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def proxy(repositories: Repositories, tmp_path: Path) -> AsyncIterator[ModuleProxy]:
    """Our proxy in front of origins that are found by `.git` or by a page."""
    (tmp_path / "authority").mkdir()
    authority = Authority.made(tmp_path / "authority", VANITY)
    config = tmp_path / "gitconfig"
    aliases = "".join(f"\tinsteadOf = https://{host}/\n" for host in ("github.com", "git.example.com"))
    config.write_text(f'[url "file://{repositories.root}/"]\n{aliases}')
    env = {"SSL_CERT_FILE": str(authority.ca_file)}
    async with vanity_host(authority) as forward:
        own = (f"GIT_CONFIG_GLOBAL={config}", "GIT_ALLOW_PROTOCOL=file:https", f"HTTPS_PROXY={forward}")
        go_env = (*repositories.go_env(), *own)
        async with running_beside(tmp_path / "proxy", Settings("direct", go_env, env=env)) as running:
            yield running


async def test_repositories_are_found_by_their_suffix_and_by_their_page(proxy: ModuleProxy) -> None:
    async def asked(path: str, file: str) -> Answer:
        return await asyncio.to_thread(proxy.ask, f"/{path}/@v/{file}")

    for path in ("git.example.com/acme/widget.git", f"{VANITY}/widget"):
        assert (await asked(path, "list")).text == "v1.0.0\nv1.2.0\n"
        assert (await asked(path, "v1.0.0.info")).text.startswith('{"Version":"v1.0.0"')
        assert (await asked(path, "v1.0.0.zip")).status == 200
        assert (await asked(path, "nobranch.info")).status == 404
    # A repository's suffix may stand in the middle, and then names a folder of it.
    assert (await asked("git.example.com/acme/widget.git/sub", "v1.0.0.info")).status == 404
    for name in ("nowhere", "elsewhere", "option", "nopage"):
        answer = await asked(f"{VANITY}/{name}", "list")
        assert (answer.status, answer.text[:11]) == (404, "not found: "), answer.text
    assert "Traceback" not in proxy.process.logged()
