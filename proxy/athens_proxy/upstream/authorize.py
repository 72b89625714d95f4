"""What a request to a module proxy shows: the one contract between our HTTP client and those who know credentials."""

from __future__ import annotations

from typing import Final, Protocol

from yarl import URL


class Authorize(Protocol):
    """Knows the credential for an address."""

    async def __call__(self, url: URL) -> str:
        """The value of the Authorization header, "" for none; asked for each request, so that a new one counts.

        Raises:
            CredentialUnusable: there is one that cannot be used.
        """

    def refused(self, url: URL, shown: str) -> None:
        """The server refused what was shown; asked again, this may know something else."""


class Nothing:
    """Shows nothing to anybody; an `Authorize`."""

    async def __call__(self, url: URL) -> str:
        """Nothing."""
        return ""

    def refused(self, url: URL, shown: str) -> None:
        """There was nothing to refuse."""


SHOW_NOTHING: Final = Nothing()
