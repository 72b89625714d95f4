"""What the operator found out about one AthensProxy in one pass: the input of `status_of`. Pure values.

Everything here is observed, nothing hoped for: children and pods as the API server returned them, answers of the pods
themselves, and what could not be read or written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from athens_operator.attachment import MissingPolicy
from athens_operator.desired.inputs import Inputs
from athens_operator.manifests import Manifest, Ref
from athens_operator.shared_stores import UNSHARED, Sharing
from athens_operator.spec.proxy import SecretReference
from athens_policy.merge import MergedPolicy


class FailureReason(StrEnum):
    """Why a child could not be written; the values are condition reasons."""

    CHILD_CONFLICT = "ChildConflict"
    INVALID_CHILD = "InvalidChild"
    FORBIDDEN = "Forbidden"
    QUOTA_EXCEEDED = "QuotaExceeded"
    POD_SECURITY_DENIED = "PodSecurityDenied"
    UNAVAILABLE = "ApiUnavailable"


@dataclass(frozen=True, slots=True)
class ApplyFailure:
    """One child that could not be written or deleted.

    Args:
        message: the API server's sentence, or who owns the object; at most a line.
    """

    ref: Ref
    reason: FailureReason
    message: str


@dataclass(frozen=True, slots=True)
class Readback:
    """What one pod answered when asked which policy it enforces.

    Args:
        digest: `sha256:<hex>` of the enforced file; empty when the pod did not answer.
        error: the pod's own last error about a newer file that it refused (from `/-/policy`), or, with an empty
            digest, why it could not be asked.
        refused: the digest of the file that `error` speaks of, if any.
    """

    digest: str
    error: str = ""
    refused: str = ""


class CredentialState(StrEnum):
    """How a credential fared when the proxy last used or tried it; the worst first."""

    REFUSED = "Refused"
    UNREACHABLE = "Unreachable"
    UNKNOWN = "Unknown"
    VALID = "Valid"


@dataclass(frozen=True, slots=True)
class CredentialReport:
    """What one pod says of one entry of `spec.credentials`.

    Args:
        expires: when it ends by what it says of itself, as RFC 3339; empty when it does not say.
        message: why it is in this state, one line; empty when there is nothing to say.
    """

    name: str
    state: CredentialState
    expires: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class PolicyFailure:
    """Why the attached policies cannot be rendered.

    Args:
        reason: a reason of ConfigurationValid, such as Oversize or InvalidRule.
        message: which rule, and what to change.
    """

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class PolicyState:
    """The proxy's download file: what is in force in the cluster and what kept a newer one away.

    Args:
        text: the content of `<name>-policy` that is wanted now; None when there is none and no last good one.
        digest: `sha256:<hex>` of `text`; empty without one.
        merged: the merge that `text` was rendered from; None when it could not be made.
        missing: policies that the proxy names and may not or cannot use.
        failure: why merging or rendering failed.
        kept_last_good: `text` is older than the policies because of `missing` or `failure`.
        applied_at: when the operator first applied this digest; None when it does not remember.
        closed: `text` refuses everything because of `missing` or `failure`.
    """

    text: str | None = None
    digest: str = ""
    merged: MergedPolicy | None = None
    missing: tuple[MissingPolicy, ...] = ()
    failure: PolicyFailure | None = None
    kept_last_good: bool = False
    applied_at: datetime | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class MissingSecret:
    """A Secret or a key of it that the spec names and that does not exist.

    Args:
        key: empty when the Secret itself is missing.
    """

    reference: SecretReference
    key: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that one pass learnt.

    Args:
        inputs: the operator's settings that reach children.
        children: live objects with our owner reference or under our names, by identity.
        claim: the live claim of the storage, ours or the one that `existingClaim` names; None when there is none.
        sharing: who else uses the store.
        pods: live pods of this proxy, with their status.
        prefetch_pods: pods of its prefetch Jobs, ended or not.
        readback: what pods answered, by pod name; pods that were not asked are absent.
        credentials: what pods say of the proxy's credentials, by pod name.
        readback_enabled: false when the installation switched read-back off.
        failures: children that could not be written.
        fights: which children somebody keeps changing, a sentence each.
        policy: the state of the download file.
        missing_secrets: what `secret_references` lacks.
        secrets_readable: false when the operator has no permission to read Secrets.
        missing_capabilities: optional APIs and permissions that are absent and would be needed.
    """

    inputs: Inputs
    children: Mapping[Ref, Manifest] = field(default_factory=dict)
    claim: Manifest | None = None
    sharing: Sharing = UNSHARED
    pods: tuple[Manifest, ...] = ()
    prefetch_pods: tuple[Manifest, ...] = ()
    readback: Mapping[str, Readback] = field(default_factory=dict)
    credentials: Mapping[str, tuple[CredentialReport, ...]] = field(default_factory=dict)
    readback_enabled: bool = True
    failures: tuple[ApplyFailure, ...] = ()
    fights: tuple[str, ...] = ()
    policy: PolicyState = PolicyState()
    missing_secrets: tuple[MissingSecret, ...] = ()
    secrets_readable: bool = True
    missing_capabilities: tuple[str, ...] = ()
