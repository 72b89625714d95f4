"""`AthensProxy.spec.storage`: one member per backend, exactly the one that `type` names."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from athens_operator.spec.values import FileReference, KeyReference, ObjectName, Quantity, Spec, require_member


class StorageType(StrEnum):
    """The storage backends, as users name them."""

    DISK = "disk"
    MEMORY = "memory"
    S3 = "s3"
    MINIO = "minio"
    GCS = "gcs"
    AZURE_BLOB = "azureBlob"
    MONGO = "mongo"
    EXTERNAL = "external"


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


class S3Credentials(Spec):
    """A Secret with an access key; a session token is read where its key is named."""

    name: ObjectName
    access_key_id_key: str = Field(default="AWS_ACCESS_KEY_ID", alias="accessKeyIDKey")
    secret_access_key_key: str = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a key
    session_token_key: str = ""


class S3(Spec):
    """A bucket that speaks S3; without credentials the SDK's default chain finds them."""

    bucket: str
    region: str
    prefix: str = ""
    endpoint: str = ""
    force_path_style: bool = False
    credentials_secret_ref: S3Credentials | None = None


class MinioCredentials(Spec):
    """A Secret with an access key."""

    name: ObjectName
    access_key_id_key: str = Field(default="accesskey", alias="accessKeyIDKey")
    secret_access_key_key: str = "secretkey"  # noqa: S105 - the name of a key


class Minio(Spec):
    """A bucket of a MinIO server."""

    endpoint: str
    bucket: str
    prefix: str = ""
    region: str = ""
    tls: bool = True
    credentials_secret_ref: MinioCredentials


class Gcs(Spec):
    """A bucket of Google Cloud Storage; without credentials those of the workload identity or the machine."""

    bucket: str
    project_id: str = Field(default="", alias="projectID")
    prefix: str = ""
    credentials_secret_ref: KeyReference | None = None


class ManagedIdentity(Spec):
    """An identity that Azure gives to the pod."""

    resource_id: str = Field(alias="resourceID")
    scope: str = "https://storage.azure.com/.default"


class AzureBlob(Spec):
    """A container of Azure Blob Storage; without key and identity the SDK's default chain."""

    account_name: str
    container_name: str
    prefix: str = ""
    account_key_secret_ref: KeyReference | None = None
    managed_identity: ManagedIdentity | None = None

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.account_key_secret_ref is not None and self.managed_identity is not None:
            raise ValueError("set accountKeySecretRef or managedIdentity, not both")
        return self


class Mongo(Spec):
    """A MongoDB with GridFS; the connection string is a secret as a whole."""

    connection_secret_ref: KeyReference
    database: str = "athens"
    collection: str = "modules"
    ca_ref: FileReference | None = None
    insecure_skip_verify: bool = False


class External(Spec):
    """A service that speaks Athens' storage API."""

    url: str


class Storage(Spec):
    """Where modules are kept: exactly the member that `type` names."""

    type: StorageType
    allow_sharing: bool = False
    disk: Disk | None = None
    memory: Memory | None = None
    s3: S3 | None = None
    minio: Minio | None = None
    gcs: Gcs | None = None
    azure_blob: AzureBlob | None = None
    mongo: Mongo | None = None
    external: External | None = None

    @model_validator(mode="after")
    def _matching_member(self) -> Self:
        require_member(self, self.type, StorageType)
        return self
