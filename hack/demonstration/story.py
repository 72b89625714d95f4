"""The nine steps, top to bottom: a cluster, the operator, a proxy, a served module, a policy edit that bites.

The objects are those of examples/quickstart.yaml: namespace `team-a`, AthensProxy `go`, DownloadPolicy `base`.
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from demonstration.console import Say, Steps
from demonstration.errors import DemoError
from demonstration.go_client import GoClient, go_client
from demonstration.installation import Way, install
from demonstration.kubectl import Kubectl, Manifest, condition, holds_for, is_current
from demonstration.pod_client import download_in_pod, modules_in
from demonstration.tools import ROOT, Images, cluster_up, images_loaded

NAMESPACE: Final = "team-a"
PROXY: Final = "go"
POLICY: Final = "base"
QUICKSTART: Final = ROOT / "examples/quickstart.yaml"
HELLO: Final = ROOT / "examples/hello"
DENIED: Final = "github.com/mgutz/ansi"
REASON: Final = "denied for a moment by make demo"
POLICY_DEADLINE_S: Final = 15
RESTART: Final = "athensproxy.dev/restartedAt"

_READY_S: Final = 120


@dataclass(frozen=True)
class Story:
    """One run of the demo.

    Attributes:
        steps: Shows and times the steps.
        way: How the operator is installed.
        environ: The caller's environment.
    """

    steps: Steps
    way: Way
    environ: Mapping[str, str]

    def tell(self) -> None:
        """Run all nine steps.

        Raises:
            DemoError: A step failed; the steps before it stay done, and the demo may simply be run again.
        """
        with self.steps.step("virtual environment and package") as say:
            say.fact(f"athens-operator {importlib.metadata.version('athens-operator')}")
        with self.steps.step("cluster") as say:
            kubectl = cluster_up(say.passing)
        with self.steps.step("images of operator and proxy") as say:
            images = images_loaded(self.environ, say.passing)
        with self.steps.step(f"CRDs, RBAC and the operator, by {self.way}") as say:
            install(kubectl, images, self.way, say.passing)
        with self.steps.step("kubectl apply -f examples/quickstart.yaml") as say:
            apply_quickstart(kubectl, images, say)
        with self.steps.step("wait for Ready") as say:
            proxy = wait_for_ready(kubectl, images, say)
        goproxy = str(proxy["status"]["client"]["goproxy"])
        with (
            kubectl.port_forward(NAMESPACE, f"service/{PROXY}", service_port(kubectl)) as port,
            go_client(f"http://127.0.0.1:{port}", self.environ) as client,
        ):
            client.copy_module(HELLO, without="go.sum")
            with self.steps.step("go mod download of examples/hello, from a pod and from here") as say:
                download_twice(kubectl, images, goproxy, client, say)
            with self.steps.step(f"a policy edit that denies {DENIED}") as say:
                deny_and_see(kubectl, client, say)
        with self.steps.step("the policy as it was, and what next"):
            kubectl.until("dlp", POLICY, NAMESPACE, holds_for("Programmed"), "the policy to be as before", _READY_S)
        self._next_steps(kubectl, goproxy)

    def _next_steps(self, kubectl: Kubectl, goproxy: str) -> None:
        line = self.steps.line
        line()
        line(f"Clients in the cluster:   export GOPROXY={goproxy}")
        line(f"Look around:              export KUBECONFIG={kubectl.kubeconfig}")
        line(f"                          kubectl get athp,dlp --namespace {NAMESPACE}")
        line(f"Clients on this machine:  kubectl port-forward --namespace {NAMESPACE} service/{PROXY} 3000:80 &")
        line("                          export GOPROXY=http://127.0.0.1:3000")
        line(f"Change what is allowed:   kubectl edit dlp {POLICY} --namespace {NAMESPACE}")
        line("Undo all of this:         make demo-down")


def apply_quickstart(kubectl: Kubectl, images: Images, say: Say) -> None:
    """Apply the example; it also restores the policy that an interrupted run may have left edited."""
    say.passing(kubectl.apply_file(QUICKSTART).replace("\n", ", ").strip(", "))
    # Rolls the pods if, and only if, the proxy was built anew under the same tag.
    mark = f"{RESTART}={images.proxy_content}"
    kubectl.run("annotate", "athensproxy", PROXY, "--namespace", NAMESPACE, "--overwrite", mark)


def wait_for_ready(kubectl: Kubectl, images: Images, say: Say) -> Manifest:
    """The proxy once it serves from the present image, with the policy of the example in force in every pod.

    Raises:
        DemoError: It did not become so in time; the message begins with what the AthensProxy says of itself.
    """
    started = time.monotonic()
    present, ready = partial(_runs, images.proxy_content), holds_for("Ready")
    try:
        kubectl.until("deployment", PROXY, NAMESPACE, present, "pods of the present image", _READY_S)
        kubectl.until("dlp", POLICY, NAMESPACE, holds_for("Programmed"), f"policy {POLICY} to be programmed", _READY_S)
        proxy = kubectl.until("athp", PROXY, NAMESPACE, ready, f"AthensProxy {PROXY} to be Ready", _READY_S)
    except DemoError as late:
        said = condition(kubectl.get("athp", PROXY, NAMESPACE) or {}, "Ready").get("message", "nothing yet")
        raise DemoError(f"AthensProxy {NAMESPACE}/{PROXY} says: {said}\n{late}") from late
    say.fact(f"Ready after {time.monotonic() - started:.1f} s: {proxy['status'].get('phase')}")
    return proxy


def download_twice(kubectl: Kubectl, images: Images, goproxy: str, client: GoClient, say: Say) -> None:
    """All modules of examples/hello through the Service and through the port-forward.

    The client here has no go.sum, so it asks the checksum database for every sum; neither client can reach anything
    but the proxy, so it is the proxy that relays the answers.

    Raises:
        DemoError: A download failed, or no sum was asked for.
    """
    started = time.monotonic()
    in_pod = download_in_pod(kubectl, namespace=NAMESPACE, image=images.proxy, module=HELLO, goproxy=goproxy)
    say.fact(f"from a pod, GOPROXY={goproxy}: {modules_in(in_pod)} modules in {time.monotonic() - started:.1f} s")
    started = time.monotonic()
    count = modules_in(client.run("mod", "download", "-json"))
    sums = client.sums_looked_up()
    if sums < count:
        raise DemoError(f"{count} modules came through the proxy, but only {sums} sums from the checksum database")
    say.fact(f"from here, GOPROXY={client.goproxy}: {count} modules in {time.monotonic() - started:.1f} s,")
    say.fact(f"{sums} sums from the checksum database, answered through the proxy")


def deny_and_see(kubectl: Kubectl, client: GoClient, say: Say) -> None:
    """Deny one module; see go refuse it and the status prove it, within the deadline and without a restart.

    Raises:
        DemoError: It took too long, or a pod was restarted or replaced.
    """
    before = pods_of(kubectl)
    revision = _policy(kubectl)["status"].get("revision")
    rule = {"name": "demo", "patterns": [DENIED], "mode": "deny", "reason": REASON}
    started = time.monotonic()
    kubectl.patch("dlp", POLICY, NAMESPACE, [{"op": "add", "path": "/spec/rules/0", "value": rule}], how="json")
    try:
        say.fact(_refusal(client, started + POLICY_DEADLINE_S))
        say.fact(f"go refused after {time.monotonic() - started:.1f} s")
        _programmed(kubectl, revision, started + POLICY_DEADLINE_S)
        say.fact(f"programmed 1/1 after {time.monotonic() - started:.1f} s")
        for line in kubectl.run("get", "dlp", "--namespace", NAMESPACE).splitlines():
            say.fact(line)
    finally:
        kubectl.apply_file(QUICKSTART)
    if pods_of(kubectl) != before:
        raise DemoError(f"the policy edit must not touch the pods: they were {before}, they are {pods_of(kubectl)}")


def pods_of(kubectl: Kubectl, namespace: str = NAMESPACE, proxy: str = PROXY) -> dict[str, int]:
    """Uid -> number of restarts of each pod of a proxy."""
    pods = kubectl.items("pods", namespace, selector=f"athensproxy.dev/proxy={proxy},app.kubernetes.io/component=proxy")
    return {
        pod["metadata"]["uid"]: sum(c["restartCount"] for c in pod["status"].get("containerStatuses", []))
        for pod in pods
    }


def _runs(content: str, deployment: Manifest) -> bool:
    """Whether the operator has taken up the mark of `apply_quickstart` and only such pods are left."""
    annotations, status = deployment["spec"]["template"]["metadata"].get("annotations", {}), deployment["status"]
    counts = {status.get(count, 0) for count in ("replicas", "updatedReplicas", "readyReplicas")}
    return annotations.get(RESTART) == content and is_current(deployment) and counts == {1}


def _refusal(client: GoClient, deadline: float) -> str:
    """What go prints once the module is denied."""
    module = f"{DENIED}@{_version_of(DENIED)}"
    while True:
        client.forget()
        result = client.run("mod", "download", module)
        if not result.succeeded and REASON in result.output:
            return result.output.strip().splitlines()[-1]
        if time.monotonic() > deadline:
            raise DemoError(f"{module} is denied and go still said, after {POLICY_DEADLINE_S} s: {result.output}")


def _programmed(kubectl: Kubectl, old_revision: Any, deadline: float) -> None:
    def holds(policy: Manifest) -> bool:
        status = policy.get("status", {})
        return is_current(policy) and status.get("summary") == "1/1" and status.get("revision") != old_revision

    left = max(0.0, deadline - time.monotonic())
    kubectl.until("dlp", POLICY, NAMESPACE, holds, f"the new digest of policy {POLICY} to be programmed 1/1", left)


def _policy(kubectl: Kubectl) -> Manifest:
    policy = kubectl.get("dlp", POLICY, NAMESPACE)
    if policy is None:
        raise DemoError(f"DownloadPolicy {NAMESPACE}/{POLICY} is gone; run the demo again")
    return policy


def _version_of(module: str) -> str:
    lines = (line.split() for line in (HELLO / "go.mod").read_text().splitlines())
    return next(words[1] for words in lines if words and words[0] == module)


def service_port(kubectl: Kubectl, namespace: str = NAMESPACE, proxy: str = PROXY) -> int:
    """The port of a proxy's Service."""
    service = kubectl.get("service", proxy, namespace)
    if service is None:
        raise DemoError(f"the operator says Ready, but there is no Service {namespace}/{proxy}")
    return int(service["spec"]["ports"][0]["port"])
