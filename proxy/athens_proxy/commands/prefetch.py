"""`athens-proxy prefetch`: make a proxy have everything that a go.sum, a list or the command line names.

Asks a running proxy (`--url`), or fetches into the store of the settings. Prints one JSON document. Exit status: 0 when
all is there, 1 when something failed or the proxy cannot be used, 2 for a wrong command line or unusable input, 130
when interrupted. Running the same command again goes on where it ended: what is stored is only asked for.
"""

from __future__ import annotations

import argparse
import base64
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvloop
from yarl import URL

from athens_proxy.commands.fetching import WORKERS, Fetched, Outcome, fetch_all
from athens_proxy.commands.own_proxy import own_proxy, settings_inside
from athens_proxy.commands.progress import ProgressBar
from athens_proxy.commands.proxy_client import RETRY_FOR_S, ProxyClient, open_client
from athens_proxy.commands.summary import failures_of, publish, tell, told
from athens_proxy.commands.wishes import UnusableInput, Wishes, add_wish_options, wishes_of
from athens_proxy.config.load import ConfigError, ReadFile
from athens_proxy.errors import CannotStart, ProxyError
from athens_proxy.upstream.hops import HttpHop, InvalidChain, parse_chain
from athens_proxy.upstream.netrc import Netrc

_REQUESTS_A_VERSION: Final = 3
_USERS: Final = (
    ("ATHENS_PREFETCH_USER", "ATHENS_PREFETCH_PASSWORD"),
    ("ATHENS_BASIC_AUTH_USER", "ATHENS_BASIC_AUTH_PASS"),
    ("BASIC_AUTH_USER", "BASIC_AUTH_PASS"),
)


def main(argv: Sequence[str], environ: Mapping[str, str], read_file: ReadFile) -> int:
    """Run the command; returns its exit status.

    Args:
        argv: what follows `prefetch`.
        environ: the process environment.
        read_file: reads configuration files.
    """
    asked = _parser().parse_args(argv)
    begun = time.monotonic()
    try:
        wishes = wishes_of(asked)
        fetched = uvloop.run(_fetched(asked, wishes, environ, read_file))
    except KeyboardInterrupt:
        return told("interrupted; run the same command again to go on", 130)
    except UnusableInput as error:
        return _failed(asked, str(error), 2)
    except (ConfigError, CannotStart, ProxyError) as error:
        return _failed(asked, str(error), 1)
    for wanted, reason in () if asked.json else fetched.failures:
        tell(f"{wanted}: {reason}")
    publish(_summary(fetched, elapsed_s=time.monotonic() - begun), as_line=asked.json)
    return 1 if fetched.failures else 0


def _summary(fetched: Fetched, *, elapsed_s: float) -> dict[str, Any]:
    return {
        "total": fetched.found,
        **{str(outcome): fetched.outcomes[outcome] for outcome in Outcome},
        "failures": failures_of(fetched.failures),
        "bytes": fetched.copied_bytes,
        "seconds": round(elapsed_s, 3),
    }


def _failed(asked: argparse.Namespace, problem: str, status: int) -> int:
    tell(problem)
    document = {"total": 0, "succeeded": 0, "failed": 0, "failures": [], "error": problem}
    publish(document, as_line=asked.json)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="athens-proxy prefetch",
        description="Make a proxy have module versions before anybody asks for them.",
        epilog="Without --url the store of the settings is filled; docs/guides/air-gap.md tells more.",
    )
    add_wish_options(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--url", metavar="URL", help="a running proxy: its GOPROXY line")
    where.add_argument(
        "-config_file", "--config_file", default="", metavar="PATH", help="settings of the store to fill"
    )
    parser.add_argument("--workers", type=_count, default=WORKERS, metavar="N", help=f"versions at a time ({WORKERS})")
    parser.add_argument(
        "--retry-for",
        type=float,
        default=RETRY_FOR_S,
        metavar="SECONDS",
        help="how long a proxy that cannot be reached is asked again, while nothing succeeds (60)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one line and nothing else")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("use a number from 1 to 64")
    return int(text)


async def _fetched(
    asked: argparse.Namespace, wishes: Wishes, environ: Mapping[str, str], read_file: ReadFile
) -> Fetched:
    async with AsyncExitStack() as closing:
        client = await closing.enter_async_context(_client(asked, environ, read_file))
        if not asked.url:
            for wish in wishes.values():
                wish.needs_zip = True  # a store holds whole versions
        progress = ProgressBar(sys.stderr)
        closing.callback(progress.close)
        return await fetch_all(client, wishes, workers=asked.workers, on_progress=progress.show)


@asynccontextmanager
async def _client(
    asked: argparse.Namespace, environ: Mapping[str, str], read_file: ReadFile
) -> AsyncIterator[ProxyClient]:
    connections = asked.workers * _REQUESTS_A_VERSION
    if not asked.url:
        config = settings_inside(asked.config_file, environ, read_file)
        async with own_proxy(config, environ, connections=connections) as client:
            yield client
        return
    url, headers = _address(asked.url, environ)
    async with open_client(
        url, name=str(url), retry_for_s=asked.retry_for, headers=headers, connections=connections
    ) as client:
        yield client


def _address(text: str, environ: Mapping[str, str]) -> tuple[URL, dict[str, str]]:
    """Where the proxy is, and the credential for it.

    What the environment names is meant for this very proxy and goes to it whatever the scheme, as inside a cluster;
    a user in the address and `.netrc` are only used over https, as by the go command.

    Raises:
        UnusableInput: the text is no address of a proxy.
    """
    try:
        hop = parse_chain(text)[0].hop
    except InvalidChain as error:
        raise UnusableInput(f"--url: {error}") from error
    if not isinstance(hop, HttpHop):
        raise UnusableInput(f"--url {text}: write the address of a proxy, as in https://modules.example.com")
    for user_name, password_name in _USERS:
        user, password = _variable(environ, user_name), _variable(environ, password_name)
        if user:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            return hop.url, {"Authorization": f"Basic {token}"}
    known = Netrc.of(environ, {"NETRC": environ.get("NETRC", "")}).authorizations if hop.url.scheme == "https" else {}
    machines = (hop.url.raw_authority, hop.url.host or "")
    authorization = hop.authorization or next((known[machine] for machine in machines if machine in known), "")
    return hop.url, {"Authorization": authorization} if authorization else {}


def _variable(environ: Mapping[str, str], name: str) -> str:
    """A value, or what the file holds that `NAME_FILE` names.

    Raises:
        UnusableInput: that file cannot be read.
    """
    file = environ.get(f"{name}_FILE", "")
    if not file:
        return environ.get(name, "")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableInput(f"{name}_FILE: {file} cannot be read: {error}") from error
