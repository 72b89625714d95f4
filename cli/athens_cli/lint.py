"""What is wrong with custom resources before a cluster sees them: fields, rules, conflicts, references. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, get_args

from athens_cli.located import Document
from athens_cli.objects import Objects
from athens_operator.attachment import MissingReason
from athens_operator.policies import Content, Policy, Reach, policy_rule
from athens_operator.spec import AthensProxy
from athens_operator.spec.fields import ProxySpec, Rule
from athens_operator.spec.values import Spec
from athens_policy.merge import MergeError, PolicySource, Tier, merge

_IGNORED_BY_OTHER_KIND: Final = {
    "DownloadPolicy": ("enforcement", "namespaceSelector"),
    "ClusterDownloadPolicy": ("shareWith",),
}


class Severity(StrEnum):
    """Whether a finding keeps the policy from being enforced."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing to correct.

    Args:
        severity: of it.
        kind: stable name such as InvalidRule or Shadowed.
        subject: kind and name of the object.
        path: the field.
        message: what is wrong and what to write.
        file: where it is.
        line: counted from 1.
    """

    severity: Severity
    kind: str
    subject: str
    path: str
    message: str
    file: str
    line: int


def findings(objects: Objects) -> list[Finding]:
    """Everything that is wrong, by file and line."""
    found = [*_broken(objects), *_policies(objects), *_proxies(objects), *_repeated(objects)]
    return sorted(dict.fromkeys(found), key=lambda finding: (finding.file, finding.line, finding.path, finding.kind))


def _broken(objects: Objects) -> Iterator[Finding]:
    for broken in objects.broken:
        body = broken.document.value
        for problem in broken.error.problems:
            subject = f"{body['kind']} {body['metadata']['name']}"
            yield _at(broken.document, Severity.ERROR, "InvalidSpec", subject, problem.path, problem.message)


def _repeated(objects: Objects) -> Iterator[Finding]:
    read = [document for _, document in (*objects.policies, *objects.proxies)]
    for document in (*read, *(broken.document for broken in objects.broken)):
        subject = f"{document.value['kind']} {document.value['metadata']['name']}"
        message = "written more than once, which the API server refuses; keep one"
        for path, line in document.repeated:
            yield Finding(Severity.ERROR, "DuplicateField", subject, path, message, document.file, line)


def _policies(objects: Objects) -> Iterator[Finding]:
    for policy, document in objects.policies:
        for problem in policy.problems:
            yield _at(document, Severity.ERROR, "InvalidSpec", policy.label, problem.path, problem.message)
        for model in (Reach, Content):
            others = {name for other in (Reach, Content) for name in _aliases(other)}
            others -= set(_IGNORED_BY_OTHER_KIND.get(policy.kind, ()))
            yield from _unknown(document, policy.label, model, document.value["spec"], others)
        yield from _rules(document, policy.label, policy.content.rules, "spec.rules", _source_of(policy))
        for problem in objects.resolved(policy).problems[len(policy.problems) :]:
            is_absent = problem.path.endswith(".name")
            severity, kind = (
                (Severity.WARNING, "AdvisoriesNotFound") if is_absent else (Severity.ERROR, "InvalidAdvisory")
            )
            yield _at(document, severity, kind, policy.label, problem.path, problem.message)


def _proxies(objects: Objects) -> Iterator[Finding]:
    for proxy, document in objects.proxies:
        label = f"AthensProxy {proxy.namespace}/{proxy.name}"
        yield from _unknown(document, label, ProxySpec, document.value["spec"], set(_aliases(ProxySpec)))
        if proxy.spec.download is not None:
            source = PolicySource("AthensProxy", proxy.namespace, proxy.name, 1, Tier.INLINE, 0, ())
            yield from _rules(document, label, proxy.spec.download.rules, "spec.download.rules", source)
        yield from _on_proxy(objects, proxy, document, label)


def _on_proxy(objects: Objects, proxy: AthensProxy, document: Document, label: str) -> Iterator[Finding]:
    """What only shows where everything comes together: references, limits, conflicts."""
    attachment = objects.attachment(proxy)
    for missing in attachment.missing:
        if missing.reason is not MissingReason.REJECTED:  # the policy has findings of its own
            message = f"{missing.label} is not among these files or not shared with this namespace"
            yield _at(document, Severity.WARNING, str(missing.reason), label, "spec.policyRefs", message)
    try:
        merged = merge(attachment.sources)
    except MergeError as error:
        if error.reason == "Oversize":
            yield _at(document, Severity.ERROR, error.reason, label, "spec", error.message)
        return
    where = {(policy.kind, policy.namespace, policy.name): found for policy, found in objects.policies}
    for conflict in merged.conflicts:
        source = merged.sources[conflict.source]
        origin = where.get((source.kind, source.namespace, source.name), document)
        rule = conflict.rule.rpartition("#")[2]
        path = _path_of_rule(origin, rule)
        by = f" by {conflict.by}" if conflict.by else ": no module path can match"
        message = (
            f"rule {rule}, pattern {conflict.pattern}, loses on {proxy.namespace}/{proxy.name}{by}; remove or move it"
        )
        subject = (
            f"{source.kind} {source.namespace}/{source.name}" if source.namespace else f"{source.kind} {source.name}"
        )
        yield _at(origin, Severity.WARNING, str(conflict.conflict_class), subject, path, message)


def _rules(
    document: Document, label: str, rules: tuple[Rule, ...], path: str, source: PolicySource
) -> Iterator[Finding]:
    """Each rule alone, so that every problem has its own line."""
    for index, rule in enumerate(rules):
        where = f"{path}[{index}]"
        if rule.name in [earlier.name for earlier in rules[:index]]:
            message = f"rule {rule.name} is there twice; rename one of them"
            yield _at(document, Severity.ERROR, "DuplicateRuleName", label, f"{where}.name", message)
        for number, pattern in enumerate(rule.patterns):
            if "**" in pattern:
                message = "** means the same as *, which never crosses a slash; what is below is covered anyway"
                yield _at(document, Severity.WARNING, "DoubledStar", label, f"{where}.patterns[{number}]", message)
        try:
            merge([_with_rules(source, (rule,))])
        except MergeError as error:
            for problem in error.problems:
                yield _at(document, Severity.ERROR, "InvalidRule", label, where, problem)


def _source_of(policy: Policy) -> PolicySource:
    url = policy.content.download_url
    return PolicySource(policy.kind, policy.namespace, policy.name, 1, Tier.SELECTED, 0, (), download_url=url)


def _with_rules(source: PolicySource, rules: tuple[Rule, ...]) -> PolicySource:
    fields = {**vars(source), "rules": tuple(map(policy_rule, rules))}
    return PolicySource(**fields)


def _path_of_rule(document: Document, name: str) -> str:
    spec = document.value["spec"]
    inline = "download" in spec
    rules = (spec.get("download") or {}).get("rules") if inline else spec.get("rules")
    prefix = "spec.download.rules" if inline else "spec.rules"
    index = next((index for index, rule in enumerate(rules or ()) if rule.get("name") == name), None)
    return prefix if index is None else f"{prefix}[{index}]"


def _unknown(document: Document, label: str, model: type[Spec], value: object, known: set[str]) -> Iterator[Finding]:
    """Fields that the API server would drop without a word."""
    for path, field, names in _unknown_fields(model, value, "spec", known):
        close = difflib.get_close_matches(field, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(names)[:12])}"
        yield _at(document, Severity.ERROR, "UnknownField", label, path, f"unknown field {field}; {hint}")


def _unknown_fields(
    model: type[Spec], value: object, path: str, known: set[str]
) -> Iterator[tuple[str, str, set[str]]]:
    if not isinstance(value, Mapping) or model.model_config.get("extra") == "allow":
        return
    aliases = _aliases(model)
    for name, inner in value.items():
        if name not in known:
            yield f"{path}.{name}", str(name), known
        elif name in aliases:
            yield from _inside(aliases[name], inner, f"{path}.{name}")


def _inside(annotation: Any, value: object, path: str) -> Iterator[tuple[str, str, set[str]]]:
    for part in (annotation, *get_args(annotation), *(deep for arg in get_args(annotation) for deep in get_args(arg))):
        if isinstance(part, type) and issubclass(part, Spec):
            values = enumerate(value) if isinstance(value, list) else [(None, value)]
            for index, item in values:
                where = path if index is None else f"{path}[{index}]"
                yield from _unknown_fields(part, item, where, set(_aliases(part)))
            return


def _aliases(model: type[Spec]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _at(document: Document, severity: Severity, kind: str, subject: str, path: str, message: str) -> Finding:
    return Finding(severity, kind, subject, path, message, document.file, document.line(path))
