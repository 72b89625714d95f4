"""The contract of a lock service that replicas share, and the values that cross it.

A lock is thrift, not correctness: the commit rule of the store keeps concurrent saves whole. A lock that fails in any
way therefore costs a second fetch at worst, and nothing here may fail a request.

Keys are Athens' own, `module@version`, so that Athens and this proxy can share a service during a migration.
Source: github.com/gomods/athens pkg/stash/with_*.go
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

LEASE_S: Final = 15.0


class LockUnavailable(Exception):
    """The service cannot be asked now; the text names it and says why."""


class LockRefused(LockUnavailable):
    """The service answers and refuses our settings: a wrong password, a wrong kind of server."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lock that is ours until it lapses.

    Attributes:
        key: what is locked.
        proof: tells our hold from everybody else's; only the service that made it can read it.
    """

    key: str
    proof: str


@dataclass(frozen=True, slots=True)
class HeldBy:
    """Somebody else's hold; `holder` differs between two holds of one key."""

    holder: str


class Locks(Protocol):
    """Short leases by key, at most one holder at a time while the service lives.

    Every method but `close` raises `LockUnavailable` within a few seconds when the service does not answer.
    """

    @property
    def name(self) -> str:
        """The service for messages, without credentials."""

    @property
    def lease_s(self) -> float:
        """Seconds after which a hold lapses unless it is renewed."""

    async def check(self) -> None:
        """Succeed when the service works.

        Raises:
            LockRefused: asking again will not help, the settings must change.
        """

    async def acquire(self, key: str) -> Lease | HeldBy:
        """Take the lock if it is free; never waits for its holder."""

    async def renew(self, lease: Lease) -> bool:
        """Hold it for another `lease_s`; False when it has lapsed or somebody else has it."""

    async def release(self, lease: Lease) -> None:
        """Give it back; somebody else's hold is left alone."""

    async def close(self) -> None:
        """Release connections."""
