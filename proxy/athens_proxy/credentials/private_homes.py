"""A private home for each run of the go command, in a folder that only this user can enter.

It has the credential files of the settings as they are now, links to what else lies in the user's home, and the
variables that make git, ssh and go ask the proxy for everything else. The user's home is never written.

Source: github.com/gomods/athens v0.18.0, cmd/proxy/actions/auth.go, for the names of the files
"""

from __future__ import annotations

import asyncio
import itertools
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from athens_proxy.credentials import ask
from athens_proxy.credentials.desk import Desk, Run
from athens_proxy.credentials.entries import Entry, Kind
from athens_proxy.credentials.git_settings import as_variables, git_settings
from athens_proxy.credentials.hg_settings import hgrc
from athens_proxy.credentials.keyring import Keyring
from athens_proxy.credentials.places import Place
from athens_proxy.credentials.secret_files import Unusable, path_of
from athens_proxy.errors import CredentialRefused, CredentialUnusable, ModuleNotFound, ProxyError
from athens_proxy.modules import ModulePath
from athens_proxy.upstream.transport import scratch_failure

_NETRC: Final = ".netrc"
_HGRC: Final = ".hgrc"
_ORDINARY_SSH: Final = "ssh -o ControlMaster=no -o BatchMode=yes"


@dataclass(frozen=True, slots=True)
class UserFiles:
    """Files that the settings name.

    Attributes:
        by_name: the files whose contents, one after the other, are the file of that name at home; with the name of
            the setting or entry that names each.
        git_config: what stands for `~/.gitconfig`; None for the user's own.
    """

    by_name: Mapping[str, Sequence[tuple[str, Path]]] = field(default_factory=dict)
    git_config: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.by_name) or self.git_config is not None

    def with_entries(self, entries: Sequence[Entry]) -> UserFiles:
        """These, and then those of entries that are whole files."""
        by_name = {name: list(files) for name, files in self.by_name.items()}
        git_config = self.git_config
        for entry in entries:
            if entry.kind is Kind.GIT_CONFIG:
                git_config = git_config or path_of(entry)
            elif entry.kind in (Kind.NETRC, Kind.HGRC):
                named = by_name.setdefault(_NETRC if entry.kind is Kind.NETRC else _HGRC, [])
                if path_of(entry) not in [path for _, path in named]:
                    named.append((f'credential "{entry.name}"', path_of(entry)))
        return UserFiles(by_name, git_config)


@dataclass(frozen=True, slots=True)
class PrivateHome:
    """The home of one run; a `Home`."""

    environment: Mapping[str, str] = field(repr=False)
    run: Run = field(repr=False)

    def explained(self, error: ProxyError) -> ProxyError:
        """Which credential could not be used, or was refused."""
        if self.run.problems:
            attempt = str(error).removeprefix("not found: ").partition(": ")[0]
            return CredentialUnusable(f"{attempt}: {self.run.problems[0]}")
        if self.run.refused and isinstance(error, CredentialRefused | ModuleNotFound):
            said = str(error).removeprefix("not found: ")
            return CredentialRefused(f'{said}; the credential "{self.run.refused[-1]}" was refused')
        return error

    def masked(self, text: str) -> str:
        """The text without the logins of the run."""
        return self.run.masked(text)

    async def is_outdated(self) -> bool:
        """Whether an entry or a file of the settings has another value by now."""
        return await self.run.is_outdated()


