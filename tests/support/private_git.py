"""A repository of git whose owner decides everything in it, and which a server may serve as it is."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.processes import inherited

COMMIT_TIME = "2020-01-02T03:04:05Z"


class PrivateRepository:
    """A bare repository and the work tree that commits to it.

    Args:
        bare: where it is served from; made here.
        trees: a folder for work trees.
    """

    def __init__(self, bare: Path, trees: Path) -> None:
        self.bare = bare
        bare.mkdir(parents=True)
        self._run("init", "--quiet", "--bare", "--initial-branch=main", cwd=bare)
        self.tree = trees / bare.as_posix().strip("/").replace("/", "-")
        self.tree.mkdir(parents=True)
        self._run("init", "--quiet", "--initial-branch=main", cwd=self.tree)

    def commit(self, files: Mapping[str, str | bytes], *, tags: tuple[str, ...] = ()) -> None:
        """Write files, commit whatever the work tree holds, tag it and publish it."""
        for name, content in files.items():
            target = self.tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message=change")
        for tag in tags:
            self.git("tag", tag)
        self.publish()

    def module(self, path: str, *tags: str, folder: str = "") -> None:
        """A module of this path, perhaps in a folder, tagged."""
        prefix = f"{folder}/" if folder else ""
        self.commit({f"{prefix}go.mod": f"module {path}\n\ngo 1.21\n", f"{prefix}m.go": "package m\n"}, tags=tags)

    def publish(self) -> None:
        """Everything committed is served."""
        self.git("push", "--quiet", "--force", str(self.bare), "--all")
        self.git("push", "--quiet", "--force", str(self.bare), "--tags")

    def git(self, *argv: str) -> str:
        """One git command in the work tree; returns what it printed."""
        return self._run(*argv, cwd=self.tree)

    def _run(self, *argv: str, cwd: Path) -> str:
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "protocol.file.allow=always")
        times = {"GIT_AUTHOR_DATE": COMMIT_TIME, "GIT_COMMITTER_DATE": COMMIT_TIME}
        env = {**inherited("PATH"), **times, "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(cwd)}
        return subprocess.run(
            ["git", *identity, *argv], cwd=cwd, env=env, capture_output=True, text=True, check=True
        ).stdout
