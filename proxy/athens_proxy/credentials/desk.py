"""The proxy's side of the socket at which git, ssh and go ask for credentials; one question per connection.

The socket lies in a folder that only this user can enter. A question names the run it belongs to, and counts only
while that run lasts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shlex
import socket
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from athens_proxy.credentials.ask import SOCKET, Lines, parsed
from athens_proxy.credentials.entries import Entry
from athens_proxy.credentials.keyring import Keyring
from athens_proxy.credentials.logins import Login
from athens_proxy.credentials.places import Place
from athens_proxy.credentials.secret_files import Unusable, fingerprint
from athens_proxy.credentials.ssh_files import ssh_arguments
from athens_proxy.upstream.answers import secrets_of, without_secrets

_MAX_QUESTION_BYTES: Final = 64 * 1024
_PATIENCE_S: Final = 60.0
_NETRC_PASSWORD: Final = re.compile(r"(?:^|\s)password\s+(\S+)")
_LOG: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Run:
    """One run of the go command, as the desk sees it.

    Attributes:
        home: its private folder.
        module: the place that the module's path names.
        shown: the names of the entries that were shown to a server, with the Authorization header that says the same
            as what was shown last; "" over ssh.
        refused: names of those that a server refused.
        problems: why an entry could not be shown, in one line each.
        taken: what the run was given first of each entry or file, and how to find out what it would be given now.
    """

    home: Path
    module: Place
    shown: dict[str, str] = field(default_factory=dict, repr=False)
    refused: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    taken: dict[str, tuple[object, Callable[[], Awaitable[object]]]] = field(default_factory=dict, repr=False)

    def masked(self, text: str) -> str:
        """The text without the logins that the run was given: a server that refuses one may quote it."""
        for value, _ in self.taken.values():
            if isinstance(value, Login):
                text = without_secrets(text, [*secrets_of(value.authorization), *secrets_of(value.basic)])
            elif isinstance(value, bytes):
                passwords = _NETRC_PASSWORD.findall(value.decode("utf-8", "replace"))
                text = without_secrets(text, passwords)
        return text

    async def is_outdated(self) -> bool:
        """Whether something that the run was given has another value by now."""
        for value, present in self.taken.values():
            with contextlib.suppress(Unusable):
                if await present() != value:
                    return True
        return False


class Desk:
    """Answers questions.

    Args:
        keyring: the entries.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._runs: dict[str, Run] = {}

    def begin(self, name: str, run: Run) -> None:
        """Answer questions of a run from now on."""
        self._runs[name] = run

    def end(self, name: str) -> None:
        """Answer no more questions of it."""
        self._runs.pop(name, None)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                question = (await reader.readuntil(b"\n\n")).decode("utf-8", "surrogateescape")
                answer = await self._answer(defaultdict(str, parsed(question)))
                text = "".join(f"{name}={value}\n" for name, value in answer)
                writer.write(text.encode("utf-8", "surrogateescape"))
                await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            _LOG.warning("a question for a credential was not answered: %s", type(error).__name__)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, question: Mapping[str, str]) -> Lines:
        run = self._runs.get(question["run"])
        if run is None:
            return [("error", "this fetch has ended")]
        try:
            match question["ask"]:
                case "git":
                    return await self._git(run, question)
                case "go":
                    return await self._go(run, question["url"], was_refused=question["status"] == "401")
                case _:
                    return await self._ssh(run, question)
        except Unusable as problem:
            run.problems.append(str(problem))
            return [("error", str(problem)), ("quit", "1")]

    async def _git(self, run: Run, question: Mapping[str, str]) -> Lines:
        """Git asks for a login, or says what became of one."""
        if question["protocol"] != "https":
            return []
        place = Place.of_authority(question["host"], question["path"])
        entry = self._keyring.for_https(place)
        if entry is None:
            return []
        operation = question["operation"]
        if operation == "get":
            login = await self._shown(run, entry)
            self._keyring.standings.of(entry.name).used_at = question["path"]
            return [("username", login.user), ("password", login.password)]
        if operation == "store":
            self._keyring.standings.is_good(entry.name)
        elif operation == "erase":
            self._refused(run, entry, place)
        return []

    async def _go(self, run: Run, url: str, *, was_refused: bool) -> Lines:
        """The go command asks for headers: at first for all it may need, then for an address that answered 4xx.

        It looks for the longest known prefix of the address, query included, so that the pages of a module's path have
        to be listed one by one.
        """
        lines = []
        for address, place in _addresses(url) if url else _pages(run.module):
            entry = self._keyring.for_https(place)
            if entry is not None:
                if was_refused and entry.name in run.shown:
                    self._refused(run, entry, place)
                login = await self._shown(run, entry)
                lines += [address, "", f"Authorization: {login.basic}", ""]
        return [("line", line) for line in lines]

    async def _ssh(self, run: Run, question: Mapping[str, str]) -> Lines:
        path = _repository(question["command"])
        place = Place.of(question["host"].strip("[]"), None, path)
        entry = self._keyring.for_ssh(place)
        if entry is None:
            return []
        present = partial(_files, entry)
        run.taken.setdefault(entry.name, (await present(), present))
        arguments = await asyncio.to_thread(ssh_arguments, entry, run.home)
        run.shown[entry.name] = ""
        self._keyring.standings.of(entry.name).used_at = path
        return [("username", entry.username or "git"), *(("argument", argument) for argument in arguments)]

    def _refused(self, run: Run, entry: Entry, place: Place) -> None:
        run.refused.append(entry.name)
        self._keyring.refused(entry.name, by=place.host, shown=run.shown.get(entry.name, ""))

    async def _shown(self, run: Run, entry: Entry) -> Login:
        login = await self._keyring.login(entry)
        run.taken.setdefault(entry.name, (login, partial(self._keyring.login, entry)))
        run.shown[entry.name] = login.authorization
        return login


async def _files(entry: Entry) -> str:
    """What changes when the files of the entry do."""
    return await asyncio.to_thread(fingerprint, entry)


def _repository(command: str) -> str:
    """The repository in git's or hg's remote command; svn names it later, to the other side alone."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    if "-R" in words[:-1]:
        return words[words.index("-R") + 1]
    return words[-1] if len(words) > 1 and not words[-1].startswith("-") else ""


def desk_socket(folder: Path) -> socket.socket:
    """A socket to serve at, in a folder whose path may be longer than the address of a socket may be."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    descriptor = os.open(folder, os.O_PATH)
    try:
        made.bind(f"/proc/self/fd/{descriptor}/{SOCKET}")
    except OSError:
        made.close()
        raise
    finally:
        os.close(descriptor)
    return made


def _addresses(url: str) -> list[tuple[str, Place]]:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return []
    return [(url, Place.of(parts.hostname, parts.port, parts.path))]


def _pages(module: Place) -> list[tuple[str, Place]]:
    """Each prefix of a module's path as the address of its page with go-import tags."""
    pages = []
    for length in range(len(module.path) + 1):
        place = Place(module.host, None, module.path[:length])
        address = "/".join((f"https://{module.host}", *place.path))
        pages += [(address, place), (f"{address}?go-get=1", place)]
    return pages
