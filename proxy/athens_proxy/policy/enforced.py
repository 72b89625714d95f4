"""The policy in force: what it says about a request, and what is known about its last load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from athens_policy import decide as policy
from athens_policy.decide import Decision
from athens_policy.model import Block, DownloadFile
from athens_proxy.modules import ModulePath, ModuleVersion


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """One policy and where it came from.

    Attributes:
        file: the parsed download file.
        digest: over the exact bytes of the file, or of the rendered equivalent of a bare mode.
        source: for people: `file:/path`, `custom`, or the bare mode.
        loaded_at: when it came into force.
    """

    file: DownloadFile
    digest: str
    source: str
    loaded_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """A policy that was offered and not taken: why, when, and the digest of its bytes ("" if there were none)."""

    message: str
    at: datetime
    digest: str


class EnforcedPolicy:
    """Holds the last good policy and answers for it; the watch swaps it."""

    def __init__(self, loaded: LoadedPolicy) -> None:
        self._loaded = loaded
        self._compiled = policy.compile_policy(loaded.file)
        self._uses_min_age = _uses_min_age(loaded.file)
        self._last_error: Refusal | None = None
        self._hits: Counter[int] = Counter()

    @property
    def loaded(self) -> LoadedPolicy:
        """The policy in force."""
        return self._loaded

    @property
    def last_error(self) -> Refusal | None:
        """The last refused policy, None once a good one was loaded after it."""
        return self._last_error

    @property
    def uses_min_age(self) -> bool:
        """Whether any rule depends on when a version was first seen."""
        return self._uses_min_age

    def swap(self, loaded: LoadedPolicy) -> None:
        """Enforce another policy from now on."""
        self._compiled = policy.compile_policy(loaded.file)
        self._uses_min_age = _uses_min_age(loaded.file)
        self._loaded = loaded
        self._last_error = None
        self._hits.clear()

    def count(self, decision: Decision) -> None:
        """Remember which rules a request met: the one that decided, and the audit rules in front of it."""
        self._hits.update(id(block) for block in (*decision.audited, decision.block) if block is not None)

    def hits(self, block: Block) -> int:
        """How many requests met a rule of the loaded file since it is in force."""
        return self._hits[id(block)]

    def refuse(self, refusal: Refusal) -> None:
        """Remember a policy that was not taken."""
        self._last_error = refusal

    def unrefuse(self) -> None:
        """Forget the refusal: what is offered is again what is in force."""
        self._last_error = None

    def decide(self, wanted: ModuleVersion, *, first_seen: datetime | None = None) -> Decision:
        """What the policy says about one version."""
        return policy.decide(
            self._compiled, wanted.path.text, wanted.version, first_seen=first_seen, now=datetime.now(UTC)
        )

    def decide_module(self, path: ModulePath) -> Decision:
        """What the policy says about a module when no version matters."""
        return policy.decide_module(self._compiled, path.text)

    def visible(self, path: ModulePath, versions: Sequence[str], *, first_seen: Mapping[str, datetime]) -> list[str]:
        """The versions that may be listed, in their order."""
        return policy.visible(self._compiled, path.text, versions, first_seen=first_seen.get, now=datetime.now(UTC))


def _uses_min_age(file: DownloadFile) -> bool:
    return any(block.min_age_s is not None for block in file.blocks)
