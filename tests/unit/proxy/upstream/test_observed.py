"""What is told of questions to upstreams: words of ours, whatever is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath

import pytest
from yarl import URL

from athens_proxy import errors
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.fetcher import Show, show_nobody
from athens_proxy.upstream.hops import DirectHop, FileHop, Hop, HttpHop, OffHop
from athens_proxy.upstream.observed import class_of, observed

PUBLIC = "public.example.com"


class Upstream:
    """Fails as the test says."""

    def __init__(self, failure: BaseException | None) -> None:
        self.failure = failure

    async def fetch(self, wanted: ModuleVersion, scratch: Path, *, show: Show = show_nobody) -> FetchedModule:
        await self.versions(wanted.path)
        return FetchedModule(wanted, b"", b"", scratch, 0, "", "")

    async def versions(self, path: ModulePath) -> list[str]:
        if self.failure:
            raise self.failure
        return ["v1.0.0"]

    async def latest(self, path: ModulePath) -> RevInfo:
        raise NotImplementedError

    async def resolve(self, wanted: ModuleVersion) -> RevInfo:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("hop", "path", "word"),
    [
        (HttpHop(URL(f"https://{PUBLIC}")), "example.com/m", "public-proxy"),
        (HttpHop(URL("https://proxy.example.com/x")), "github.com/a/b", "proxy"),
        (FileHop(PurePosixPath("/srv")), "github.com/a/b", "file"),
        (OffHop(), "github.com/a/b", "off"),
        (DirectHop(), "github.com/a/b", "github"),
        (DirectHop(), "golang.org/x/net", "golang"),
        (DirectHop(), "secret.corp.example.com/a/b", "other-origin"),
        (DirectHop(), "github.com.evil.example.com/a", "other-origin"),
    ],
)
def test_an_upstream_is_told_as_one_of_few_classes(hop: Hop, path: str, word: str) -> None:
    assert class_of(hop, ModulePath(path), public_host=PUBLIC) == word


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (None, "success"),
        (errors.ModuleNotFound("x"), "not-found"),
        (errors.UpstreamDenied("x"), "denied"),
        (errors.UpstreamThrottled("x"), "throttled"),
        (errors.UpstreamTimeout("x"), "timeout"),
        (errors.ChecksumMismatch("x"), "checksum-mismatch"),
        (errors.CredentialRefused("x"), "credential-refused"),
        (errors.TlsFailure("x"), "tls-failure"),
        (errors.InvalidModuleZip("x"), "bad-answer"),
        (errors.UpstreamError("x"), "error"),
        (ValueError("a defect"), "error"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
async def test_each_question_is_told_once_with_its_outcome_and_fails_as_it_would(
    tmp_path: Path, failure: BaseException | None, outcome: str
) -> None:
    told: list[tuple[str, str]] = []
    source_of = observed(
        lambda hop: Upstream(failure),
        public_host=PUBLIC,
        on_answer=lambda upstream, word, took_s: told.append((upstream, word)),
    )
    wanted = ModuleVersion(ModulePath("github.com/a/b"), "v1.0.0")

    (result,) = await asyncio.gather(source_of(DirectHop()).fetch(wanted, tmp_path), return_exceptions=True)

    assert type(result) is (FetchedModule if failure is None else type(failure))
    assert told == [("github", outcome)]
