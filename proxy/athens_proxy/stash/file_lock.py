"""Locks among processes of one machine: files in a folder that they share, held as long as their process lives."""

from __future__ import annotations

import fcntl
import hashlib
import os
import uuid
from pathlib import Path
from typing import Final

from athens_proxy.stash.lock import LEASE_S, HeldBy, Lease, LockUnavailable

_PROOF_BYTES: Final = 32


class FileLocks:
    """`Locks` by `flock`; the kernel gives back what a killed process held.

    Args:
        folder: an existing folder of these processes alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    @property
    def name(self) -> str:
        """The folder; see `Locks.name`."""
        return f"the locks in {self._folder}"

    @property
    def lease_s(self) -> float:
        """How often holders have a look; nothing lapses here."""
        return LEASE_S

    async def check(self) -> None:
        """Nothing can be wrong but the folder, and that is ours."""

    async def acquire(self, key: str) -> Lease | HeldBy:
        """Take the lock if it is free; see `Locks.acquire`."""
        try:
            return self._acquired(key)
        except OSError as error:
            raise LockUnavailable(f"{self.name}: {error.strerror}") from error

    async def renew(self, lease: Lease) -> bool:
        """Whether it is still ours, which it is until it is given back."""
        return lease.proof in self._held

    async def release(self, lease: Lease) -> None:
        """Give it back; see `Locks.release`."""
        descriptor = self._held.pop(lease.proof, None)
        if descriptor is not None:
            self._path(lease.key).unlink(missing_ok=True)
            os.close(descriptor)

    async def close(self) -> None:
        """Give everything back."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def _acquired(self, key: str) -> Lease | HeldBy:
        path = self._path(key)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, _PROOF_BYTES, 0).decode("ascii", "replace")
                os.close(descriptor)
                return HeldBy(holder)
            if _is_still(path, descriptor):
                proof = uuid.uuid4().hex
                os.pwrite(descriptor, proof.encode("ascii"), 0)
                self._held[proof] = descriptor
                return Lease(key, proof)
            os.close(descriptor)  # its holder has just given it back and removed the file

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.lock"


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
