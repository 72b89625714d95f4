"""Asks a cluster through kubectl: its contexts, credentials and plugins for signing in are those of the user.

Importing a Kubernetes client takes longer than `explain` may take; kubectl is there, since this is its plugin.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from athens_cli.errors import ClusterUnavailable, NotAllowed
from athens_cli.located import Document
from athens_cli.objects import Objects, of_documents

GROUP: Final = "athensproxy.dev"
ATHENSPROXIES, POLICIES, CLUSTER_POLICIES = (
    f"athensproxies.{GROUP}",
    f"downloadpolicies.{GROUP}",
    f"clusterdownloadpolicies.{GROUP}",
)
_DEADLINE_S: Final = 30.0
_HINTS: Final = {
    "NotFound": "check the name and the namespace (-n)",
    "Forbidden": "ask the administrator for this right, or work with --file",
    "doesn't have a resource type": "install the operator's custom resource definitions first",
    "refused": "check that the cluster runs and the context (--context) is right",
    "context": "list the contexts with: kubectl config get-contexts",
}


@dataclass(frozen=True)
class Cluster:
    """A cluster and a namespace in it.

    Args:
        kubectl: the command.
        context: of the kubeconfig; "" for the current one.
        namespace: "" for the context's own.
    """

    kubectl: str = "kubectl"
    context: str = ""
    namespace: str = ""

    def command(self, *arguments: str, namespace: str | None = None) -> list[str]:
        """The words that run kubectl in this cluster."""
        wanted = self.namespace if namespace is None else namespace
        options = [f"--context={self.context}"] * bool(self.context) + [f"--namespace={wanted}"] * bool(wanted)
        return [self.kubectl, *options, *arguments]

    def run(self, *arguments: str, namespace: str | None = None) -> str:
        """What kubectl printed.

        Raises:
            NotAllowed: a right is missing.
            ClusterUnavailable: it failed otherwise; the message is its own, with the next step.
        """
        try:
            done = subprocess.run(
                self.command(*arguments, namespace=namespace),
                capture_output=True,
                text=True,
                timeout=_DEADLINE_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise ClusterUnavailable(f"{self.kubectl} is not installed; install it or work with --file") from error
        except subprocess.TimeoutExpired as error:
            message = f"kubectl {arguments[0]}: no answer in {_DEADLINE_S:g} s; check that the cluster is reachable"
            raise ClusterUnavailable(message) from error
        if done.returncode != 0:
            kind = NotAllowed if "(Forbidden)" in done.stderr else ClusterUnavailable
            raise kind(_failure(arguments, done.stderr))
        return done.stdout

    def get(self, *arguments: str, namespace: str | None = None) -> dict[str, Any]:
        """An object, or a list of them.

        Raises:
            ClusterUnavailable: it is not there or may not be read.
        """
        answer: dict[str, Any] = json.loads(self.run("get", *arguments, "--output=json", namespace=namespace))
        return answer

    def proxy(self, name: str) -> dict[str, Any]:
        """The AthensProxy of a name, or of `namespace/name`.

        Raises:
            ClusterUnavailable: it is not there or may not be read.
        """
        namespace, _, short = name.rpartition("/")
        return self.get(ATHENSPROXIES, short, namespace=namespace or None)

    def rendered(self, proxy: Mapping[str, Any]) -> str:
        """The download file that the operator rendered for a proxy.

        Raises:
            ClusterUnavailable: it is not there or may not be read.
        """
        metadata = proxy["metadata"]
        body = self.get("configmap", f"{metadata['name']}-policy", namespace=metadata["namespace"])
        return str((body.get("data") or {}).get("download.hcl", ""))

    def objects(self, proxy: Mapping[str, Any]) -> Objects:
        """The proxy with everything that decides about its downloads, asked for side by side.

        Raises:
            ClusterUnavailable: something of it may not be read.
        """
        namespace = proxy["metadata"]["namespace"]
        asked: list[tuple[list[str], str]] = [
            ([POLICIES], namespace),
            ([CLUSTER_POLICIES], ""),
            (["namespace", namespace], ""),
        ]
        for ref in (proxy.get("spec") or {}).get("policyRefs") or ():
            if ref.get("namespace", namespace) != namespace:
                asked.append(([POLICIES, ref["name"], "--ignore-not-found"], ref["namespace"]))
        bodies = [dict(proxy), *self._all(asked)]
        return of_documents(Document("", body, {}) for body in [*bodies, *self._all(_advisories(bodies))])

    def _all(self, asked: Sequence[tuple[list[str], str]]) -> list[dict[str, Any]]:
        """Every object of all answers."""
        if not asked:
            return []
        with ThreadPoolExecutor(len(asked)) as pool:
            return list(_bodies(pool.map(lambda question: self._asked(*question), asked)))

    def _asked(self, arguments: list[str], namespace: str) -> dict[str, Any]:
        text = self.run("get", *arguments, "--output=json", namespace=namespace or None)
        answer: dict[str, Any] = json.loads(text) if text.strip() else {"items": []}
        return answer


def _advisories(bodies: Iterable[Mapping[str, Any]]) -> list[tuple[list[str], str]]:
    """The questions for the ConfigMaps that policies name."""
    asked: dict[tuple[str, str], None] = {}
    for body in bodies:
        ref = ((body.get("spec") or {}).get("advisories") or {}).get("configMapRef") or {}
        if ref:
            asked[body["metadata"].get("namespace") or ref.get("namespace", ""), ref["name"]] = None
    return [(["configmap", name, "--ignore-not-found"], namespace) for namespace, name in asked]


def _bodies(answers: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for answer in answers:
        yield from answer["items"] if "items" in answer else [dict(answer)]


def _failure(arguments: tuple[str, ...], stderr: str) -> str:
    said = next((line for line in reversed(stderr.strip().splitlines()) if line.strip()), "it failed without a word")
    said = said.removeprefix("Error from server ").removeprefix("error: ").strip()
    hint = next((hint for word, hint in _HINTS.items() if word in stderr), "look at it with: kubectl cluster-info")
    return f"kubectl {' '.join(arguments[:3])}: {said}; {hint}"
