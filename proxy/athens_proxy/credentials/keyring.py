"""All entries of the credentials file: which one counts at a place, and what it shows there now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from athens_proxy.credentials.entries import HTTP_KINDS, Entry, Kind
from athens_proxy.credentials.github_app import GitHubApps
from athens_proxy.credentials.goauth_command import Commands
from athens_proxy.credentials.logins import TOKEN_USER, Login, basic
from athens_proxy.credentials.places import Place, longest
from athens_proxy.credentials.secret_files import expiry_of, read_line
from athens_proxy.credentials.standings import Standings, State

_TRIES: Final = 4


class Keyring:
    """The entries and what makes logins of them.

    Args:
        entries: of the credentials file.
        apps: makes tokens of GitHub Apps.
        commands: runs commands that print credentials.
    """

    def __init__(self, entries: Sequence[Entry], *, apps: GitHubApps, commands: Commands) -> None:
        self.entries = tuple(entries)
        self.standings = Standings(self.entries)
        self._http = tuple(entry for entry in self.entries if entry.kind in HTTP_KINDS)
        self._ssh = tuple(entry for entry in self.entries if entry.kind is Kind.SSH)
        self._by_name = {entry.name: entry for entry in self.entries}
        self._apps = apps
        self._commands = commands

    def for_https(self, place: Place) -> Entry | None:
        """The entry that counts for what is asked over https."""
        return longest(self._http, place)

    def for_ssh(self, place: Place) -> Entry | None:
        """The entry that counts for what is asked over ssh."""
        return longest(self._ssh, place)

    async def login(self, entry: Entry) -> Login:
        """What the entry shows now, from its files as they are.

        Raises:
            Unusable: there is nothing to show; see the class.
        """
        match entry.kind:
            case Kind.GITHUB_APP:
                login = await self._apps.login(entry)
            case Kind.COMMAND:
                login = await self._commands.login(entry)
            case _:
                login = await asyncio.to_thread(_login_of_files, entry)
        self.standings.of(entry.name).expires = login.expires
        return login

    def refused(self, name: str, *, by: str, shown: str) -> None:
        """A server refused what the entry showed: what is made for a while is made anew.

        Args:
            name: of the entry.
            by: the server, for people.
            shown: the header that says what was shown; what was made since is kept.
        """
        self.standings.found(name, State.REFUSED, f"{by} refused it")
        self._apps.forget(self._by_name[name], shown)
        self._commands.forget(self._by_name[name], shown)


def _login_of_files(entry: Entry) -> Login:
    """The login of an entry whose secrets are files: `basic` or `token`."""
    if entry.kind is Kind.BASIC:
        user, password = _pair(entry)
        return Login(entry.name, user, password, basic(user, password), expiry_of(password))
    token = read_line(entry, "token")
    login = Login(entry.name, entry.username or TOKEN_USER, token, f"Bearer {token}", expiry_of(token))
    return replace(login, authorization=login.basic) if entry.username else login


def _pair(entry: Entry) -> tuple[str, str]:
    """User and password of one moment: a Secret that changes while they are read would give one of each."""
    pair = ("", "")
    for _ in range(_TRIES):
        before, pair = pair, (read_line(entry, "username"), read_line(entry, "password"))
        if pair == before:
            break
    return pair
