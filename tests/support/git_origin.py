"""A git repository that the go command reaches as `https://github.com/test/<name>`, without any network."""

from __future__ import annotations

import subprocess
from pathlib import Path

COMMIT_TIME = "2020-01-02T03:04:05Z"


class GitOrigin:
    """A repository to commit to and tag.

    Args:
        folder: where its working tree is made.
        name: last element of its module path.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = f"github.com/test/{name}"
        self._tree = folder / name
        self._tree.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, files: dict[str, str], *, tag: str = "") -> str:
        """Write files, commit them and perhaps tag the commit; returns its hash."""
        for name, text in files.items():
            target = self._tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message=change")
        if tag:
            self._git("tag", tag)
        return self._git("rev-parse", "HEAD").strip()

    def settings(self, *others: GitOrigin) -> dict[str, str]:
        """Variables that make git find this repository, and others, at their addresses."""
        variables = {"GIT_CONFIG_COUNT": str(1 + len(others)), "GIT_ALLOW_PROTOCOL": "https:file"}
        for index, origin in enumerate((self, *others)):
            variables[f"GIT_CONFIG_KEY_{index}"] = f"url.file://{origin._tree}.insteadOf"
            variables[f"GIT_CONFIG_VALUE_{index}"] = f"https://{origin.path}"
        return variables

    def _git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
        times = {"GIT_AUTHOR_DATE": COMMIT_TIME, "GIT_COMMITTER_DATE": COMMIT_TIME, "GIT_CONFIG_GLOBAL": "/dev/null"}
        done = subprocess.run(
            ["/usr/bin/env", "git", *identity, *arguments],
            cwd=self._tree,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self._tree), **times},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout
