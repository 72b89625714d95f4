"""`AthensProxy.spec.storage`: one member per backend, exactly the one that `type` names."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import model_validator

from athens_operator.spec.values import ObjectName, Quantity, Spec


class StorageType(StrEnum):
    """The storage backends of this release."""

    DISK = "disk"
    MEMORY = "memory"


class EmptyDir(Spec):
    """A volume that lives as long as its pod."""

    size_limit: Quantity | None = None
    medium: str = ""


class Claim(Spec):
    """The claim that the operator makes."""

    size: Quantity
    storage_class_name: str | None = None
    access_modes: tuple[str, ...] = ("ReadWriteOnce",)


class Disk(Spec):
    """Athens' directory layout on a volume."""

    path: str = "/var/lib/athens"
    ephemeral: EmptyDir | None = None
    existing_claim: ObjectName = ""
    persistent_volume_claim: Claim | None = None

    @model_validator(mode="after")
    def _one_volume(self) -> Self:
        if [self.ephemeral is not None, bool(self.existing_claim), self.persistent_volume_claim is not None].count(
            True
        ) != 1:
            raise ValueError("set exactly one of ephemeral, existingClaim and persistentVolumeClaim")
        return self


class Memory(Spec):
    """A cache that is lost with the pod."""


class Storage(Spec):
    """Where modules are kept: exactly the member that `type` names."""

    type: StorageType
    disk: Disk | None = None
    memory: Memory | None = None

    @model_validator(mode="after")
    def _matching_member(self) -> Self:
        members = {StorageType.DISK: self.disk, StorageType.MEMORY: self.memory}
        if [kind for kind, member in members.items() if member is not None] != [self.type]:
            raise ValueError(f"type {self.type} needs the member {self.type} and no other")
        return self
