"""Tries each entry now and then, so that whoever runs the proxy hears of a dead one before the developers do.

An entry is tried at the repository it was last used for, else at one that does not exist: servers of repositories ask
strangers for a login there, and tell those they know that there is nothing. Where that shows no difference, nothing is
claimed; nor where it is refused there, since a token for one project alone is.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from yarl import URL

from athens_proxy.credentials.entries import FILE_KINDS, Entry, Kind
from athens_proxy.credentials.github_app import Unreachable
from athens_proxy.credentials.keyring import Keyring
from athens_proxy.credentials.secret_files import Unusable, fingerprint
from athens_proxy.credentials.ssh_files import ssh_arguments
from athens_proxy.credentials.standings import State
from athens_proxy.upstream.answers import one_line, words_of
from athens_proxy.upstream.outbound import OutboundProxies
from athens_proxy.upstream.process import run

EVERY_S: Final = 300.0
LOOK_S: Final = 10.0
_TIMEOUT_S: Final = 30.0
_REFUSALS: Final = frozenset({401, 403})
_NO_SUCH: Final = "athens-proxy/probe"
_SSH_FAILED: Final = 255
_LOG: Final = logging.getLogger(__name__)

Verdict = tuple[State, str]


@dataclass(slots=True)
class _Tried:
    """When an entry was tried last, and with which files."""

    at_s: float
    files: str


class Probes:
    """Tries the entries of a keyring.

    Args:
        keyring: is told what was learnt.
        session: for https.
        outbound: forward proxies on the way.
        environ: of the process; ssh gets PATH and HOME of it.
        folder: a private one, for keys.
    """

    def __init__(
        self,
        keyring: Keyring,
        session: aiohttp.ClientSession,
        *,
        outbound: OutboundProxies,
        environ: Mapping[str, str],
        folder: Path,
    ) -> None:
        self._keyring = keyring
        self._session = session
        self._outbound = outbound
        self._environ = {name: environ[name] for name in ("PATH", "HOME") if name in environ}
        self._folder = folder
        self._tried: dict[str, _Tried] = {}

    async def run(self) -> None:
        """Try entries until cancelled: when their files change, and every five minutes."""
        while True:
            for entry in self._keyring.entries:
                await self._look(entry)
            await asyncio.sleep(LOOK_S)

    async def _look(self, entry: Entry) -> None:
        files = await asyncio.to_thread(fingerprint, entry)
        tried = self._tried.get(entry.name)
        is_new = tried is None or tried.files != files
        if tried is not None and not is_new and time.monotonic() - tried.at_s < EVERY_S:
            return
        self._tried[entry.name] = _Tried(time.monotonic(), files)
        state, message = await self.verdict(entry)
        standing = self._keyring.standings.of(entry.name)
        if state is State.UNKNOWN and not is_new and standing.state is not State.UNREACHABLE:
            return  # what fetches have met says more
        if (state, message) != (standing.state, standing.message) and state not in (State.VALID, State.UNKNOWN):
            _LOG.warning("credential %s: %s: %s", entry.name, state, message)
        self._keyring.standings.found(entry.name, state, message)

    async def verdict(self, entry: Entry) -> Verdict:
        """What an entry is worth now."""
        if entry.kind in FILE_KINDS:
            return State.UNKNOWN, "a whole file is not tried"
        try:
            return await (self._over_ssh(entry) if entry.kind is Kind.SSH else self._over_https(entry))
        except Unreachable as problem:
            return State.UNREACHABLE, str(problem)
        except Unusable as problem:
            return State.REFUSED, str(problem)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return State.UNREACHABLE, words_of(error) if str(error) else "no answer in time"

    async def _over_https(self, entry: Entry) -> Verdict:
        if entry.match is None:
            raise AssertionError("only whole files are for no place")
        login = await self._keyring.login(entry)
        if entry.kind is Kind.GITHUB_APP:
            return State.VALID, ""  # GitHub has just made or checked it
        used_at = self._keyring.standings.of(entry.name).used_at
        path = used_at or "/".join((*entry.match.path, f"{_NO_SUCH}.git"))
        url = URL.build(scheme="https", authority=entry.match.authority, path=f"/{path.strip('/')}/info/refs")
        url = url.with_query(service="git-upload-pack")
        known, stranger = await self._status(url, login.basic), await self._status(url, "")
        if known in _REFUSALS and not used_at:
            return State.UNKNOWN, f"{entry.match.host} refuses it where no repository is; it has not been used yet"
        if known in _REFUSALS:
            self._keyring.refused(entry.name, by=entry.match.host, shown=login.authorization)
            return State.REFUSED, f"{entry.match.host} refused it"
        if known == 429 or known >= 500:
            return State.UNREACHABLE, f"{entry.match.host} answered {known}"
        if stranger in _REFUSALS or (known == 200 and stranger == 404):
            return State.VALID, ""
        return State.UNKNOWN, f"{entry.match.host} answers strangers alike"

    async def _status(self, url: URL, authorization: str) -> int:
        async with self._session.get(
            url,
            headers={"Authorization": authorization} if authorization else {},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
            proxy=self._outbound.for_url(url),
        ) as answer:
            return answer.status

    async def _over_ssh(self, entry: Entry) -> Verdict:
        if entry.match is None:
            raise AssertionError("only whole files are for no place")
        path = self._keyring.standings.of(entry.name).used_at or "/".join(("", *entry.match.path, _NO_SUCH))
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="probe-", dir=self._folder))
        try:
            arguments = await asyncio.to_thread(ssh_arguments, entry, folder)
            quoted = path.replace("'", "'\\''")
            target = [f"{entry.username or 'git'}@{entry.match.host}", f"git-upload-pack '{quoted}'"]
            argv = ["ssh", *arguments, "-T", "--", *target]
            done = await run(argv, environment=self._environ, directory=folder, timeout_s=_TIMEOUT_S)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
        said = done.stderr.decode("utf-8", "replace").strip()
        if done.exit_code != _SSH_FAILED:
            return State.VALID, ""
        last = one_line((said.splitlines() or ["ssh failed without a word"])[-1].encode())
        return (State.REFUSED if "Permission denied" in said else State.UNREACHABLE), last
