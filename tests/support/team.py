"""A team with a namespace of its own on a real cluster: its AthensProxy, its policy and its go clients."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from demonstration.go_client import GoClient, go_client
from demonstration.kubectl import Kubectl, Manifest, condition, holds_for, is_current
from demonstration.story import pods_of, service_port
from demonstration.tools import Images

API = "athensproxy.dev/v1beta1"
CLAIM = {"type": "disk", "disk": {"persistentVolumeClaim": {"size": "1Gi"}}}
SWIFT = {"minReadySeconds": 1, "progressDeadlineSeconds": 12}
EPHEMERAL = {"type": "disk", "disk": {"ephemeral": {"sizeLimit": "1Gi"}}}
READY_S = 90


def upstream() -> str:
    """The chain of the machine's own go command, which the proxies of the tests use as well."""
    asked = subprocess.run(["go", "env", "GOPROXY"], check=True, capture_output=True, text=True)
    return asked.stdout.strip()


@dataclass(frozen=True)
class Team:
    """One namespace; its proxy is called `go`, its policy `base`."""

    kubectl: Kubectl
    images: Images
    namespace: str

    def apply_proxy(self, **spec: Any) -> None:
        """Apply the AthensProxy as a user would.

        Unless the spec says otherwise storage is a claim, and rollouts are settled, or given up, in seconds.
        """
        whole = {"storage": CLAIM, "rollout": SWIFT, "upstream": {"goproxy": upstream()}, **spec}
        self.kubectl.apply({"apiVersion": API, "kind": "AthensProxy", "metadata": self._named("go"), "spec": whole})

    def apply_policy(self, *rules: dict[str, Any]) -> None:
        """Apply the DownloadPolicy; it selects every proxy of the namespace."""
        spec = {"proxySelector": {}, "defaultMode": "sync", "rules": list(rules)}
        self.kubectl.apply({"apiVersion": API, "kind": "DownloadPolicy", "metadata": self._named("base"), "spec": spec})

    def apply_file(self, file: Path) -> list[Manifest]:
        """Apply a file of examples/ into this namespace instead of its own; what was applied."""
        documents = [document for document in yaml.safe_load_all(file.read_text()) if document]
        moved = [moved_to(self.namespace, document) for document in documents if document["kind"] != "Namespace"]
        self.kubectl.apply(*moved)
        return moved

    def until(self, holds: Callable[[Manifest], bool], what: str, deadline_s: float = READY_S) -> Manifest:
        """The AthensProxy once the condition holds."""
        return self.kubectl.until("athp", "go", self.namespace, holds, what, deadline_s)

    def until_ready(self) -> Manifest:
        """The AthensProxy once it is Ready for its present spec."""
        return self.until(holds_for("Ready"), "AthensProxy go to be Ready")

    def until_condition(self, kind: str, status: str, reason: str, deadline_s: float = READY_S) -> Manifest:
        """The AthensProxy once a condition has this status and reason for the present spec."""

        def holds(proxy: Manifest) -> bool:
            found = condition(proxy, kind)
            return is_current(proxy) and (found.get("status"), found.get("reason")) == (status, reason)

        return self.until(holds, f"{kind}={status}/{reason}", deadline_s)

    def until_policy_programmed(self, *, unlike: Manifest | None = None, deadline_s: float = READY_S) -> Manifest:
        """The DownloadPolicy once the proxy enforces its present rules, with another digest than before."""
        old = unlike["status"]["revision"] if unlike else None

        def holds(policy: Manifest) -> bool:
            status = policy.get("status", {})
            return is_current(policy) and status.get("summary") == "1/1" and status.get("revision") != old

        return self.kubectl.until("dlp", "base", self.namespace, holds, "policy base to be programmed 1/1", deadline_s)

    def until_event(self, reason: str, deadline_s: float = 30) -> str:
        """The note of an Event about the AthensProxy."""
        end = time.monotonic() + deadline_s
        while True:
            for event in self.kubectl.items("events", self.namespace):
                if event["reason"] == reason and event["involvedObject"]["kind"] == "AthensProxy":
                    return str(event["message"])
            assert time.monotonic() < end, f"no Event {reason}:\n{self.kubectl.evidence(None, self.namespace)}"
            time.sleep(0.3)

    def pods(self) -> dict[str, int]:
        """Uid -> restarts of each pod of the proxy."""
        return pods_of(self.kubectl, self.namespace, "go")

    @contextmanager
    def client(self) -> Iterator[GoClient]:
        """A go command on this machine whose one way out is a port-forward to the Service."""
        target, port = "service/go", service_port(self.kubectl, self.namespace, "go")
        with (
            self.kubectl.port_forward(self.namespace, target, port) as local,
            go_client(f"http://127.0.0.1:{local}", os.environ) as client,
        ):
            yield client

    def _named(self, name: str) -> dict[str, str]:
        return {"name": name, "namespace": self.namespace}


def moved_to(namespace: str, document: Manifest) -> Manifest:
    """The manifest in another namespace; cluster-scoped ones stay as they are."""
    metadata = document["metadata"]
    return {**document, "metadata": {**metadata, "namespace": namespace}} if "namespace" in metadata else document


def login(namespace: str) -> Manifest:
    """A Secret for basic auth, called `login`."""
    metadata = {"name": "login", "namespace": namespace}
    data = {"username": "ada", "password": "lovelace"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
