"""`direct`: the origin's version control system, asked through the `go` command.

Each run has its own GOPATH and process group, so that a fetch can neither see another's files nor outlive its deadline;
only clones are shared.

Source: https://go.dev/ref/mod#go-mod-download (-json), https://go.dev/ref/mod#go-list-m
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.errors import (
    BadUpstreamAnswer,
    CredentialRefused,
    InvalidVersion,
    ModuleNotFound,
    ProxyError,
    UpstreamError,
    UpstreamTimeout,
)
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo, grammar
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.fetcher import Show, show_nobody
from athens_proxy.upstream.git_words import hides_git, with_words_of_git
from athens_proxy.upstream.go_environment import VCS_FOLDER, go_environment
from athens_proxy.upstream.go_errors import classified
from athens_proxy.upstream.goproxy import listable_versions
from athens_proxy.upstream.homes import Home, Homes, UserHomes
from athens_proxy.upstream.known_tags import is_known_tag
from athens_proxy.upstream.netrc_logins import with_netrc
from athens_proxy.upstream.process import Finished, run
from athens_proxy.upstream.quota import QuotaExceeded, within_quota
from athens_proxy.upstream.transport import make_scratch, scratch_failure, scratch_folder
from athens_proxy.upstream.vcs_cache import VcsCache
from athens_proxy.upstream.zipcheck import checked_zip_h1

# What git calls a revision expression is no name of a branch or tag (git-check-ref-format); `-x` would be an option.
_UNSAFE_QUERY: Final = re.compile(r"^[-.]|\.\.|[ ~^:?*\[\\]|@\{|\.lock$|^(upgrade|patch|none)$")
_IP_LITERAL: Final = re.compile(r"[0-9.]+\Z")
USER_HOMES: Final = UserHomes()


@dataclass(frozen=True, slots=True)
class GoSettings:
    """How `go` is run.

    Attributes:
        binary: name or path of the `go` command.
        process_environment: the proxy's own environment, of which a fixed list is passed on.
        variables: GoBinaryEnvVars.
        no_sum_patterns: modules that the checksum database does not know.
        scratch_root: directory below which list and query runs get their temporary directories.
        at_most: how many fetches may run at once (GoGetWorkers).
        max_bytes: what one run may write (GoGetMaxBytes); 0 for any amount.
        fetch_timeout_s: seconds for one fetch (StashTimeout).
        list_timeout_s: seconds for one list or query (Timeout).
    """

    binary: str
    process_environment: Mapping[str, str]
    variables: Mapping[str, str]
    scratch_root: Path
    no_sum_patterns: Sequence[str] = ()
    at_most: int = 10
    max_bytes: int = 0
    fetch_timeout_s: float = 600.0
    list_timeout_s: float = 300.0


class GoCommand:
    """The `direct` hop; a `Source`.

    Args:
        settings: see `GoSettings`.
        clones: what fetches share.
        homes: give each run its home, with the credentials for the module's origin.
    """

    def __init__(self, settings: GoSettings, clones: VcsCache, homes: Homes = USER_HOMES) -> None:
        self._settings = settings
        self._clones = clones
        self._homes = homes
        self._slots = asyncio.Semaphore(settings.at_most)

    async def fetch(self, wanted: ModuleVersion, scratch: Path, *, show: Show = show_nobody) -> FetchedModule:
        """One version; its zip is moved to `scratch`, and nothing of it is there any earlier.

        Raises:
            ModuleNotFound, UpstreamError, UpstreamThrottled, UpstreamTimeout: see `errors.py`.
        """
        _refuse_unsafe(wanted)
        attempt = f"fetching {wanted} from its origin"
        work = scratch / "go"
        argv = ["mod", "download", "-json", "--", str(wanted)]
        async with self._slots, self._clones.clones(wanted.path) as clones:
            make_scratch(scratch)
            _link(work / VCS_FOLDER, clones)
            go = _GoRun(wanted.path, argv, work, self._settings.fetch_timeout_s, attempt, clones)
            answer = await self._answer_of(go)
        return await asyncio.to_thread(_fetched, wanted.path, answer, scratch)

    async def versions(self, path: ModulePath) -> list[str]:
        """The origin's tags that are versions, retracted ones included; see `VersionLister.versions`."""
        answer = await self._list(ModuleVersion(path, "latest"), "-versions", "-retracted")
        return await asyncio.to_thread(listable_versions, path, answer.get("Versions") or ())

    async def latest(self, path: ModulePath) -> RevInfo:
        """What `go` calls latest; see `VersionLister.latest`."""
        return _revision(path, await self._list(ModuleVersion(path, "latest")))

    async def resolve(self, wanted: ModuleVersion) -> RevInfo:
        """What `go` makes of a query; see `VersionLister.resolve`."""
        _refuse_unsafe(wanted)
        return _revision(wanted.path, await self._list(wanted))

    async def _list(self, wanted: ModuleVersion, *flags: str) -> dict[str, Any]:
        _refuse_unsafe(wanted)
        attempt = f"asking the origin of {wanted.path} for {wanted.version}"
        work = await scratch_folder(self._settings.scratch_root, "athens-list-")
        try:
            argv = ["list", "-m", *flags, "-json", "--", str(wanted)]
            go = _GoRun(wanted.path, argv, work / "go", self._settings.list_timeout_s, attempt)
            return await self._answer_of(go)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, work, ignore_errors=True))

    async def _answer_of(self, go: _GoRun) -> dict[str, Any]:
        """What the go command printed; a credential that was revoked while it ran may have a successor by now."""
        done, home = await self._go(go)
        failure = await asyncio.to_thread(go.failure, done, home)
        if failure is None:
            return _answer(done)
        explained = home.explained(failure)
        if not (isinstance(explained, CredentialRefused) and await home.is_outdated()):
            raise explained
        done, home = await self._go(go)
        failure = await asyncio.to_thread(go.failure, done, home)
        if failure is not None:
            raise home.explained(failure)
        return _answer(done)

    async def _go(self, go: _GoRun) -> tuple[Finished, Home]:
        """How the run ended, and the home it had."""
        environment = go_environment(
            self._settings.process_environment,
            self._settings.variables,
            work=go.work,
            no_sum_patterns=self._settings.no_sum_patterns,
        )
        try:
            for private in (go.directory, go.work / "home", go.work / "tmp"):
                private.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise scratch_failure(error, go.work) from error
        async with self._homes.open(go.path, environment) as home:
            done = await self._finished(go, home.environment)
            if done.exit_code < 0:
                raise UpstreamError(
                    f"{go.attempt}: the go command was killed (signal {-done.exit_code}); ask again later"
                )
            return done, await asyncio.to_thread(with_netrc, home) if done.exit_code else home

    async def _finished(self, go: _GoRun, environment: Mapping[str, str]) -> Finished:
        argv = [self._settings.binary, *go.arguments]
        running = run(argv, environment=environment, directory=go.directory, timeout_s=go.timeout_s)
        folders = [go.work, *([go.clones] if go.clones else [])]
        try:
            done = await within_quota(running, folders, max_bytes=self._settings.max_bytes)
            if not hides_git(done):
                return done
            return await with_words_of_git(
                done, go.path, environment=environment, directory=go.directory, timeout_s=go.timeout_s
            )
        except TimeoutError as error:
            raise UpstreamTimeout(f"{go.attempt}: not done within {go.timeout_s:g} s; ask again later") from error
        except QuotaExceeded as error:
            raise UpstreamError(
                f"{go.attempt}: its repository needs more than {self._settings.max_bytes} bytes; raise GoGetMaxBytes"
            ) from error
        except OSError as error:
            raise ProxyError(
                f"{go.attempt}: the go command {self._settings.binary} cannot be run: {error.strerror}; set GoBinary"
            ) from error


