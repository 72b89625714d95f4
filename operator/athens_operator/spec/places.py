"""Where a spec keeps modules, as a value that can be compared with that of another proxy."""

from __future__ import annotations

from dataclasses import dataclass

from athens_operator.spec.storage import S3, Storage

AWS = "aws"  # where bucket names are unique by themselves


@dataclass(frozen=True, slots=True)
class Place:
    """Where modules are kept, as far as a spec tells.

    Args:
        service: backend and address.
        container: bucket or container.
        prefix: its elements; a place holds every place below it.
    """

    service: tuple[str, str]
    container: str
    prefix: tuple[str, ...] = ()

    @property
    def root(self) -> tuple[tuple[str, str], str]:
        """The bucket or container, with its service; places under different roots never collide."""
        return (self.service, self.container)

    def __str__(self) -> str:
        return "/".join([self.container or self.service[1], *self.prefix])

    def collides_with(self, other: Place) -> bool:
        """Whether one holds the other."""
        shorter = min(len(self.prefix), len(other.prefix))
        return (self.root, self.prefix[:shorter]) == (other.root, other.prefix[:shorter])


def place_of(storage: Storage) -> Place | None:
    """The place of a store outside the namespace, or None where there is none or only a Secret names it."""
    if storage.s3:
        return Place(("s3", _address(storage.s3)), storage.s3.bucket, _elements(storage.s3.prefix))
    if storage.minio:
        return Place(("s3", storage.minio.endpoint.lower()), storage.minio.bucket, _elements(storage.minio.prefix))
    if storage.gcs:
        return Place(("gcs", ""), storage.gcs.bucket, _elements(storage.gcs.prefix))
    if storage.azure_blob:
        azure = storage.azure_blob
        return Place(("azureBlob", azure.account_name), azure.container_name, _elements(azure.prefix))
    if storage.external:
        return Place(("external", storage.external.url.rstrip("/")), "")
    return None


def _address(s3: S3) -> str:
    return s3.endpoint.partition("://")[2].rstrip("/").lower() or AWS


def _elements(prefix: str) -> tuple[str, ...]:
    return tuple(prefix.split("/")) if prefix else ()
