"""What is told of each question to an upstream: its class, how it ended and how long it took.

A class is one of a few words whatever anybody asks for, so that it may be the label of a metric.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Final, assert_never

from athens_proxy.errors import (
    BadUpstreamAnswer,
    ChecksumMismatch,
    CredentialRefused,
    InvalidModuleZip,
    ModuleNotFound,
    ProxyError,
    TlsFailure,
    UpstreamDenied,
    UpstreamThrottled,
    UpstreamTimeout,
)
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.chain import Source
from athens_proxy.upstream.fetcher import Show, show_nobody
from athens_proxy.upstream.hops import DirectHop, FileHop, Hop, HttpHop, OffHop

ORIGINS: Final = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
    "golang.org": "golang",
    "google.golang.org": "golang",
    "gopkg.in": "gopkg",
}
OUTCOMES: Final = (
    (ModuleNotFound, "not-found"),
    (UpstreamDenied, "denied"),
    (UpstreamThrottled, "throttled"),
    (UpstreamTimeout, "timeout"),
    (ChecksumMismatch, "checksum-mismatch"),
    (CredentialRefused, "credential-refused"),
    (TlsFailure, "tls-failure"),
    (BadUpstreamAnswer, "bad-answer"),
    (InvalidModuleZip, "bad-answer"),
)
OnAnswer = Callable[[str, str, float], None]
Around = Callable[[str, str], AbstractContextManager[object]]


def class_of(hop: Hop, path: ModulePath, *, public_host: str) -> str:
    """Which kind of upstream is asked; that of an origin is told by the module's host, that of a proxy by its own."""
    match hop:
        case HttpHop():
            return "public-proxy" if hop.url.host == public_host else "proxy"
        case FileHop():
            return "file"
        case DirectHop():
            return ORIGINS.get(path.text.partition("/")[0], "other-origin")
        case OffHop():
            return "off"
        case _:
            assert_never(hop)


def outcome_of(failure: BaseException | None) -> str:
    """How a question ended, in one word."""
    if failure is None:
        return "success"
    if isinstance(failure, asyncio.CancelledError):
        return "cancelled"
    return next((word for kind, word in OUTCOMES if isinstance(failure, kind)), "error")


def around_nothing(upstream: str, what: str) -> AbstractContextManager[object]:
    """Where nobody traces."""
    del upstream, what
    return nullcontext()


class Observed:
    """A source whose questions are told.

    Args:
        source: answers.
        hop: which one it speaks to.
        public_host: of the module proxy that everybody may ask.
        on_answer: told of the class of upstream, the outcome and seconds.
        around: entered with the class and what is asked while the source works.
    """

    def __init__(
        self, source: Source, hop: Hop, *, public_host: str, on_answer: OnAnswer, around: Around = around_nothing
    ) -> None:
        self._source = source
        self._hop = hop
        self._public_host = public_host
        self._on_answer = on_answer
        self._around = around

    async def fetch(self, wanted: ModuleVersion, scratch: Path, *, show: Show = show_nobody) -> FetchedModule:
        """See `Source.fetch`."""
        with self._told(wanted.path, "fetch"):
            return await self._source.fetch(wanted, scratch, show=show)

    async def versions(self, path: ModulePath) -> list[str]:
        """See `VersionLister.versions`."""
        with self._told(path, "versions"):
            return await self._source.versions(path)

    async def latest(self, path: ModulePath) -> RevInfo:
        """See `VersionLister.latest`."""
        with self._told(path, "latest"):
            return await self._source.latest(path)

    async def resolve(self, wanted: ModuleVersion) -> RevInfo:
        """See `VersionLister.resolve`."""
        with self._told(wanted.path, "resolve"):
            return await self._source.resolve(wanted)

    @contextmanager
    def _told(self, path: ModulePath, what: str) -> Iterator[None]:
        upstream = class_of(self._hop, path, public_host=self._public_host)
        begin = time.monotonic()
        outcome = outcome_of(None)
        try:
            with self._around(upstream, what):
                yield
        except (ProxyError, asyncio.CancelledError) as failure:
            outcome = outcome_of(failure)
            raise
        except BaseException:
            outcome = "error"
            raise
        finally:
            self._on_answer(upstream, outcome, time.monotonic() - begin)


def observed(
    source_of: Callable[[Hop], Source], *, public_host: str, on_answer: OnAnswer, around: Around = around_nothing
) -> Callable[[Hop], Source]:
    """The same sources, observed."""

    def of(hop: Hop) -> Source:
        return Observed(source_of(hop), hop, public_host=public_host, on_answer=on_answer, around=around)

    return of
