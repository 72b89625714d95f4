"""Credentials that the settings name, in a home of the go command's own; the user's home is never written.

What else the user's home holds (`.gitconfig`, `.ssh`, `.config`) is linked into it.

Source: github.com/gomods/athens v0.18.0, cmd/proxy/actions/auth.go, which overwrites the files of the user.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart

_READ_BY_TOOLS: Final = frozenset({".netrc", "_netrc", ".hgrc"})
_LOG: Final = logging.getLogger(__name__)


@contextmanager
def with_credentials(config: Config, environ: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The environment for the go command: the present one when no credential is configured, else with another HOME.

    Args:
        config: names the files, or has a token.
        environ: the process environment.

    Raises:
        CannotStart: a file cannot be read or written.
    """
    files = _files(config)
    if not files:
        yield environ
        return
    with tempfile.TemporaryDirectory(prefix="athens-home-") as folder:
        try:
            for name, data in files.items():
                _write_private(Path(folder, name), data)
            _link_others(Path(environ["HOME"]) if environ.get("HOME") else None, Path(folder))
        except OSError as error:
            raise CannotStart(f"write credentials below {folder}: {error.strerror}") from error
        yield {**environ, "HOME": folder}


def _files(config: Config) -> dict[str, bytes]:
    """Contents by the name that they have at home."""
    settings = config.credentials
    files: dict[str, bytes] = {}
    if settings.github_token:
        files[".netrc"] = f"machine github.com login {settings.github_token.reveal()}\n".encode()
    for key, path in (("NETRCPath", settings.netrc_path), ("HGRCPath", settings.hgrc_path)):
        if not path:
            continue
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise CannotStart(f"{config.origins[key].name}: {path} cannot be read: {error.strerror}") from error
        name = name_at_home(path)
        if name not in _READ_BY_TOOLS:
            _LOG.warning("%s: no tool reads ~/%s; name the file .netrc or .hgrc", config.origins[key].name, name)
        files[name] = data
    return files


def name_at_home(path: str) -> str:
    """The name of a credential file at home: `netrc` with any leading dots and underscores is `.netrc`."""
    name = Path(path).name
    return ".netrc" if name.lstrip("._") == "netrc" else name


def _write_private(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


def _link_others(home: Path | None, private: Path) -> None:
    """Only names with a dot: tools keep their settings there, and a store in the home is none of their business."""
    if home is None or not home.is_dir():
        return
    for entry in home.iterdir():
        if entry.name.startswith(".") and not (private / entry.name).exists():
            (private / entry.name).symlink_to(entry)
