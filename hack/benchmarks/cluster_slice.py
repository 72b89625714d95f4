"""From an applied AthensProxy to the first module served, on a real cluster whose images are loaded."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from benchmarks.report import Measured, Sense
from demonstration.console import Say
from demonstration.errors import DemoError
from demonstration.go_client import go_client
from demonstration.installation import Way, install
from demonstration.kubectl import Kubectl, holds_for
from demonstration.story import service_port
from demonstration.tools import cluster_up, images_loaded

NAME: Final = "slice"
MODULE: Final = "rsc.io/quote@v1.5.2"
ROUNDS: Final = 3
FIRST_MODULE_S: Final = 15.0
_API: Final = "athensproxy.dev/v1beta1"
_DEADLINE_S: Final = 60.0


def measure(environ: Mapping[str, str], say: Say) -> list[Measured]:
    """The slowest of three proxies, each in a namespace of its own.

    Raises:
        DemoError: The cluster, the operator or a proxy did not come up.
    """
    kubectl = cluster_up(say.passing)
    install(kubectl, images_loaded(environ, say.passing), Way.HELM, say.passing)
    slowest_s = max(_first_module_s(kubectl, environ, say) for _ in range(ROUNDS))
    what = f"AthensProxy applied to first module served, slowest of {ROUNDS}"
    return [Measured(NAME, what, slowest_s, Sense.AT_MOST, FIRST_MODULE_S, "s")]


def _first_module_s(kubectl: Kubectl, environ: Mapping[str, str], say: Say) -> float:
    with _namespace(kubectl) as namespace:
        started = time.monotonic()
        kubectl.apply(_proxy(namespace))
        kubectl.until("athp", "go", namespace, holds_for("Ready"), "AthensProxy go to be Ready", _DEADLINE_S)
        ready_s = time.monotonic() - started
        with (
            kubectl.port_forward(namespace, "service/go", service_port(kubectl, namespace, "go")) as port,
            go_client(f"http://127.0.0.1:{port}", environ) as client,
        ):
            served = client.run("mod", "download", MODULE)
        served_s = time.monotonic() - started
    if not served.succeeded:
        raise DemoError(f"{MODULE} was not served: {served.output}")
    say.fact(f"Ready after {ready_s:.1f} s, {MODULE} served after {served_s:.1f} s")
    return served_s


@contextmanager
def _namespace(kubectl: Kubectl) -> Iterator[str]:
    name = f"bench-{secrets.token_hex(3)}"
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield name
    finally:
        kubectl.run("delete", "namespace", name, "--wait=false")


def _proxy(namespace: str) -> dict[str, object]:
    storage = {"type": "disk", "disk": {"persistentVolumeClaim": {"size": "1Gi"}}}
    return {
        "apiVersion": _API,
        "kind": "AthensProxy",
        "metadata": {"name": "go", "namespace": namespace},
        "spec": {"storage": storage},
    }
