"""A cluster that somebody named: used as it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

from localcluster import binaries, packages
from localcluster.choice import Named
from localcluster.errors import ClusterError
from localcluster.places import Places


class NamedCluster:
    """Reached through a copy of its credentials in our state folder; the user's files are only read."""

    def __init__(self, named: Named, places: Places) -> None:
        """Nothing is looked at yet."""
        self._named = named
        self._places = places

    @property
    def title(self) -> str:
        """How the user named it."""
        parts = [("context", self._named.context), ("kubeconfig", self._named.kubeconfig)]
        return ", ".join(f"{what} {name}" for what, name in parts if name)

    def up(self) -> None:
        """Check that it answers.

        Raises:
            ClusterError: It does not, or there is no such context.
        """
        self._kubectl("--kubeconfig", str(self.kubeconfig()), "version", "--request-timeout=10s")

    def down(self) -> None:
        """Leave it alone; only our copy of its credentials goes."""
        (self._places.state / "named-kubeconfig").unlink(missing_ok=True)

    def status(self) -> list[str]:
        """The addresses of the cluster."""
        shown = self._kubectl("--kubeconfig", str(self.kubeconfig()), "cluster-info", "--request-timeout=10s")
        return [f"{self.title} (named by you: never created or deleted here)", *shown.splitlines()[:1]]

    def kubeconfig(self) -> Path:
        """A file with nothing but the named context, as its current one."""
        source = ["--kubeconfig", self._named.kubeconfig] if self._named.kubeconfig else []
        context = ["--context", self._named.context] if self._named.context else []
        shown = self._kubectl(*source, *context, "config", "view", "--minify", "--flatten", "--raw")
        copy = self._places.state / "named-kubeconfig"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.touch(mode=0o600)
        copy.write_text(shown)
        return copy

    def _kubectl(self, *arguments: str) -> str:
        program = packages.find("kubectl") or str(binaries.ensure("kubectl", self._places))
        ran = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise ClusterError(f"the cluster you named ({self.title}) cannot be used: {ran.stderr.strip()}")
        return ran.stdout
