"""Real PostgreSQL and MariaDB servers on loopback, as an unprivileged user, with their data in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.processes import RunningProcess, accepts_connections, free_port, inherited, started

DEADLINE_S = 60.0
DATABASE = "athens"
USER = "athens"
PASSWORD = "of-the-index"


@dataclass(frozen=True)
class SqlServer:
    """A running server.

    Attributes:
        kind: postgres or mysql.
        port: on 127.0.0.1.
        process: to kill it half-way.
        admin: the client of an administrator, without database and statement.
    """

    kind: str
    port: int
    process: RunningProcess
    admin: tuple[str, ...]

    def run(self, statement: str, *, database: str = DATABASE) -> str:
        """What an administrator's statement prints, without headers."""
        at = ["-d", database, "-c"] if self.kind == "postgres" else [database, "-e"]
        return _output([*self.admin, *at, statement])


@contextmanager
def server(kind: str) -> Iterator[SqlServer]:
    """A server with an empty database `athens` and a user who owns it."""
    with {"postgres": _postgres, "mysql": _mariadb}[kind]() as running:
        yield running


@contextmanager
def _postgres() -> Iterator[SqlServer]:
    with _folder("postgres") as (folder, as_user):
        program, port, data = _postgres_folder(), free_port(), folder / "data"
        _output([*as_user, str(program / "initdb"), "-D", str(data), "-U", "admin", "-A", "scram-sha-256",
                 "--pwfile", str(_written(folder / "password", PASSWORD)), "-N"])  # fmt: skip
        argv = [*as_user, str(program / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1",
                "-k", str(folder), "-F", "-c", "timezone=Europe/Berlin"]  # fmt: skip
        with _started("postgres", argv, folder, port) as process:
            psql = ("env", f"PGPASSWORD={PASSWORD}", "psql", "-h", "127.0.0.1", "-p", str(port), "-U", "admin", "-Atq")
            running = SqlServer("postgres", port, process, psql)
            process.wait_until(lambda: _succeeds([*psql, "-d", "postgres", "-c", "SELECT 1"]), what="ready",
                               deadline_s=DEADLINE_S)  # fmt: skip
            running.run(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'", database="postgres")
            running.run(f"CREATE DATABASE {DATABASE} OWNER {USER}", database="postgres")
            yield running


@contextmanager
def _mariadb() -> Iterator[SqlServer]:
    with _folder("mysql") as (folder, as_user):
        port, data, socket = free_port(), folder / "data", folder / "socket"
        install = [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
        ]
        _output([*as_user, *install, "--skip-test-db"])
        argv = [*as_user, "mariadbd", "--no-defaults", f"--datadir={data}", f"--port={port}", f"--socket={socket}",
                "--bind-address=127.0.0.1", f"--pid-file={folder / 'pid'}", "--default-time-zone=+05:00",
                "--innodb-flush-log-at-trx-commit=0", f"--tmpdir={folder}"]  # fmt: skip
        with _started("mariadbd", argv, folder, port) as process:
            client = ("mariadb", "--no-defaults", f"--socket={socket}", "-uroot", "-N", "-B")
            running = SqlServer("mysql", port, process, client)
            process.wait_until(lambda: _succeeds([*client, "-e", "SELECT 1"]), what="ready", deadline_s=DEADLINE_S)
            running.run(f"CREATE DATABASE {DATABASE}", database="mysql")
            running.run(f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'", database="mysql")
            running.run(f"GRANT ALL ON {DATABASE}.* TO {USER}@'127.0.0.1'", database="mysql")
            yield running


@contextmanager
def _started(name: str, argv: Sequence[str], folder: Path, port: int) -> Iterator[RunningProcess]:
    with started(name, argv, env=inherited("PATH", "LANG"), cwd=folder, log=folder / f"{name}.log") as process:
        process.wait_until(lambda: accepts_connections(port), what="listening", deadline_s=DEADLINE_S)
        yield process


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
