"""Where a policy comes from (Athens' `DownloadMode` value) and how its bytes become one."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from athens_policy import go_base64
from athens_policy.decide import digest
from athens_policy.model import MAX_BYTES, DownloadFile
from athens_policy.parse import parse, parse_setting
from athens_policy.render import render_file
from athens_proxy.policy.enforced import LoadedPolicy

FILE_PREFIX: Final = "file:"
CUSTOM_PREFIX: Final = "custom:"
# Below this size parsing takes some milliseconds; above, it would hold up the event loop even from a thread.
INLINE_BYTES: Final = 8 * 1024
PARSE_DEADLINE_S: Final = 60.0


class PolicyRefused(Exception):
    """The policy cannot be enforced; `digest` is of the offered bytes, "" if there were none."""

    def __init__(self, message: str, *, offered_digest: str = "") -> None:
        super().__init__(message)
        self.digest = offered_digest


def policy_file(setting: str) -> Path | None:
    """The file of a `file:` setting, None for other settings."""
    return Path(setting.removeprefix(FILE_PREFIX)) if setting.startswith(FILE_PREFIX) else None


def load_setting(setting: str, *, download_url: str) -> LoadedPolicy:
    """The policy of a setting, parsed in this process; for the start.

    Raises:
        PolicyRefused: it cannot be read or parsed.
    """
    path = policy_file(setting)
    if path is not None:
        data = read_policy(path)
        return _loaded(_parsed(parse, data), data, setting)
    try:
        file = parse_setting(setting, lambda path: Path(path).read_text(), download_url)
    except ValueError as error:
        raise PolicyRefused(str(error)) from error
    if setting.startswith(CUSTOM_PREFIX):
        return _loaded(file, go_base64.decoded(setting.removeprefix(CUSTOM_PREFIX)), "custom")
    return _loaded(file, render_file(file).encode(), setting)


async def load_file(path: Path, data: bytes) -> LoadedPolicy:
    """The policy in these bytes of a file; large ones are parsed in a process of their own.

    Raises:
        PolicyRefused: it cannot be parsed.
    """
    blocking = _parsed_here if len(data) <= INLINE_BYTES else _parsed_in_process
    return _loaded(await asyncio.to_thread(blocking, data), data, f"{FILE_PREFIX}{path}")


def read_policy(path: Path) -> bytes:
    """The bytes of a policy file, at most one more than a policy may have.

    Raises:
        PolicyRefused: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PolicyRefused(f"open {path}: {(error.strerror or str(error)).lower()}") from error


def _loaded(file: DownloadFile, data: bytes, source: str) -> LoadedPolicy:
    return LoadedPolicy(file, digest(data), source, datetime.now(UTC))


def _parsed_here(data: bytes) -> DownloadFile:
    return _parsed(parse, data)


def _parsed_in_process(data: bytes) -> DownloadFile:
    """Parse in a fresh process that is gone and waited for afterwards."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return _parsed(lambda text: pool.submit(parse, text).result(PARSE_DEADLINE_S), data)


def _parsed(parser: Callable[[str], DownloadFile], data: bytes) -> DownloadFile:
    try:
        return parser(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise PolicyRefused(f"byte {error.start + 1} is not UTF-8", offered_digest=digest(data)) from error
    except TimeoutError as error:
        message = f"parsing takes more than {PARSE_DEADLINE_S:.0f} s"
        raise PolicyRefused(message, offered_digest=digest(data)) from error
    except (ValueError, BrokenProcessPool) as error:
        raise PolicyRefused(str(error), offered_digest=digest(data)) from error
