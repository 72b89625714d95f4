"""Modules as a `file://` GOPROXY: a folder tree of `.info`, `.mod`, `.zip` and `list` files.

Source: https://go.dev/ref/mod#serving-from-proxy
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

TIME = "2020-01-02T03:04:05Z"


def escaped(text: str) -> str:
    """A module path or version as it stands in URLs and file names: `A` is `!a`."""
    return "".join(f"!{letter.lower()}" if letter.isupper() else letter for letter in text)


def info_bytes(version: str, time: str = TIME) -> bytes:
    """A `.info` file."""
    return json.dumps({"Version": version, "Time": time}, separators=(",", ":")).encode()


def zip_bytes(path: str, version: str, files: Mapping[str, bytes]) -> bytes:
    """A module zip with these files below `path@version/`; the same input gives the same bytes."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{path}@{version}/{name}", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return packed.getvalue()


def go_package(path: str) -> bytes:
    """Source of a package that compiles, named by the last element of its path that can be a name."""
    elements = [part for part in path.split("/") if not (part[:1] == "v" and part[1:].isdigit())]
    return f"package {elements[-1].lower().split('.')[0].replace('-', '_')}\n".encode()


@dataclass(frozen=True)
class ModuleTree:
    """The tree below `root`."""

    root: Path

    @property
    def url(self) -> str:
        """Its GOPROXY entry."""
        return self.root.resolve().as_uri()

    def folder(self, path: str) -> Path:
        """The `@v` folder of a module."""
        made = self.root / escaped(path) / "@v"
        made.mkdir(parents=True, exist_ok=True)
        return made

    def add(
        self,
        path: str,
        version: str,
        *,
        mod: str | None = None,
        files: Mapping[str, bytes] | None = None,
        listed: bool = True,
        time: str = TIME,
    ) -> None:
        """Put one version into the tree.

        Args:
            path: the module path.
            version: its canonical version.
            mod: text of the go.mod, by default one line that names the path.
            files: further files of the zip, by default one small package.
            listed: whether `list` names the version (pseudo-versions are not listed).
            time: what `.info` says about the commit.
        """
        folder = self.folder(path)
        text = f"module {path}\n" if mod is None else mod
        content = {"go.mod": text.encode(), **(files or {"code.go": go_package(path)})}
        name = escaped(version)
        folder.joinpath(f"{name}.info").write_bytes(info_bytes(version, time))
        folder.joinpath(f"{name}.mod").write_text(text)
        folder.joinpath(f"{name}.zip").write_bytes(zip_bytes(path, version, content))
        names = folder / "list"
        names.touch()
        if listed:
            names.write_text(names.read_text() + version + "\n")

    def point(self, path: str, query: str, version: str) -> None:
        """Let a branch, tag or commit name mean a version that is in the tree."""
        self.folder(path).joinpath(f"{escaped(query)}.info").write_bytes(info_bytes(version))

    def latest(self, path: str, version: str) -> None:
        """Let `@latest` mean a version that is in the tree."""
        self.folder(path).parent.joinpath("@latest").write_bytes(info_bytes(version))
