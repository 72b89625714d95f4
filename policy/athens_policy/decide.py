"""What the download file says about a request. The first block that covers it wins, exactly as in Athens.

`compile_policy` builds the index once per file; every question is then asked of the compiled policy. Whether a version
is stored is not known here: all effects but `Denied` serve a stored version, and say what to do for one that is not.

A *query* ("latest", "v1", a branch, a commit) is no version: no `versions` range contains it and it has no age. Callers
ask `decide_module` before they resolve a query, and `decide` about the version it resolved to before they serve it.

Source: Athens pkg/download/mode/mode.go (Match and URL) for the order and for the redirect's URL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeAlias

from athens_policy.index import PatternIndex, in_order
from athens_policy.model import REDIRECT_MODES, Block, DownloadFile, Mode

_REMEMBERED_PATHS: Final = 4_096
NO_URL: Final = "the download mode redirects, but neither the matching blocks nor the file has a downloadURL"


@dataclass(frozen=True)
class FetchSync:
    """What is not stored is fetched while the client waits."""


@dataclass(frozen=True)
class FetchAsync:
    """What is not stored is answered 404 and fetched in the background."""


@dataclass(frozen=True)
class NotServed:
    """What is not stored is answered 404.

    Args:
        reason: why, if the mode `none` is not the whole story; one printable line.
    """

    reason: str = ""


@dataclass(frozen=True)
class Redirect:
    """What is not stored is looked for elsewhere.

    Args:
        url: base URL; the caller joins the request's path to it. Never empty.
        also_fetch: also fetch it in the background.
    """

    url: str
    also_fetch: bool


@dataclass(frozen=True)
class Denied:
    """Refused with 403, stored or not.

    Args:
        name: of the block; may be empty.
        reason: of the block; may be empty.
        available_after: when the version will be old enough; None if waiting does not help or its age is unknown.
    """

    name: str
    reason: str
    available_after: datetime | None = None


Effect: TypeAlias = FetchSync | FetchAsync | NotServed | Redirect | Denied


@dataclass(frozen=True)
class Decision:
    """The answer to one question.

    Args:
        effect: what happens.
        block: the block that decided; None if the file's default did.
        upstream: the GOPROXY chain to fetch from; empty means the proxy's own.
        audited: `audit` blocks in front of it that matched, in the file's order: to be counted and logged.
    """

    effect: Effect
    block: Block | None
    upstream: str
    audited: tuple[Block, ...]


@dataclass(frozen=True)
class CompiledPolicy:
    """A download file, ready for many questions.

    Args:
        file: what was compiled.
        covering: the blocks whose pattern covers a module path, in the file's order; answers are remembered.
    """

    file: DownloadFile
    covering: Callable[[str], tuple[Block, ...]]


def compile_policy(file: DownloadFile) -> CompiledPolicy:
    """The file with its index; a few milliseconds for a file of the largest size.

    Blocks are found element by element of the path, so that a question looks at few of them (`athens_policy.index`).
    """
    index: PatternIndex[tuple[int, Block]] = PatternIndex()
    for position, block in enumerate(file.blocks):
        index.add(block.pattern, (position, block))

    @lru_cache(_REMEMBERED_PATHS)
    def covering(module_path: str) -> tuple[Block, ...]:
        elements = module_path.count("/") + 1
        found = in_order(index.matching(module_path))
        return tuple(block for block in found if not block.exact or len(block.pattern.elements) == elements)

    return CompiledPolicy(file, covering)


def decide(
    policy: CompiledPolicy,
    module_path: str,
    version: str,
    *,
    first_seen: datetime | None = None,
    now: datetime | None = None,
) -> Decision:
    """What happens to one version of a module.

    Args:
        policy: from `compile_policy`.
        module_path: unescaped.
        version: a resolved version, see the module's text about queries.
        first_seen: when this proxy first saw the version, with its time zone; None counts as too young.
        now: with its time zone; the clock if not given.
    """
    return _decision(policy, policy.covering(module_path), version, first_seen, now)


def decide_module(policy: CompiledPolicy, module_path: str) -> Decision:
    """What happens to requests that name no version: the list, `@latest`, and queries before they are resolved.

    `Denied` only where a `deny` block without `versions` covers the path and no earlier block lets some versions
    through; single versions and young ones are left to `visible` and `decide`.
    """
    audited: list[Block] = []
    covering = policy.covering(module_path)
    for block in covering:
        if block.versions is not None and (block.audit or block.mode is Mode.DENY):
            continue
        if not block.audit:
            return Decision(_effect(policy.file, block, covering), block, block.upstream, tuple(audited))
        audited.append(block)
    return Decision(_effect(policy.file, None, ()), None, "", tuple(audited))


def visible(
    policy: CompiledPolicy,
    module_path: str,
    versions: Sequence[str],
    *,
    first_seen: Callable[[str], datetime | None],
    now: datetime | None = None,
) -> list[str]:
    """The versions that a list may show and `@latest` may choose from, in the given order.

    Denied versions and those that are too young are left out.

    Args:
        policy: from `compile_policy`.
        module_path: unescaped.
        versions: resolved versions.
        first_seen: as in `decide`; called only where the answer depends on it.
        now: with its time zone; the clock if not given.
    """
    covering = policy.covering(module_path)
    if not any(block.may_refuse for block in covering):
        return list(versions)
    aged = any(block.min_age_s is not None for block in covering)

    def is_visible(version: str) -> bool:
        seen = first_seen(version) if aged else None
        return not isinstance(_decision(policy, covering, version, seen, now).effect, Denied)

    return [version for version in versions if is_visible(version)]


def verdict_of(effect: Effect) -> Mode:
    """The effect in the word of a rule's mode; a version that is too young is denied."""
    match effect:
        case FetchSync():
            return Mode.SYNC
        case FetchAsync():
            return Mode.ASYNC
        case NotServed():
            return Mode.NONE
        case Redirect():
            return Mode.ASYNC_REDIRECT if effect.also_fetch else Mode.REDIRECT
        case Denied():
            return Mode.DENY


