"""Module versions made in memory: the same bytes every time, so that their sums are known."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.modules import ModulePath, ModuleVersion, RevInfo
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.zipcheck import checked_zip_h1


def zip_bytes(entries: Iterable[tuple[str, bytes]], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of named entries, in order and without times; names end in `/` for directories."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, content, compress_type=compression)
    return buffer.getvalue()


@dataclass(frozen=True)
class SampleModule:
    """One version of a small module, with everything that a module proxy serves of it."""

    path: str = "example.com/m"
    version: str = "v1.0.0"
    files: Mapping[str, bytes] = field(default_factory=lambda: {"m.go": b"package m\n"})
    time: str = "2020-01-02T03:04:05Z"
    go_mod: bytes = b""

    @property
    def wanted(self) -> ModuleVersion:
        return ModuleVersion.parse(ModulePath.parse(self.path), self.version)

    @property
    def mod(self) -> bytes:
        return self.go_mod or f"module {self.path}\n\ngo 1.21\n".encode()

    @property
    def info(self) -> bytes:
        return RevInfo.parse(json.dumps({"Version": self.version, "Time": self.time}).encode()).encode()

    @property
    def zip(self) -> bytes:
        prefix = f"{self.path}@{self.version}/"
        return zip_bytes([(prefix + "go.mod", self.mod), *((prefix + name, data) for name, data in self.files.items())])

    def fetched(self, directory: Path) -> FetchedModule:
        """As a fetcher hands it over, its zip in a new file below the directory."""

        zip_path = directory / f"{self.wanted.escaped_version}.{len(list(directory.iterdir()))}.zip"
        zip_path.write_bytes(self.zip)
        return FetchedModule(
            wanted=self.wanted,
            info=self.info,
            mod=self.mod,
            zip_path=zip_path,
            zip_size_bytes=len(self.zip),
            zip_h1=checked_zip_h1(zip_path, self.wanted),
            mod_h1=mod_hash1(self.mod),
        )


def proxy_files(modules: Iterable[SampleModule]) -> dict[str, bytes]:
    """The files of a module proxy by relative path: list, info, mod and zip of each version."""
    files: dict[str, bytes] = {}
    for module in modules:
        folder = f"{module.wanted.path.escaped}/@v/"
        base = folder + module.wanted.escaped_version
        files |= {f"{base}.info": module.info, f"{base}.mod": module.mod, f"{base}.zip": module.zip}
        files[folder + "list"] = files.get(folder + "list", b"") + module.version.encode() + b"\n"
    return files


def write_file_proxy(root: Path, modules: Iterable[SampleModule]) -> Path:
    """A `file://` module proxy below the directory."""
    for name, data in proxy_files(modules).items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return root
