"""DownloadPolicy and ClusterDownloadPolicy as frozen values; both kinds share one shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from pydantic import Field

from athens_operator.errors import Problem, SpecError
from athens_operator.spec.fields import Rule
from athens_operator.spec.proxy import Identity
from athens_operator.spec.values import Labels, ObjectName, Spec, parsed
from athens_policy.merge import PolicyRule
from athens_policy.model import Mode

CLUSTER_DOWNLOAD_POLICY = "ClusterDownloadPolicy"


class Enforcement(StrEnum):
    """Where a cluster policy's rules stand: before everything else, or after it."""

    MANDATORY = "Mandatory"
    DEFAULT = "Default"


class Requirement(Spec):
    """One expression of a label selector."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Labels) -> bool:
        """Whether the labels satisfy it; an unknown operator satisfies nothing."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels
            case _:
                return False


class Selector(Spec):
    """A Kubernetes label selector; an empty one matches everything."""

    match_labels: Labels = Field(default_factory=dict)
    match_expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Whether all of its parts hold for the labels."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.holds(labels) for requirement in self.match_expressions
        )


class ShareFrom(StrEnum):
    """Which namespaces may refer to a policy."""

    SAME = "Same"
    ALL = "All"
    SELECTOR = "Selector"


class ShareWith(Spec):
    """Who may refer to a policy from another namespace."""

    from_: ShareFrom = Field(default=ShareFrom.SAME, alias="from")
    namespace_selector: Selector | None = None

    def covers(self, namespace_labels: Labels) -> bool:
        """Whether a proxy in another namespace with these labels may name the policy."""
        match self.from_:
            case ShareFrom.SAME:
                return False
            case ShareFrom.ALL:
                return True
            case ShareFrom.SELECTOR:
                return self.namespace_selector is not None and self.namespace_selector.matches(namespace_labels)


class Reach(Spec):
    """The fields that decide which proxies a policy is attached to, and in which order."""

    priority: int = 0
    proxy_selector: Selector | None = None
    share_with: ShareWith = ShareWith()
    namespace_selector: Selector | None = None
    enforcement: Enforcement | None = None


class ConfigMapOfAdvisories(Spec):
    """Where the advisories are; the namespace is named by the cluster kind only."""

    name: ObjectName
    namespace: str = ""


class AdvisoryWaiver(Spec):
    """An advisory that is not enforced up to the end of a day."""

    id: str
    until: date


class Advisories(Spec):
    """Advisories that become deny rules in front of the policy's own."""

    config_map_ref: ConfigMapOfAdvisories
    waivers: tuple[AdvisoryWaiver, ...] = ()


class Content(Spec):
    """The fields that reach the download file."""

    rules: tuple[Rule, ...] = ()
    default_mode: Mode | None = None
    download_url: str = Field(default="", alias="downloadURL")
    audit: bool = False
    advisories: Advisories | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy of either kind.

    Args:
        problems: why `content` could not be read, in which case it is empty. Such a policy still attaches, so that
            its proxies keep their last good file instead of silently losing its rules.
        advisory_rules: what became of its advisories, once they were read.
        own_rules: its rules in the words of the policy language; every attached proxy asks for them at every pass.
    """

    kind: str
    identity: Identity
    reach: Reach
    content: Content
    problems: tuple[Problem, ...] = ()
    advisory_rules: tuple[PolicyRule, ...] = ()
    own_rules: tuple[PolicyRule, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "own_rules", tuple(map(policy_rule, self.content.rules)))

    @staticmethod
    def parse(body: Mapping[str, Any]) -> Policy:
        """The object as a value.

        Raises:
            SpecError: the fields that decide about attachment cannot be read.
        """
        spec = body.get("spec") or {}
        kind, identity = body["kind"], Identity.of(body)
        reach = parsed(Reach, spec, root="spec")
        if kind == CLUSTER_DOWNLOAD_POLICY and reach.enforcement is None:
            raise SpecError([Problem("spec.enforcement", "required; write Mandatory or Default")])
        try:
            return Policy(kind, identity, reach, parsed(Content, spec, root="spec"))
        except SpecError as error:
            return Policy(kind, identity, reach, Content(), error.problems)

    @property
    def namespace(self) -> str:
        """The policy's namespace, empty for the cluster kind."""
        return self.identity.namespace

    @property
    def name(self) -> str:
        """The object's name."""
        return self.identity.name

    @property
    def generation(self) -> int:
        """The generation that this value was read from."""
        return self.identity.generation

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, namespace and name: unique over both kinds."""
        return (self.kind, self.namespace, self.name)

    @property
    def label(self) -> str:
        """Kind and name as messages write it."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def policy_rule(rule: Rule) -> PolicyRule:
    """A rule of a custom resource in the words of the policy language."""
    return PolicyRule(
        name=rule.name,
        patterns=rule.patterns,
        mode=rule.mode,
        download_url=rule.download_url,
        versions=rule.versions,
        reason=rule.reason,
        min_age=rule.min_age,
        upstream=rule.upstream,
        audit=rule.audit,
    )
