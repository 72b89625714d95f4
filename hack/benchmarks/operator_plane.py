"""etcd, an API server and one operator on the same machine: what the operator's load is measured on.

No node and no controllers run, so nobody else uses the cores. The operator has the rights and the account of the plain
manifest, hence the API server's own limits for accounts apply to it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from demonstration.errors import DemoError
from localcluster import controlplane, packages
from localcluster.places import Places
from localcluster.processes import Daemons

ROOT: Final = Path(__file__).resolve().parents[2]
NAMESPACE: Final = "athens-operator"
MERGE: Final = {"Content-Type": "application/merge-patch+json"}
READY_S: Final = 60.0
_CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_PLURALS: Final = {"Namespace": "namespaces", "ServiceAccount": "serviceaccounts"}
_REQUESTS: Final = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_WRITES: Final = frozenset({"APPLY", "PATCH", "POST", "PUT", "DELETE"})


class Api:
    """The API server, as its administrator.

    Args:
        session: with base address and token.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def call(self, verb: str, path: str, body: object = None, **options: Any) -> dict[str, Any]:
        """One request.

        Raises:
            DemoError: The server refused it.
        """
        async with self._session.request(verb, path, json=body, **options) as answer:
            if answer.status >= 300:
                raise DemoError(f"{verb} {path}: {answer.status}: {(await answer.text())[:300]}")
            return dict(await answer.json())

    async def watch(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Every object of a kind, those that exist first, then each new version; ends only with the caller."""
        listed = await self.call("GET", path)
        for item in listed["items"]:
            yield item
        query = {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"]}
        async with self._session.get(path, params=query, timeout=aiohttp.ClientTimeout()) as stream:
            async for line in stream.content:
                yield json.loads(line)["object"]

    async def writes(self) -> Counter[str]:
        """Accepted writes since the server started, by whomever, by resource and subresource."""
        async with self._session.get("/metrics") as answer:
            text = await answer.text()
        found: Counter[str] = Counter()
        for match in _REQUESTS.finditer(text):
            labels = dict(_LABEL.findall(match["labels"]))
            if labels["verb"] in _WRITES and labels["code"].startswith("2"):
                found["/".join(filter(None, (labels["resource"], labels["subresource"])))] += int(float(match["count"]))
        return found


class Operator:
    """The operator as a process of its own.

    Attributes:
        log: Where its log goes.
    """

    def __init__(self, kubeconfig: Path, log: Path) -> None:
        self.log = log
        self._port = _free_ports(1)[0]
        self._environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "KUBECONFIG": str(kubeconfig),
            "ATHENS_OPERATOR_NAMESPACE": NAMESPACE,
            "ATHENS_OPERATOR_LOG_LEVEL": "warning",
            "ATHENS_OPERATOR_HEALTH_PORT": str(self._port),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns at once."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "athens_operator"], env=self._environ, stdout=log, stderr=subprocess.STDOUT
            )

    async def stop(self) -> None:
        """End it as the kubelet would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self._process.wait, 30)
            self._process = None

    async def metrics(self) -> dict[str, float]:
        """Its own metrics by name and labels as written, without the common prefix; empty before it listens."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self._port}/metrics") as got:
                text = await got.text()
        except aiohttp.ClientError:
            return {}
        pairs = (line.removeprefix("athens_operator_").rsplit(" ", 1) for line in text.splitlines() if line[:1] != "#")
        return {name: float(value) for name, value in pairs}

    def memory_mib(self) -> float:
        """Its resident memory."""
        text = Path(f"/proc/{self._pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024

    def cpu_s(self) -> float:
        """Processor time that it has used."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def _pid(self) -> int:
        if self._process is None or self._process.poll() is not None:
            raise DemoError(f"the operator has ended:\n{self.log.read_text()[-3000:]}")
        return self._process.pid


@asynccontextmanager
async def plane(folder: Path, environ: Mapping[str, str]) -> AsyncIterator[tuple[Api, Operator]]:
    """A fresh control plane with our kinds, and an operator that is not started yet; both gone at the end."""
    packages.ensure(packages.CONTROL_PLANE)
    daemons = Daemons(folder / "pids", folder / "logs")
    ports = _free_ports(3)
    files = controlplane.ControlPlaneFiles(folder, "127.0.0.1", ports[0], ports[1], ports[2])
    files.create()
    try:
        controlplane.start(files, daemons, Places.from_env(environ))
        await until(lambda: asyncio.to_thread(controlplane.ready, files, daemons), "the API server answers")
        async with _session(files) as session:
            api = Api(session)
            await _install(api)
            operator = Operator(await _kubeconfig(api, files), folder / "operator.log")
            try:
                yield api, operator
            finally:
                await operator.stop()
    finally:
        for name in reversed(controlplane.NAMES):
            daemons.stop(name)


def _session(files: controlplane.ControlPlaneFiles) -> aiohttp.ClientSession:
    tls = ssl.create_default_context(cafile=str(files.pki.ca))
    headers = {"Authorization": f"Bearer {controlplane.token_of(files)}"}
    return aiohttp.ClientSession(files.url, headers=headers, connector=aiohttp.TCPConnector(ssl=tls, limit=24))


async def _install(api: Api) -> None:
    """Our kinds, and the operator's account with its rights."""
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        crd = yaml.safe_load(path.read_text())
        await api.call("POST", _CRDS, crd)
        await until(partial(_is_served, api, crd["metadata"]["name"]), f"{path.name} is served")
    await api.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    for manifest in yaml.safe_load_all((ROOT / "deploy/install.yaml").read_text()):
        if manifest and manifest["kind"] == "ServiceAccount":
            await api.call("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", manifest)
        elif manifest and manifest["apiVersion"].startswith("rbac."):
            where = f"/namespaces/{NAMESPACE}" if "namespace" in manifest["metadata"] else ""
            await api.call("POST", f"/apis/{manifest['apiVersion']}{where}/{manifest['kind'].lower()}s", manifest)


async def until(
    look: Callable[[], Awaitable[bool]], what: str, *, within_s: float = READY_S, every_s: float = 0.1
) -> None:
    """Ask again and again until the answer is yes.

    Raises:
        DemoError: It was not in time.
    """
    end = time.monotonic() + within_s
    while True:
        if await look():
            return
        if time.monotonic() > end:
            raise DemoError(f"{what}: not within {within_s:g} s")
        await asyncio.sleep(every_s)


async def _is_served(api: Api, name: str) -> bool:
    conditions = (await api.call("GET", f"{_CRDS}/{name}")).get("status", {}).get("conditions") or ()
    return any((entry["type"], entry["status"]) == ("Established", "True") for entry in conditions)


async def _kubeconfig(api: Api, files: controlplane.ControlPlaneFiles) -> Path:
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/athens-operator/token"
    token = (await api.call("POST", path, asked))["status"]["token"]
    kubeconfig = files.folder / "operator.kubeconfig"
    controlplane.write_kubeconfig(kubeconfig, files.url, files.pki.ca.read_text(), token)
    return kubeconfig


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, below the range from which the kernel serves outgoing connections."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20000, 32000)
        with closing(socket.socket()) as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found
