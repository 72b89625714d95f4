"""Athens' two layouts of a bucket, byte for byte, and where our own records lie beside them; pure.

- S3, GCS, Azure Blob: `<module>/@v/<version>.info|.mod|.zip`
- MinIO:               `<module>/<version>/{go.mod,source.zip,<version>.info}`

Module paths and versions are not escaped. A prefix of ours may stand before every key; without one the keys are
Athens'. Records lie below `.athens/`: no module path begins with a dot, and no Athens listing takes one for a module.

Source: github.com/gomods/athens pkg/storage/{s3,gcp,azureblob,minio}, pkg/config PackageVersionedName
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from athens_proxy.errors import InvalidPath
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage import layout
from athens_proxy.storage.layout import MOD_NAME, RECORDS_DIR, ZIP_NAME

_INFO = ".info"


@dataclass(frozen=True, slots=True)
class Span:
    """Keys of one listing: below `folder`, behind `after`, before `until` (both "" for no bound)."""

    folder: str
    after: str = ""
    until: str = ""


class ObjectLayout(Protocol):
    """Where the three files of a version lie."""

    @property
    def root(self) -> str:
        """What stands before every key: "" or a prefix that ends with a slash."""

    def info(self, wanted: ModuleVersion) -> str:
        """The key of the commit mark."""

    def mod(self, wanted: ModuleVersion) -> str:
        """The key of the go.mod."""

    def zip(self, wanted: ModuleVersion) -> str:
        """The key of the zip."""

    def versions(self, path: ModulePath) -> Span:
        """A listing that holds the commit marks of every version of a module."""

    def entry(self, key: str) -> ModuleVersion | None:
        """The version whose commit mark has this key, None for any other key."""


@dataclass(frozen=True, slots=True)
class VersionedFiles:
    """The layout of S3, GCS and Azure Blob."""

    root: str = ""

    def info(self, wanted: ModuleVersion) -> str:
        """See `ObjectLayout.info`."""
        return self._file(wanted, "info")

    def mod(self, wanted: ModuleVersion) -> str:
        """See `ObjectLayout.mod`."""
        return self._file(wanted, "mod")

    def zip(self, wanted: ModuleVersion) -> str:
        """See `ObjectLayout.zip`."""
        return self._file(wanted, "zip")

    def versions(self, path: ModulePath) -> Span:
        """See `ObjectLayout.versions`."""
        return Span(f"{self.root}{path.text}/@v")

    def entry(self, key: str) -> ModuleVersion | None:
        """See `ObjectLayout.entry`."""
        module, separator, name = key.removeprefix(self.root).rpartition("/@v/")
        if not (separator and key.startswith(self.root) and name.endswith(_INFO)) or "/" in name:
            return None
        return _version(module, name.removesuffix(_INFO))

    def _file(self, wanted: ModuleVersion, extension: str) -> str:
        return f"{self.root}{wanted.path.text}/@v/{wanted.version}.{extension}"


@dataclass(frozen=True, slots=True)
class VersionFolders:
    """The layout of MinIO, which is also that of the disk."""

    root: str = ""

    def info(self, wanted: ModuleVersion) -> str:
        """See `ObjectLayout.info`."""
        return self._file(wanted, wanted.version + _INFO)

    def mod(self, wanted: ModuleVersion) -> str:
        """See `ObjectLayout.mod`."""
        return self._file(wanted, MOD_NAME)

    def zip(self, wanted: ModuleVersion) -> str:
        """See `ObjectLayout.zip`."""
        return self._file(wanted, ZIP_NAME)

    def versions(self, path: ModulePath) -> Span:
        """See `ObjectLayout.versions`; other modules may lie below the folder, most of them outside the bounds."""
        folder = f"{self.root}{path.text}"
        return Span(folder, after=f"{folder}/v", until=f"{folder}/w")

    def entry(self, key: str) -> ModuleVersion | None:
        """See `ObjectLayout.entry`."""
        folder, _, name = key.removeprefix(self.root).rpartition("/")
        module, _, version = folder.rpartition("/")
        if not key.startswith(self.root) or name != version + _INFO:
            return None
        return _version(module, version)

    def _file(self, wanted: ModuleVersion, name: str) -> str:
        return f"{self.root}{wanted.path.text}/{wanted.version}/{name}"


def root_of(prefix: str) -> str:
    """The root of a layout with this prefix."""
    return f"{prefix}/" if prefix else ""


def record_key(root: str, name: str) -> str:
    """The key of one of our own records.

    Raises:
        StorageError: the name could leave the records' folder.
    """
    return f"{root}{RECORDS_DIR}/{'/'.join(layout.record_parts(name))}"


def behind_records(root: str) -> str:
    """A key behind every record and before every module: `0` follows `/`, and module paths begin with [0-9a-z]."""
    return f"{root}{RECORDS_DIR}0"


def _version(module: str, version: str) -> ModuleVersion | None:
    path = _path(module)
    return ModuleVersion(path, version) if path and version else None


@lru_cache(maxsize=256)
def _path(module: str) -> ModulePath | None:
    """Listings name a module once for each of its versions."""
    try:
        return ModulePath.parse(module)
    except InvalidPath:
        return None
