"""Why a module is served as it is: verdict, rule, object and tier, and what other rules would have done.

Pure. The decision is `athens_policy.decide`, which the proxy asks too, so that both always agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from athens_cli.errors import InputError
from athens_policy import semver
from athens_policy.decide import (
    CompiledPolicy,
    Decision,
    Denied,
    FetchAsync,
    FetchSync,
    NotServed,
    Redirect,
    compile_policy,
    decide,
    decide_module,
    digest,
    verdict_of,
)
from athens_policy.merge import MergedPolicy
from athens_policy.model import Block, Mode
from athens_policy.render import render
from athens_policy.sources import SourcedBlock

DEFAULT_RULE: Final = "default"
_MODULE: Final = re.compile(r"[-._~A-Za-z0-9]+(/[-._~A-Za-z0-9]+)*")
VERDICTS: Final = tuple(mode for mode in Mode if mode is not Mode.ALLOW)


@dataclass(frozen=True)
class Question:
    """What is asked about.

    Args:
        module: path, unescaped.
        version: resolved; "" for the list and for `@latest`.
        first_seen: for rules with `minAge`; None is an unknown age, which is too young.
        now: with its time zone.
    """

    module: str
    version: str = ""
    first_seen: datetime | None = None
    now: datetime | None = None


def asked_about(text: str) -> tuple[str, str]:
    """Module path and version of `MODULE[@VERSION]`; the version is empty for the list and for `@latest`.

    Raises:
        InputError: nothing that a policy decides about, such as an address, a branch or `v1.2`.
    """
    module, _, version = text.partition("@")
    if not _MODULE.fullmatch(module):
        raise InputError(f"{text!r} names no module; write its path as in a go.mod, such as example.com/x@v1.2.3")
    if version in ("", "latest"):
        return module, ""
    if version.removesuffix("+incompatible") != semver.canonical(version) or not semver.is_valid(version):
        raise InputError(
            f"{text!r} names no version; write one such as v1.2.3; a branch or prefix is judged as what it means"
        )
    return module, version


class Explainer:
    """Answers questions about one merged policy."""

    def __init__(self, merged: MergedPolicy) -> None:
        self._merged = merged
        self._compiled: CompiledPolicy = compile_policy(merged.file)
        self._sourced = {id(sourced.block): sourced for sourced in merged.blocks}
        self.digest = digest(render(merged).encode())

    def decision(self, question: Question) -> Decision:
        """What the proxy would decide."""
        if not question.version:
            return decide_module(self._compiled, question.module)
        return decide(
            self._compiled, question.module, question.version, first_seen=question.first_seen, now=question.now
        )

    def rule_of(self, decision: Decision) -> str:
        """The deciding rule as clients see it; `default` if none matched."""
        return self._sourced[id(decision.block)].rule if decision.block else DEFAULT_RULE

    def explanation(self, question: Question) -> dict[str, Any]:
        """The whole answer as a document with stable keys, in the order in which it is shown."""
        decision = self.decision(question)
        sourced = self._sourced[id(decision.block)] if decision.block else None
        return {
            "module": question.module,
            "version": question.version,
            "verdict": str(verdict_of(decision.effect)),
            "rule": self.rule_of(decision),
            "object": sourced.label.partition("#")[0] if sourced else self._merged.default_source,
            "tier": str(sourced.tier) if sourced else "",
            **_details(decision),
            "answers": _answers(decision, question, self._hides_versions(question)),
            "others": list(self._others(question, decision)),
            "digest": self.digest,
        }

    def _hides_versions(self, question: Question) -> bool:
        return any(block.may_refuse and not block.audit for block in self._compiled.covering(question.module))

    def _others(self, question: Question, decision: Decision) -> Iterator[dict[str, Any]]:
        """Every other rule whose pattern covers the module, in the file's order."""
        is_behind = False
        for block in self._compiled.covering(question.module):
            if block is decision.block:
                is_behind = True
                continue
            sourced = self._sourced[id(block)]
            yield {
                "rule": sourced.rule,
                "object": sourced.label.partition("#")[0],
                "tier": str(sourced.tier),
                "pattern": block.pattern.text,
                "would": _would(self._merged, sourced),
                "why": _why_not(block, question, is_behind=is_behind),
            }


def _details(decision: Decision) -> dict[str, Any]:
    block, effect = decision.block, decision.effect
    details: dict[str, Any] = {"pattern": block.pattern.text if block else ""}
    if block is not None and block.versions is not None:
        details["versions"] = block.versions.text
    details["reason"] = (block.reason if block else "") or (effect.reason if isinstance(effect, NotServed) else "")
    if isinstance(effect, Redirect):
        details["url"] = effect.url
    if isinstance(effect, Denied) and effect.available_after:
        details["availableAfter"] = effect.available_after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if decision.upstream:
        details["upstream"] = decision.upstream
    return details


def _answers(decision: Decision, question: Question, hides_versions: bool) -> dict[str, str]:
    """What a client gets; the list and `@latest` on one side, files on the other. Source: design, "Download file"."""
    shown = "answered, without denied versions" if hides_versions else "answered"
    if isinstance(decision.effect, Denied):
        left_out = "this version is left out" if question.version else "403"
        return {"stored": "403 with the rule and its reason", "absent": "403", "list": left_out}
    return {"stored": "served", "absent": _absent(decision.effect), "list": shown}


def _absent(effect: FetchSync | FetchAsync | NotServed | Redirect) -> str:
    match effect:
        case FetchSync():
            return "fetched while the client waits"
        case FetchAsync():
            return "404, fetched in the background"
        case NotServed():
            return "404"
        case Redirect(url, also_fetch):
            return f"redirected to {url}" + (", and fetched" if also_fetch else "")


def _would(merged: MergedPolicy, sourced: SourcedBlock) -> str:
    block = sourced.block
    mode = merged.mode if block.mode is Mode.ALLOW else block.mode
    return f"{mode}, once first seen {block.min_age_s} s ago" if block.min_age_s is not None else str(mode)


def _why_not(block: Block, question: Question, *, is_behind: bool) -> str:
    holds = block.versions is None or (bool(question.version) and block.versions.contains(question.version))
    if not holds:
        return (
            f"its versions {block.versions.text if block.versions else ''} do not hold {question.version or 'a list'}"
        )
    if block.audit:
        return "audit: counted, not enforced"
    return "a rule in front of it decides" if is_behind else "passed over: it speaks of single versions"


def lines_of(explanation: dict[str, Any]) -> Sequence[tuple[str, str]]:
    """The answer as labelled lines for people, without what is empty."""
    version = f"@{explanation['version']}" if explanation["version"] else ""
    tier = f" ({explanation['tier']})" if explanation["tier"] else ""
    lines = [
        ("module", f"{explanation['module']}{version}"),
        ("verdict", explanation["verdict"]),
        ("rule", explanation["rule"]),
        ("object", f"{explanation['object']}{tier}"),
        *(
            (key, explanation.get(key, ""))
            for key in ("pattern", "versions", "reason", "url", "availableAfter", "upstream")
        ),
        *((f"if {key}" if key != "list" else "list, @latest", text) for key, text in explanation["answers"].items()),
        ("digest", explanation["digest"]),
    ]
    return [(name, text) for name, text in lines if text]