@dataclass(frozen=True, slots=True)
class _GoRun:
    """One run of the go command.

    Attributes:
        path: the module it is about.
        arguments: of `go`.
        work: a private directory for everything that it writes.
        timeout_s: seconds until it is ended.
        attempt: what it does, for messages.
        clones: shared clones that it may add to.
        began_s: Unix time before it.
    """

    path: ModulePath
    arguments: Sequence[str]
    work: Path
    timeout_s: float
    attempt: str
    clones: Path | None = None
    began_s: float = field(default_factory=time.time)

    @property
    def directory(self) -> Path:
        """An empty one: a go.mod in a parent directory would change the answer."""
        return self.work / "empty"

    def failure(self, done: Finished, home: Home) -> ProxyError | None:
        """Why it failed; None if it did not."""
        said = done.stderr.decode("utf-8", "replace")
        if self.clones is not None:
            answer = _answer(done)
            said = str(answer.get("Error") or said)
            # `go` also reports an error where it did pack the zip, as for a go.mod that wants a newer Go than ours.
            is_done = bool(answer.get("Zip"))
        else:
            is_done = not done.exit_code
        if is_done:
            return None
        failure = classified(home.masked(said), attempt=self.attempt)
        if isinstance(failure, ModuleNotFound) and is_known_tag(said, self.work / VCS_FOLDER, since_s=self.began_s):
            return UpstreamError(f"{self.attempt}: git was ended while it read its clone; ask again later")
        return failure