class PrivateHomes:
    """Gives a private home to every run; a `Homes`.

    Args:
        root: an existing folder of this process alone, with the desk's socket.
        files: what the settings and the entries name.
        keyring: the entries of the credentials file.
        desk: answers the programs that a run starts.
        has_hg: whether hg is there to be told of credentials.
    """

    def __init__(self, root: Path, files: UserFiles, keyring: Keyring, *, desk: Desk, has_hg: bool) -> None:
        self._root = root
        self._files = files
        self._keyring = keyring
        self._desk = desk
        self._has_hg = has_hg
        self._numbers = itertools.count()

    @asynccontextmanager
    async def open(self, path: ModulePath, environment: Mapping[str, str]) -> AsyncIterator[PrivateHome]:
        """See `Homes.open`."""
        name = f"run-{next(self._numbers)}"
        host, *rest = path.text.split("/")
        run = Run(self._root / name, Place.of(host, None, "/".join(rest)))
        user_home = Path(environment["HOME"]) if environment.get("HOME") else None
        try:
            try:
                self._furnish(run, user_home)  # a few small files; a thread could go on after a cancellation
                if self._has_hg:
                    await self._write_hgrc(run, name, environment)
            except OSError as error:
                raise scratch_failure(error, run.home) from error
            self._desk.begin(name, run)
            yield PrivateHome({**environment, **self._variables(environment, run, name)}, run)
        finally:
            self._desk.end(name)
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, run.home, ignore_errors=True))

    def _furnish(self, run: Run, user_home: Path | None) -> None:
        run.home.mkdir(mode=0o700)
        for name, sources in self._files.by_name.items():
            write_private(run.home / name, b"".join(_content(run, named, path) for named, path in sources))
        if user_home is None or not user_home.is_dir():
            return
        # Only names with a dot: tools keep their settings there, and a store in the home is none of their business.
        for entry in user_home.iterdir():
            if entry.name.startswith(".") and not (run.home / entry.name).exists():
                (run.home / entry.name).symlink_to(entry)

    async def _write_hgrc(self, run: Run, name: str, environment: Mapping[str, str]) -> None:
        """Mercurial has no credential helper, so that its settings have the login for the module's place."""
        entry = self._keyring.for_https(run.module)
        login = None
        if entry is not None:
            try:
                login = await self._keyring.login(entry)
                run.taken.setdefault(entry.name, (login, partial(self._keyring.login, entry)))
            except Unusable as problem:
                run.problems.append(str(problem))
        own = run.home / _HGRC
        ssh = [*self._asking("ssh", name), _ORDINARY_SSH] if self._has_ssh else []
        text = hgrc(entry.match if entry else None, login, ssh=ssh, environment=environment)
        if not text:
            return
        if own.is_symlink():
            text = f"%include {own.readlink()}\n{text}"
            own.unlink()
        before = own.read_bytes() + b"\n" if own.exists() else b""
        own.unlink(missing_ok=True)
        write_private(own, before + text.encode())

    def _variables(self, environment: Mapping[str, str], run: Run, name: str) -> dict[str, str]:
        variables = {"HOME": str(run.home)}
        if self._files.git_config and "GIT_CONFIG_GLOBAL" not in environment:
            variables["GIT_CONFIG_GLOBAL"] = str(self._files.git_config)
        settings = git_settings(
            self._keyring.entries,
            helper=self._asking("git", name),
            module=run.module,
            allows_http=bool(environment.get("GOINSECURE")),
        )
        variables |= as_variables(settings, environment)
        if not self._keyring.entries:
            return variables
        if environment.get("GOAUTH", "netrc") != "off":
            variables["GOAUTH"] = f"{shlex.join(self._asking('go', name))};{environment.get('GOAUTH') or 'netrc'}"
        if self._has_ssh:
            variables["GIT_SSH_COMMAND"] = shlex.join([*self._asking("ssh", name), _ssh_of(environment)])
            variables["GIT_SSH_VARIANT"] = "ssh"
            variables["SVN_SSH"] = shlex.join([*self._asking("ssh", name), environment.get("SVN_SSH") or _ORDINARY_SSH])
        return variables

    @property
    def _has_ssh(self) -> bool:
        return any(entry.kind is Kind.SSH for entry in self._keyring.entries)

    def _asking(self, kind: str, name: str) -> list[str]:
        """The command that asks the desk; isolated, so that nothing of the run's environment changes it."""
        return [sys.executable, "-I", "-S", ask.__file__, kind, str(self._root), name]


def write_private(path: Path, data: bytes) -> None:
    """A new file that its owner alone can read."""
    path.touch(mode=0o600)
    path.write_bytes(data)


def _ssh_of(environment: Mapping[str, str]) -> str:
    """The command that reaches hosts without an entry: the user's, else what the go command takes."""
    named = environment.get("GIT_SSH")
    return environment.get("GIT_SSH_COMMAND") or (shlex.quote(named) if named else _ORDINARY_SSH)


def _content(run: Run, named: str, path: Path) -> bytes:
    """A file as it is now, with a line end; what cannot be read is a problem of the run."""
    try:
        data = path.read_bytes()
    except OSError as error:
        run.problems.append(f"{named}: {path} cannot be read: {error.strerror}")
        return b""
    run.taken[named] = data, partial(_present, path)
    return data if data.endswith(b"\n") or not data else data + b"\n"


async def _present(path: Path) -> bytes:
    """A file as it is now; nothing where it cannot be read."""
    try:
        return await asyncio.to_thread(path.read_bytes)
    except OSError:
        return b""
