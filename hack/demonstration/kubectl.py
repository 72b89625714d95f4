"""kubectl, as the demo and the end-to-end tests use it: with one kubeconfig, deadlines and evidence on failure."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from athens_cli.errors import ClusterUnavailable
from athens_cli.forwarding import forwarded
from demonstration.errors import DemoError

Manifest = dict[str, Any]
_POLL_S: Final = 0.5  # each look starts a kubectl


@dataclass(frozen=True)
class Kubectl:
    """One cluster, as its administrator.

    Attributes:
        binary: The kubectl to run.
        kubeconfig: Names the cluster; no other kubeconfig is ever read.
        context: The context in it; its current one when None.
    """

    binary: Path
    kubeconfig: Path
    context: str | None = None

    @property
    def command(self) -> list[str]:
        """The words every call starts with."""
        chosen = ["--context", self.context] if self.context else []
        return [str(self.binary), "--kubeconfig", str(self.kubeconfig), *chosen]

    def run(self, *arguments: str, stdin: str | None = None, deadline_s: float = 60) -> str:
        """What kubectl prints.

        Raises:
            DemoError: kubectl failed or did not end in time; the message is kubectl's own.
        """
        try:
            done = subprocess.run(
                [*self.command, *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=deadline_s,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise DemoError(f"kubectl {' '.join(arguments)}: no end after {deadline_s:.0f} s") from late
        if done.returncode != 0:
            raise DemoError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Apply manifests, client-side as a user would."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.run("apply", "-f", "-", stdin=json.dumps(items))

    def apply_file(self, file: Path) -> str:
        """Apply a file; what kubectl says of each object."""
        return self.run("apply", "-f", str(file))

    def get(self, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """One object, or None if there is none."""
        text = self.run("get", kind, name, *_in(namespace), "--ignore-not-found", "-o", "json")
        return dict(json.loads(text)) if text.strip() else None

    def items(self, kind: str, namespace: str = "", selector: str = "") -> list[Manifest]:
        """All objects of a kind in a namespace, or of the whole cluster."""
        chosen = ["--selector", selector] if selector else []
        text = self.run("get", kind, *(_in(namespace) or ["--all-namespaces"]), *chosen, "-o", "json")
        return list(json.loads(text)["items"])

    def patch(self, kind: str, name: str, namespace: str, change: Any, how: str = "merge") -> None:
        """Patch one object."""
        self.run("patch", kind, name, *_in(namespace), "--type", how, "--patch", json.dumps(change))

    def until(
        self,
        kind: str,
        name: str,
        namespace: str,
        holds: Callable[[Manifest], bool],
        what: str,
        deadline_s: float,
    ) -> Manifest:
        """The object, once it exists and the condition holds.

        Args:
            kind: As kubectl takes it.
            name: Of the object.
            namespace: Of the object.
            holds: Judges the object.
            what: Finishes the sentence "waited for …".
            deadline_s: Seconds before giving up.

        Raises:
            DemoError: It did not hold in time; the message ends with the last object and the namespace's events.
        """
        end = time.monotonic() + deadline_s
        while True:
            last = self.get(kind, name, namespace)
            if last is not None and holds(last):
                return last
            if time.monotonic() > end:
                raise DemoError(f"waited {deadline_s:.0f} s for {what} in vain\n{self.evidence(last, namespace)}")
            time.sleep(_POLL_S)

    def evidence(self, last: Manifest | None, namespace: str) -> str:
        """The last state of an object and what happened around it, for a person who has to find out why."""
        state = "the object does not exist" if last is None else json.dumps(last.get("status", {}), indent=1)
        pods = self.run("get", "pods", *_in(namespace), "-o", "wide")
        events = self.run("get", "events", *_in(namespace), "--sort-by=.lastTimestamp")
        return "\n".join([state, pods, *events.splitlines()[-25:]])

    @contextmanager
    def port_forward(self, namespace: str, target: str, port: int) -> Iterator[int]:
        """A port on loopback that leads to a Service or pod while the context lasts.

        Raises:
            DemoError: kubectl does not lead there.
        """
        try:
            with forwarded([*self.command, "port-forward", *_in(namespace), target, f":{port}"]) as local:
                yield local
        except ClusterUnavailable as error:
            raise DemoError(str(error)) from error


def condition(manifest: Mapping[str, Any], kind: str) -> Mapping[str, str]:
    """One condition of an object's status; empty when it has none of that type."""
    conditions: Sequence[Mapping[str, str]] = manifest.get("status", {}).get("conditions", [])
    return next((entry for entry in conditions if entry["type"] == kind), {})


def is_current(manifest: Mapping[str, Any]) -> bool:
    """Whether the status speaks of the spec as it now is."""
    return bool(manifest.get("status", {}).get("observedGeneration") == manifest["metadata"]["generation"])


def holds_for(kind: str) -> Callable[[Manifest], bool]:
    """A judge: the condition is True and speaks of the present spec."""
    return lambda manifest: is_current(manifest) and condition(manifest, kind).get("status") == "True"


def _in(namespace: str) -> list[str]:
    return ["--namespace", namespace] if namespace else []
