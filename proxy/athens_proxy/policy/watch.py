"""Keeps the enforced policy equal to its file: one `stat` a second, parsing only when the file changed.

The signature follows symbolic links, so the swap of a ConfigMap's `..data` link is seen like a write. A file that is
missing or bad is refused and the last good policy stays.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from athens_policy.decide import digest
from athens_proxy.policy.enforced import EnforcedPolicy, Refusal
from athens_proxy.policy.source import PolicyRefused, load_file, read_policy

POLL_INTERVAL_S: Final = 1.0
_LOG = logging.getLogger(__name__)
_Signature = tuple[int, int, int, int] | None


class PolicyWatch:
    """Polls one file and swaps the policy.

    Args:
        path: the download file.
        enforced: the policy that is swapped; it was loaded from this file.
        on_reload: told `success` or `failure` after each attempt.
    """

    def __init__(self, path: Path, enforced: EnforcedPolicy, *, on_reload: Callable[[str], None]) -> None:
        self._path = path
        self._enforced = enforced
        self._on_reload = on_reload
        self._signature: _Signature = None
        self._is_first_look = True

    async def run(self, *, interval_s: float = POLL_INTERVAL_S) -> None:
        """Look at the file for ever; cancel to stop."""
        while True:
            await self.look()
            await asyncio.sleep(interval_s)

    async def look(self) -> None:
        """Load the file if it is not what was last looked at."""
        signature = _signature(self._path)
        if signature == self._signature and not self._is_first_look:
            return
        self._is_first_look = False
        self._signature = signature
        try:
            await self._load()
        except PolicyRefused as error:
            self._refuse(Refusal(str(error), datetime.now(UTC), error.digest))
        except Exception as error:  # noqa: BLE001 - an outermost edge: a defect must not end the watch
            _LOG.exception("policy reload failed")
            self._refuse(Refusal(f"{type(error).__name__} while loading", datetime.now(UTC), ""))

    async def _load(self) -> None:
        data = await asyncio.to_thread(_read_regular, self._path)
        if digest(data) == self._enforced.loaded.digest:
            self._enforced.unrefuse()
            return
        loaded = await load_file(self._path, data)
        self._enforced.swap(loaded)
        self._on_reload("success")
        _LOG.info("policy loaded", extra={"digest": loaded.digest, "rules": len(loaded.file.blocks)})

    def _refuse(self, refusal: Refusal) -> None:
        self._enforced.refuse(refusal)
        self._on_reload("failure")
        _LOG.error(
            "policy refused, the last good one stays in force: %s",
            refusal.message,
            extra={"digest": refusal.digest, "enforced": self._enforced.loaded.digest},
        )


def _read_regular(path: Path) -> bytes:
    """The policy's bytes; a pipe would keep the watch until somebody writes into it, a device for ever."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise PolicyRefused(f"open {path}: it is no regular file")
    return read_policy(path)


def _signature(path: Path) -> _Signature:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)
