"""A login of `~/.netrc` that a server refused: git does not say so.

It shows the login, is refused, and then asks for a user name, as if there were none. Absence would be a lie: after a
404 the go command takes the private name to the next proxy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from athens_proxy.errors import CredentialRefused, ModuleNotFound, ProxyError
from athens_proxy.upstream.homes import Home

_ASKED_FOR: Final = re.compile(r"could not read (?:Username|Password) for 'https://(?:[^'/@]*@)?([^':/]+)[^']*'")
_MACHINE: Final = re.compile(r"(?:^|\s)machine\s+(\S+)")
_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class HomeWithNetrc:
    """A `Home` that knows the machines of its netrc file, which may be gone when it is asked.

    Attributes:
        home: the home of the run.
        machines: the hosts that have a login there.
    """

    home: Home
    machines: frozenset[str]

    @property
    def environment(self) -> Mapping[str, str]:
        """The whole environment of the run."""
        return self.home.environment

    def explained(self, error: ProxyError) -> ProxyError:
        """What the home says, or that the login of the netrc file was refused."""
        explained = self.home.explained(error)
        asked = _ASKED_FOR.search(str(explained)) if isinstance(explained, ModuleNotFound) else None
        if asked is None or asked[1] not in self.machines:
            return explained
        attempt = str(explained).removeprefix("not found: ").partition(": ")[0]
        refused = f"{asked[1]} refused the login that the netrc file has for it"
        return CredentialRefused(f"{attempt}: {refused} (check the credential for that host)")

    def masked(self, text: str) -> str:
        """See `Home.masked`."""
        return self.home.masked(text)

    async def is_outdated(self) -> bool:
        """See `Home.is_outdated`."""
        return await self.home.is_outdated()


def with_netrc(home: Home) -> Home:
    """The home with what its netrc file says now; blocks for a read."""
    path = home.environment.get("NETRC") or f"{home.environment.get('HOME', '')}/.netrc"
    try:
        with Path(path).open("rb") as opened:
            text = opened.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return home
    return HomeWithNetrc(home, frozenset(_MACHINE.findall(text)))
