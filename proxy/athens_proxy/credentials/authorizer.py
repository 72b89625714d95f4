"""What our own requests to module proxies show: the entry for the place, else what netrc has for the machine.

Source: docs/credentials-file.md; cmd/go/internal/auth/netrc.go
"""

from __future__ import annotations

from collections.abc import Callable

from yarl import URL

from athens_proxy.credentials.entries import Entry
from athens_proxy.credentials.keyring import Keyring
from athens_proxy.credentials.places import Place
from athens_proxy.credentials.secret_files import Unusable
from athens_proxy.errors import CredentialUnusable
from athens_proxy.upstream.netrc import Netrc


class Authorizer:
    """Gives the Authorization header for an address; an `Authorize`.

    Args:
        keyring: the entries of the credentials file.
        read_netrc: what the netrc files say now.
    """

    def __init__(self, keyring: Keyring, read_netrc: Callable[[], Netrc]) -> None:
        self._keyring = keyring
        self._read_netrc = read_netrc

    async def __call__(self, url: URL) -> str:
        """The header's value, "" for none; always none for plain http.

        Raises:
            CredentialUnusable: there is an entry for the address, and it cannot be used.
        """
        if url.scheme != "https":
            return ""
        entry = self._entry(url)
        if entry is None:
            return self._read_netrc().authorization(url)  # one small file: a hop to a thread costs more
        try:
            login = await self._keyring.login(entry)
        except Unusable as problem:
            raise CredentialUnusable(f"asking {url.origin()}: {problem}") from problem
        return login.authorization

    def refused(self, url: URL, shown: str) -> None:
        """The server did not take it."""
        entry = self._entry(url)
        if entry is not None:
            self._keyring.refused(entry.name, by=url.host or "a server", shown=shown)

    def _entry(self, url: URL) -> Entry | None:
        return self._keyring.for_https(Place.of(url.host or "", url.port, url.path))
