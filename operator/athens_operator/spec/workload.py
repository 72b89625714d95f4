"""The parts of `AthensProxy.spec` that shape the Deployment: who runs the pods, where, how many and with what."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from athens_operator.spec.values import IntOrPercent, Labels, ObjectName, Quantity, Spec


class RolloutStrategy(StrEnum):
    """How a Deployment replaces its pods; Auto decides by the claim's access modes."""

    AUTO = "Auto"
    ROLLING_UPDATE = "RollingUpdate"
    RECREATE = "Recreate"


class SecurityProfile(StrEnum):
    """Who sets user and group of the pods: we, or the platform, as OpenShift does."""

    RESTRICTED = "Restricted"
    PLATFORM_ASSIGNED = "PlatformAssigned"


class OptionalReference(Spec):
    """An object in the proxy's own namespace that may be allowed to be absent."""

    name: ObjectName
    optional: bool = False


class Scratch(Spec):
    """Room for fetches in flight."""

    size_limit: Quantity | None = None
    medium: str = ""


class Scheduling(Spec):
    """Where pods may run."""

    node_selector: Labels = Field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    affinity: Mapping[str, Any] = Field(default_factory=dict)
    topology_spread_constraints: tuple[Mapping[str, Any], ...] | None = None
    priority_class_name: str = ""
    runtime_class_name: str = ""


class Security(Spec):
    """The security context of the pods; every profile meets the restricted Pod Security Standard."""

    profile: SecurityProfile = SecurityProfile.RESTRICTED


class Autoscaling(Spec):
    """Bounds and targets of a HorizontalPodAutoscaler; targets are percentages of the requests."""

    min_replicas: int = 2
    max_replicas: int
    target_cpu: int | None = Field(default=None, alias="targetCPU")
    target_memory: int | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """Where only the upper bound is written it holds for both."""
        if "min_replicas" in self.model_fields_set and self.min_replicas > self.max_replicas:
            raise ValueError("minReplicas must not be larger than maxReplicas")
        return self

    @property
    def least(self) -> int:
        """The lower bound in force."""
        return min(self.min_replicas, self.max_replicas)


class ServiceAccount(Spec):
    """The identity of the pods."""

    create: bool = True
    name: ObjectName = ""
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class ExtraMetadata(Spec):
    """Extra labels and annotations."""

    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class SecretKey(Spec):
    """A key of a Secret in the proxy's own namespace, as a container refers to it."""

    model_config = ConfigDict(extra="allow")

    name: ObjectName
    key: str
    optional: bool = False


class ValueFrom(Spec):
    """Where a variable takes its value from; what is not known here is passed on as it is."""

    model_config = ConfigDict(extra="allow")

    secret_key_ref: SecretKey | None = None


class EnvVar(Spec):
    """One extra environment variable, as in a container."""

    name: str
    value: str | None = None
    value_from: ValueFrom | None = None


class EnvSource(Spec):
    """A Secret or ConfigMap all of whose keys become variables, as in a container."""

    prefix: str = ""
    config_map_ref: OptionalReference | None = None
    secret_ref: OptionalReference | None = None


class SecretChange(StrEnum):
    """What a new value of a Secret does that the process reads at its start only."""

    RESTART = "Restart"
    IGNORE = "Ignore"


class Rollout(Spec):
    """How pods are replaced."""

    strategy: RolloutStrategy = RolloutStrategy.AUTO
    max_surge: IntOrPercent = 1
    max_unavailable: IntOrPercent = 0
    min_ready_seconds: int = 5
    progress_deadline_seconds: int = 600
    revision_history_limit: int = 3
    secret_change: SecretChange = SecretChange.RESTART
