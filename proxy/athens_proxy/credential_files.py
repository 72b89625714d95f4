"""The files of credentials that the settings name, which the runs of the go command get in a home of their own.

Source: github.com/gomods/athens v0.18.0, cmd/proxy/actions/auth.go, which overwrites the files of the user.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from athens_proxy.config.sections import Config
from athens_proxy.credentials.entries import Entry, InvalidCredentials, parse_entries
from athens_proxy.credentials.private_homes import UserFiles, write_private
from athens_proxy.errors import CannotStart

_READ_BY_TOOLS: Final = frozenset({".netrc", "_netrc", ".hgrc"})
_LOG: Final = logging.getLogger(__name__)


def names_credentials(config: Config) -> bool:
    """Whether the settings name any credential, so that runs need homes of their own."""
    settings = config.credentials
    return bool(settings.github_token or settings.netrc_path or settings.hgrc_path or settings.credentials_file)


def user_files(config: Config, root: Path) -> UserFiles:
    """The files by the name that they have at home; they are read when a run begins.

    Args:
        config: names the files, or has a token.
        root: a private folder, where a token becomes a file.

    Raises:
        CannotStart: a file cannot be read now, or written.
    """
    settings = config.credentials
    by_name: dict[str, list[tuple[str, Path]]] = {}
    if settings.github_token:
        by_name[".netrc"] = [(config.origins["GithubToken"].name, _token_file(settings.github_token.reveal(), root))]
    for key, path in (("NETRCPath", settings.netrc_path), ("HGRCPath", settings.hgrc_path)):
        if not path:
            continue
        origin = config.origins[key].name
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise CannotStart(f"{origin}: {path} cannot be read: {error.strerror}") from error
        name = name_at_home(path)
        if name not in _READ_BY_TOOLS:
            _LOG.warning("%s: no tool reads ~/%s; name the file .netrc or .hgrc", origin, name)
        by_name.setdefault(name, []).append((origin, Path(path)))
    return UserFiles(by_name)


def listed_entries(config: Config) -> tuple[Entry, ...]:
    """The entries of `CredentialsFile`.

    Raises:
        CannotStart: it cannot be read, or is no credentials file.
    """
    name, origin = config.credentials.credentials_file, config.origins["CredentialsFile"].name
    if not name:
        return ()
    path = Path(name)
    try:
        return parse_entries(path.read_text(encoding="utf-8"), folder=path.parent.absolute())
    except OSError as error:
        raise CannotStart(f"{origin}: {name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CannotStart(f"{origin}: {name} cannot be read: it is not UTF-8 text") from error
    except InvalidCredentials as error:
        raise CannotStart(f"{origin}: {name}: {error}") from error


def name_at_home(path: str) -> str:
    """The name of a credential file at home: `netrc` with any leading dots and underscores is `.netrc`."""
    name = Path(path).name
    return ".netrc" if name.lstrip("._") == "netrc" else name


def _token_file(token: str, root: Path) -> Path:
    path = root / ".netrc"
    try:
        write_private(path, f"machine github.com login {token}\n".encode())
    except OSError as error:
        raise CannotStart(f"write credentials below {root}: {error.strerror}") from error
    return path