def _link(own: Path, shared: Path) -> None:
    try:
        own.parent.mkdir(parents=True)
        own.symlink_to(shared)
    except OSError as error:
        raise scratch_failure(error, own) from error


def _refuse_unsafe(wanted: ModuleVersion) -> None:
    if _UNSAFE_QUERY.search(wanted.version):
        raise InvalidVersion(
            f"not found: {wanted.path}@{grammar.quoted(wanted.version)}: no version, branch, tag or commit"
        )
    if _IP_LITERAL.match(wanted.path.text.split("/", 1)[0]):
        raise ModuleNotFound(f"not found: {wanted.path}: an IP address is no origin of modules")


def _answer(done: Finished) -> dict[str, Any]:
    """The first JSON object that `go` printed; empty if there is none, as for errors in the arguments."""
    try:
        answer, _ = json.JSONDecoder().raw_decode(done.stdout.decode("utf-8", "replace").lstrip())
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _version(path: ModulePath, answer: Mapping[str, Any]) -> ModuleVersion:
    version = ModuleVersion(path, str(answer.get("Version")))
    if not version.is_canonical:
        raise BadUpstreamAnswer(
            f"{path}: the go command answered {grammar.quoted(version.version)}, which is no version"
        )
    return version


def _fetched(path: ModulePath, answer: Mapping[str, Any], scratch: Path) -> FetchedModule:
    version = _version(path, answer)
    try:
        info = RevInfo.parse(Path(answer["Info"]).read_bytes())
        mod = Path(answer["GoMod"]).read_bytes()
        zip_path = Path(answer["Zip"]).rename(scratch / "module.zip")
        size_bytes = zip_path.stat().st_size
    except (KeyError, OSError) as error:
        raise ProxyError(f"{version}: the go command's files cannot be read: {type(error).__name__}") from error
    shutil.rmtree(scratch / "go", ignore_errors=True)  # the unpacked tree is many times the zip
    return FetchedModule(
        wanted=version,
        info=info.of_version().encode(),
        mod=mod,
        zip_path=zip_path,
        zip_size_bytes=size_bytes,
        zip_h1=checked_zip_h1(zip_path, version),
        mod_h1=mod_hash1(mod),
    )


def _revision(path: ModulePath, answer: Mapping[str, Any]) -> RevInfo:
    _version(path, answer)
    kept = {name: answer[name] for name in ("Version", "Time", "Origin") if answer.get(name)}
    return RevInfo.parse(json.dumps(kept).encode())
