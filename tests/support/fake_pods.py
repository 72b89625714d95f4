"""Stands in for kubelet and proxy: makes a Pending pod look running, and answers for it on a loopback address.

As with a real kubelet, a changed ConfigMap reaches the process only when the pod object changes.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from athens_operator.manifests import Manifest, ref_of
from athens_operator.resources import CONFIG_MAPS, PODS
from support.kube_api import KubeApi, until
from support.ports import own_number

_addresses = itertools.count(2)


def digest_in(config_map: Manifest | None) -> str:
    """The digest of a download file as a proxy computes it."""
    text = ((config_map or {}).get("data") or {}).get("download.hcl", "")
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class FakePod:
    """One pod that runs.

    Attributes:
        asked: how often somebody asked for /readyz.
        digest: what it enforces; follows the ConfigMap when the pod is nudged, unless `stubborn`.
        stubborn: whether it ignores nudges.
        refusal: the error that it reports about newer files.
        programmed: every digest that it took up after the first one.
        credentials: what it says of them in `/-/config`.
    """

    def __init__(self, api: KubeApi, pod: Manifest) -> None:
        self.address = f"127.77.{own_number()}.{next(_addresses)}"  # no two processes of tests have one in common
        self.asked = 0
        self.stubborn = False
        self.refusal: dict[str, str] | None = None
        self.programmed: list[str] = []
        self.credentials: list[dict[str, object]] = []
        self._api = api
        self._ref = ref_of(pod)
        self._policy = CONFIG_MAPS.ref(
            self._ref.namespace, pod["metadata"]["labels"]["athensproxy.dev/proxy"] + "-policy"
        )
        self._nudge = ""
        self.digest = digest_in(api.get(self._policy))

    def current_digest(self) -> str:
        """What a request now is answered with."""
        self.asked += 1
        pod = self._api.get(self._ref) or {"metadata": {}}
        nudge = (pod["metadata"].get("annotations") or {}).get("athensproxy.dev/policy-digest", "")
        if nudge != self._nudge and not self.stubborn:
            self._nudge = nudge
            self.digest = digest_in(self._api.get(self._policy))
            self.programmed.append(self.digest)
        return self.digest

    def run(self) -> None:
        """Write the status that a kubelet would write for a ready pod."""
        metadata = {"namespace": self._ref.namespace, "name": self._ref.name}
        ready = [
            {"type": kind, "status": "True"} for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
        ]
        state = {"name": "athens", "ready": True, "started": True, "restartCount": 0, "image": "x", "imageID": "x"}
        status = {
            "phase": "Running",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "conditions": ready,
            "containerStatuses": [{**state, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}],
        }
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}
        self._api.edit(body, subresource="status", manager="kubelet")


@contextmanager
def running_pod(api: KubeApi, namespace: str, name: str = "go") -> Iterator[FakePod]:
    """The proxy's first live pod, running and answering until the end of the block."""
    label = f"athensproxy.dev/proxy%3D{name}"
    found = until(
        lambda: [pod for pod in api.list(PODS, namespace, label=label) if "deletionTimestamp" not in pod["metadata"]],
        f"a pod of {namespace}/{name} exists",
    )
    pod = FakePod(api, found[0])
    server = ThreadingHTTPServer((pod.address, 3000), _handler(pod))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        pod.run()
        yield pod
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(pod: FakePod) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/readyz":
                self._answer(b"", {"Athens-Policy-Digest": pod.current_digest()})
            elif self.path == "/-/config":
                self._answer(json.dumps({"credentials": pod.credentials}).encode(), {})
            else:
                self._answer(json.dumps({"digest": pod.digest, "lastError": pod.refusal}).encode(), {})

        def _answer(self, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(200)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    return Handler
