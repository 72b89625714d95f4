"""The home that a run of the go command gets: the one contract between those who run it and those who know credentials.

Without credentials of our own the run has the home of the proxy's user, if that has one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from athens_proxy.errors import ProxyError
from athens_proxy.modules import ModulePath


class Home(Protocol):
    """What one run has."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The whole environment of the run."""

    def explained(self, error: ProxyError) -> ProxyError:
        """The error of a failed run, or a more telling one; asked after the run."""

    def masked(self, text: str) -> str:
        """A text of the run without the logins that it was given."""

    async def is_outdated(self) -> bool:
        """Whether a credential of the run has another value by now, so that another run may fare better."""


class Homes(Protocol):
    """Gives homes."""

    def open(self, path: ModulePath, environment: Mapping[str, str]) -> AbstractAsyncContextManager[Home]:
        """A home for a run about one module; nothing of it is left when the context ends.

        Args:
            path: the module's.
            environment: what the run would have without it.

        Raises:
            StorageError: it cannot be made.
        """


@dataclass(frozen=True, slots=True)
class UserHome:
    """The home of the proxy's user."""

    environment: Mapping[str, str]

    def explained(self, error: ProxyError) -> ProxyError:
        """The error itself."""
        return error

    def masked(self, text: str) -> str:
        """The text: what the user has is not known here."""
        return text

    async def is_outdated(self) -> bool:
        """Never: what the user has is not known here."""
        return False


class UserHomes:
    """Gives the home of the proxy's user to every run."""

    @asynccontextmanager
    async def open(self, path: ModulePath, environment: Mapping[str, str]) -> AsyncIterator[UserHome]:
        """The environment as it is."""
        yield UserHome(environment)
