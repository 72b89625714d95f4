"""Real PostgreSQL and MariaDB servers on loopback, as an unprivileged user, with their data in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.ports import free_port
from support.processes import accepts_connections, inherited, started

DEADLINE_S = 60.0
DATABASE = "athens"
USER = "athens"
PASSWORD = "of-the-index"


@dataclass(frozen=True)
class SqlServer:
    """A server with a database, which can be stopped and started again.

    Attributes:
        kind: postgres or mysql.
        port: on 127.0.0.1.
        argv: how it is started.
        folder: its data and its log.
        admin: the client of an administrator, without database and statement.
    """

    kind: str
    port: int
    argv: tuple[str, ...]
    folder: Path
    admin: tuple[str, ...]
    _running: ExitStack = field(default_factory=ExitStack)

    def run(self, statement: str, *, database: str = DATABASE) -> str:
        """What an administrator's statement prints, without headers."""
        return _output([*self.admin, *self._at(database), statement])

    @contextmanager
    def started(self) -> Iterator[None]:
        """Running while the context is open."""
        with self._running:
            self._start()
            yield

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Not running while the context is open."""
        self._running.close()
        yield
        self._start()

    def _start(self) -> None:
        log = self.folder / "server.log"
        server = started(self.kind, self.argv, env=inherited("PATH", "LANG"), cwd=self.folder, log=log)
        process = self._running.enter_context(server)
        # PostgreSQL takes SIGTERM as the wish to wait for its clients
        self._running.callback(process.child.send_signal, signal.SIGINT if self.kind == "postgres" else signal.SIGTERM)
        process.wait_until(lambda: accepts_connections(self.port), what="listening", deadline_s=DEADLINE_S)
        answers = [*self.admin, *self._at(self.kind), "SELECT 1"]  # a database of the server's own has this name
        process.wait_until(lambda: _succeeds(answers), what="ready", deadline_s=DEADLINE_S)

    def _at(self, database: str) -> list[str]:
        return ["-d", database, "-c"] if self.kind == "postgres" else [database, "-e"]


@contextmanager
def server(kind: str) -> Iterator[SqlServer]:
    """A running server with an empty database `athens` and a user who owns it."""
    prepare = {"postgres": _postgres, "mysql": _mariadb}[kind]
    with _folder(kind) as (folder, as_user):
        prepared = prepare(folder, as_user)
        with prepared.started():
            for statement in _SETUP[kind]:
                prepared.run(statement, database=kind)
            yield prepared


_SETUP = {
    "postgres": (
        f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'",
        f"CREATE DATABASE {DATABASE} OWNER {USER}",
    ),
    "mysql": (
        f"CREATE DATABASE {DATABASE}",
        f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'",
        f"GRANT ALL ON {DATABASE}.* TO {USER}@'127.0.0.1'",
    ),
}


def _postgres(folder: Path, as_user: Sequence[str]) -> SqlServer:
    program, port, data = _postgres_folder(), free_port(), folder / "data"
    _output([*as_user, str(program / "initdb"), "-D", str(data), "-U", "admin", "-A", "scram-sha-256",
             "--pwfile", str(_written(folder / "password", PASSWORD)), "-N"])  # fmt: skip
    argv = (*as_user, str(program / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1",
            "-k", str(folder), "-F", "-c", "timezone=Europe/Berlin")  # fmt: skip
    psql = ("env", f"PGPASSWORD={PASSWORD}", "psql", "-h", "127.0.0.1", "-p", str(port), "-U", "admin", "-Atq")
    return SqlServer("postgres", port, argv, folder, psql)


def _mariadb(folder: Path, as_user: Sequence[str]) -> SqlServer:
    port, data, socket = free_port(), folder / "data", folder / "socket"
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
    _output([*as_user, *install, "--skip-test-db"])
    argv = (*as_user, "mariadbd", "--no-defaults", f"--datadir={data}", f"--port={port}", f"--socket={socket}",
            "--bind-address=127.0.0.1", f"--pid-file={folder / 'pid'}", "--default-time-zone=+05:00",
            "--innodb-flush-log-at-trx-commit=0", f"--tmpdir={folder}")  # fmt: skip
    client = ("mariadb", "--no-defaults", f"--socket={socket}", "-uroot", "-N", "-B")
    return SqlServer("mysql", port, argv, folder, client)


@contextmanager
def _folder(owner: str) -> Iterator[tuple[Path, list[str]]]:
    """A folder for the server, and what its commands begin with: both servers refuse to run as root."""
    folder = Path(tempfile.mkdtemp(prefix=f"athens-{owner}-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        user = pwd.getpwnam(owner)
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]
    try:
        yield folder, as_user
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_folder() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    assert found, "PostgreSQL is missing; hack/servers contract installs it"
    return found[-1].parent


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o644)
    return path


def _succeeds(argv: Sequence[str]) -> bool:
    return subprocess.run(argv, capture_output=True, timeout=DEADLINE_S, check=False).returncode == 0


def _output(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S, check=False, cwd="/")
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout.strip()
