"""Modules of known sizes in the layout of a module proxy, made of noise that no archive can shrink."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VERSION: Final = "v1.0.0"
_MOD_BYTES: Final = 1_500
_EMPTY_ZIP: Final = b"PK\5\6" + bytes(18)
_NOISE_FILE_BYTES: Final = 4 << 20


@dataclass(frozen=True)
class BenchModule:
    """One module version.

    Attributes:
        path: The module path, without upper-case letters.
        zip_bytes: About how big its zip is.
    """

    path: str
    zip_bytes: int

    def target(self, extension: str) -> str:
        """What a client asks for: `/path/@v/v1.0.0.zip`."""
        return f"/{self.path}/@v/{VERSION}.{extension}"


def write(root: Path, modules: list[BenchModule]) -> None:
    """Put modules below `root` as a file proxy has them; the same bytes on every machine and in every run."""
    for module in modules:
        folder = root / module.path / "@v"
        folder.mkdir(parents=True, exist_ok=True)
        mod = _mod(module.path)
        (folder / f"{VERSION}.info").write_text(f'{{"Version":"{VERSION}","Time":"2020-01-01T00:00:00Z"}}')
        (folder / f"{VERSION}.mod").write_bytes(mod)
        (folder / f"{VERSION}.zip").write_bytes(_zip(module, mod))
        (folder / "list").write_text(f"{VERSION}\n")


def store(root: Path, versions: Iterable[tuple[str, str]]) -> None:
    """Put small versions, by module path and version, below `root` as a disk store has them."""
    for path, version in versions:
        folder = root / path / version
        folder.mkdir(parents=True)
        (folder / "go.mod").write_bytes(f"module {path}\n".encode())
        (folder / "source.zip").write_bytes(_EMPTY_ZIP)
        (folder / f"{version}.info").write_text(f'{{"Version":"{version}","Time":"2020-01-01T00:00:00Z"}}')


def _mod(path: str) -> bytes:
    head = f"module {path}\n\ngo 1.20\n".encode()
    return head + b"// " + b"x" * (_MOD_BYTES - len(head) - 4) + b"\n"


def _zip(module: BenchModule, mod: bytes) -> bytes:
    prefix, noise = f"{module.path}@{VERSION}", random.Random(module.path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{prefix}/go.mod"), mod)
        rest, number = module.zip_bytes - len(mod), 0
        while rest > 0:
            data = noise.randbytes(min(rest, _NOISE_FILE_BYTES))
            archive.writestr(zipfile.ZipInfo(f"{prefix}/noise{number}.bin"), data)
            rest, number = rest - len(data), number + 1
    return buffer.getvalue()
