"""The commands of `athens-proxy` with the environment of a proxy."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from athens_proxy.__main__ import run
from support.living_folder import files_below
from support.proxy_process import Settings, environment


@dataclass(frozen=True)
class CommandRun:
    """How one command ended.

    Attributes:
        code: its exit status.
        document: the JSON that it printed, {} for none.
        stdout: everything it printed.
        stderr: what it said to people.
    """

    code: int
    document: dict[str, Any]
    stdout: str
    stderr: str

    def ok(self) -> CommandRun:
        """Itself when the command succeeded; fails the test with everything it said otherwise."""
        assert self.code == 0, f"exited {self.code}\n{self.stdout}\n{self.stderr}"
        return self


@dataclass(frozen=True)
class Site:
    """A place with a store of its own, and the settings of the proxy there.

    Attributes:
        folder: holds everything; `support.proxy_process.running` starts a proxy there.
        settings: of the proxy and of each command.
    """

    folder: Path
    settings: Settings

    @property
    def store(self) -> Path:
        """The root of the disk store."""
        return self.folder / "store"

    def run(self, *argv: str | Path, env: Mapping[str, str] | None = None) -> CommandRun:
        """One command to its end, in this process: a new one takes most of a second to start."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                code = run([str(word) for word in argv], self.environment(env))
            except SystemExit as usage:  # argparse
                code = int(usage.code or 0)
        text = out.getvalue()
        return CommandRun(code, json.loads(text) if text else {}, text, err.getvalue())

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """What a proxy or command of this site sees."""
        self.store.mkdir(parents=True, exist_ok=True)
        return {**environment(self.folder, self.settings, port=0, store=self.store), **(env or {})}

    def start(self, *argv: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """The same command as a process; the caller waits for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "athens_proxy", *map(str, argv)],
            env=self.environment(env),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def files(self) -> dict[str, bytes]:
        """What is stored of modules, by path below the store."""
        found = (path for path in files_below(self.store) if ".athens" not in path.parts)
        return {str(path.relative_to(self.store)): path.read_bytes() for path in found}
