"""Large module zips in files, valid ones, that processes can tell each other about."""

from __future__ import annotations

import random
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage.storage import FetchedModule
from athens_proxy.upstream.zipcheck import checked_zip_h1

MODULE = "example.com/big"
MOD = f"module {MODULE}\n".encode()
MIB = 1024 * 1024


@dataclass(frozen=True)
class LargeZip:
    """One version of a module that is mostly noise.

    Attributes:
        path: its zip.
        version: of `MODULE`.
        h1: its sum.
    """

    path: str
    version: str
    h1: str

    @property
    def wanted(self) -> ModuleVersion:
        """What it is the zip of."""
        return ModuleVersion(ModulePath.parse(MODULE), self.version)

    @property
    def info(self) -> bytes:
        """Its `.info`."""
        return f'{{"Version":"{self.version}"}}'.encode()

    def fetched(self) -> FetchedModule:
        """As a fetcher hands it over, the zip under one more name, since a store may move it away."""
        link = Path(self.path).with_name(f"{uuid.uuid4().hex}.zip")
        link.hardlink_to(self.path)
        return FetchedModule(
            wanted=self.wanted,
            info=self.info,
            mod=MOD,
            zip_path=link,
            zip_size_bytes=link.stat().st_size,
            zip_h1=self.h1,
            mod_h1=mod_hash1(MOD),
        )


def large_zip(folder: Path, size_mib: int, *, number: int = 0) -> LargeZip:
    """A new zip below the folder, of the version with this number."""
    version = f"v1.0.{number}"
    path = folder / f"big-{version}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{MODULE}@{version}/go.mod", MOD)
        with archive.open(f"{MODULE}@{version}/noise.bin", "w") as file:
            for _ in range(size_mib):
                file.write(random.randbytes(MIB))
    wanted = ModuleVersion(ModulePath.parse(MODULE), version)
    return LargeZip(str(path), version, checked_zip_h1(path, wanted))
