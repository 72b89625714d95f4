"""Repositories of hg and svn, made with their own tools."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.ports import free_port
from support.processes import accepts_connections, inherited, started

DEADLINE_S = 30.0


def hg_module(folder: Path, path: str, tag: str) -> None:
    """A repository of hg with one tagged module."""
    folder.mkdir(parents=True)
    _run(folder, "hg", "init")
    _write_module(folder, path)
    _run(folder, "hg", "commit", "-q", "-A", "-m", "change", "-u", "test", "-d", "0 0")
    _run(folder, "hg", "tag", "-u", "test", "-d", "0 0", tag)


@contextmanager
def hg_serving(folder: Path) -> Iterator[int]:
    """The port of a plain http server of every repository below a folder."""
    port = free_port()
    settings = folder / "hgweb.conf"
    settings.write_text(f"[paths]\n/ = {folder}/*\n[web]\nallow_read = *\n")
    argv: list[str | Path] = ["hg", "serve", "--web-conf", settings, "-a", "127.0.0.1", "-p", str(port)]
    env = {**inherited("PATH"), "HOME": str(folder), "HGPLAIN": "1"}
    with started("hg", argv, env=env, cwd=folder, log=folder / "hg.log") as process:
        process.wait_until(lambda: accepts_connections(port), what="listening", deadline_s=DEADLINE_S)
        yield port


def svn_module(folder: Path, path: str) -> None:
    """A repository of svn with one module in its trunk, which is all of it."""
    folder.mkdir(parents=True)
    _run(folder, "svnadmin", "create", str(folder / "repository"))
    (folder / "tree").mkdir()
    _write_module(folder / "tree", path)
    address = (folder / "repository").as_uri()
    _run(folder, "svn", "import", "-q", "--username", "test", "-m", "change", str(folder / "tree"), address)


def _write_module(folder: Path, path: str) -> None:
    (folder / "go.mod").write_text(f"module {path}\n\ngo 1.21\n")
    (folder / "m.go").write_text("package m\n")


def _run(folder: Path, *argv: str) -> None:
    env = {**inherited("PATH"), "HOME": str(folder), "HGPLAIN": "1"}
    subprocess.run(argv, cwd=folder, env=env, check=True, capture_output=True)
