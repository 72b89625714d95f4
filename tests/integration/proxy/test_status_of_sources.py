"""Failures that need more than a broken upstream proxy: a full disk, an origin that wants a login, changed bytes."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.failed_fetch import downloaded, held
from support.go_client import GoClient
from support.go_test_proxy import SUMDB_KEY, SUMDB_NAME, GoTestProxy
from support.goproxy_server import GoProxyServer, status
from support.modules_fixture import SampleModule, write_file_proxy
from support.proxy_process import Settings, running_beside

STORE_BYTES = 96 * 1024
SMALL = SampleModule("example.com/small", "v1.0.0")
BIG = SampleModule("example.com/big", "v1.0.0", {"data": random.Random(1).randbytes(3 * STORE_BYTES)})
NOT_FOUND, BAD_GATEWAY, UNAVAILABLE = "404 Not Found", "502 Bad Gateway", "503 Service Unavailable"


@pytest.fixture
def small_store(tmp_path: Path) -> Iterator[Path]:
    """A folder for a proxy whose store is a file system of `STORE_BYTES`."""
    store = tmp_path / "proxy" / "store"
    store.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={STORE_BYTES}", "none", store], check=True)
    yield store.parent
    subprocess.run(["umount", store], check=True)


async def test_a_full_disk_is_a_503_that_says_so_and_what_is_stored_is_still_served(
    small_store: Path, tmp_path: Path
) -> None:
    async with (
        GoProxyServer([SMALL, BIG]).running() as upstream,
        running_beside(small_store, Settings(upstream.url)) as proxy,
    ):
        stored_code, stored_error = await downloaded(GoClient(tmp_path / "first", proxy.url), SMALL)
        code, error = await downloaded(GoClient(tmp_path / "second", proxy.url), BIG)
        left = await held(proxy.store, BIG)
        again = await asyncio.to_thread(proxy.ask, "/example.com/small/@v/v1.0.0.zip")

    assert (stored_code, stored_error) == (0, "")
    assert code != 0
    assert UNAVAILABLE in error
    assert "no space left" in error
    assert left == []
    assert (again.status, again.body) == (200, SMALL.zip)


@pytest.mark.parametrize(
    ("name", "says", "text"),
    [("closed", NOT_FOUND, "not found: "), ("opened", BAD_GATEWAY, "credential")],
    ids=["no-credential", "refused-credential"],
)
async def test_an_origin_that_wants_a_credential_has_what_it_wants_or_is_not_there(
    name: str, says: str, text: str, tmp_path: Path
) -> None:
    wanted = SampleModule(f"github.com/acme/{name}", "v1.0.0")
    async with GoProxyServer().running() as origin:
        origin.faults["*"] = status(401, "log in", headers={"WWW-Authenticate": 'Basic realm="acme"'})
        with_password = origin.url.replace("http://", "http://reader:s3cret@")
        (tmp_path / "gitconfig").write_text(
            f'[url "{origin.url}/closed"]\n\tinsteadOf = https://github.com/acme/closed\n'
            f'[url "{with_password}/opened"]\n\tinsteadOf = https://github.com/acme/opened\n'
        )
        git_env = (f"GIT_CONFIG_GLOBAL={tmp_path / 'gitconfig'}", "GIT_CONFIG_NOSYSTEM=1", "GIT_ALLOW_PROTOCOL=http")
        async with running_beside(tmp_path / "proxy", Settings("direct", ("GOSUMDB=off", *git_env))) as proxy:
            code, error = await downloaded(GoClient(tmp_path / "user", proxy.url), wanted)
            left = await held(proxy.store, wanted)

    assert code != 0
    assert says in error
    assert text in error.partition("server response:")[2]
    assert "s3cret" not in error
    assert left == []
    assert origin.requests.total() > 0


async def test_a_wrong_checksum_is_a_502_that_shows_both_sums_to_the_user(
    go_test_proxy: GoTestProxy, tmp_path: Path
) -> None:
    evil = SampleModule("rsc.io/quote", "v1.5.2", {"quote.go": b"package quote // evil\n"})
    root = write_file_proxy(tmp_path / "evil", [evil])
    settings = Settings(
        f"file://{root},{go_test_proxy.url}",
        (f"GOSUMDB={SUMDB_KEY}",),
        env={"ATHENS_SUM_DBS": f"https://{SUMDB_NAME}"},
    )
    async with running_beside(tmp_path / "proxy", settings) as proxy:
        code, error = await downloaded(GoClient(tmp_path / "user", proxy.url), evil)
        left = [name for name in await held(proxy.store, evil) if not name.startswith(".athens/sumdb/")]

    assert code != 0
    assert BAD_GATEWAY in error
    assert "checksum mismatch: upstream sent h1:" in error
    assert f"{SUMDB_NAME} has h1:" in error
    assert left == []