def digest(data: bytes) -> str:
    """`sha256:<64 hex digits>` over exactly these bytes: how operator and proxy name a download file."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _decision(
    policy: CompiledPolicy,
    covering: Sequence[Block],
    version: str,
    first_seen: datetime | None,
    now: datetime | None,
) -> Decision:
    audited: list[Block] = []
    matching = [block for block in covering if block.versions is None or block.versions.contains(version)]
    for block in matching:
        if not block.audit:
            effect = _too_young(block, first_seen, now) or _effect(policy.file, block, matching)
            return Decision(effect, block, block.upstream, tuple(audited))
        audited.append(block)
    return Decision(_effect(policy.file, None, ()), None, "", tuple(audited))


def _too_young(block: Block, first_seen: datetime | None, now: datetime | None) -> Denied | None:
    if block.min_age_s is None:
        return None
    if first_seen is None:
        return Denied(block.name, block.reason)
    available_after = first_seen + timedelta(seconds=block.min_age_s)
    if available_after <= (now or datetime.now(UTC)):
        return None
    return Denied(block.name, block.reason, available_after)


def _effect(file: DownloadFile, block: Block | None, matching: Sequence[Block]) -> Effect:
    """What the block, or without one the file's default, does."""
    mode = file.mode if block is None or block.mode is Mode.ALLOW else block.mode
    match mode:
        case Mode.SYNC:
            return FetchSync()
        case Mode.ASYNC:
            return FetchAsync()
        case Mode.NONE:
            return NotServed()
        case Mode.REDIRECT | Mode.ASYNC_REDIRECT:
            url = _redirect_url(file, block, matching)
            return Redirect(url, also_fetch=mode is Mode.ASYNC_REDIRECT) if url else NotServed(NO_URL)
        case Mode.DENY | Mode.ALLOW:
            return Denied(block.name, block.reason) if block else Denied("", "")


def _redirect_url(file: DownloadFile, block: Block | None, matching: Sequence[Block]) -> str:
    """Athens takes the first matching block's URL, which may be a later block than the one that gave the mode."""
    if block is not None and block.mode in REDIRECT_MODES:
        urls: Iterator[str] = (other.download_url for other in matching if other.download_url and not other.audit)
        return next(urls, file.download_url)
    return (block.download_url if block else "") or file.download_url
