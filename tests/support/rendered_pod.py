"""What the operator renders, run on this machine as a kubelet would: files mounted, variables set, then probed."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from athens_operator.desired import desired_objects
from athens_operator.desired.environment import IMAGE_PATH
from athens_operator.desired.inputs import Inputs
from athens_operator.manifests import Manifest
from athens_operator.spec import AthensProxy
from support.exchange import Answer, ask
from support.ports import free_port
from support.processes import RunningProcess, accepts_connections, inherited, started

READY_DEADLINE_S = 60.0
POLICY = 'mode = "sync"\ndownloadURL = ""\n'
ROOTS = ("/etc/athens", "/home/athens", "/scratch", "/run/ca", "/run/athens", "/var/lib/athens")
Sources = Mapping[str, Mapping[str, str]]
"""Secrets and ConfigMaps by name; texts by key."""


@dataclass(frozen=True)
class RenderedPod:
    """A running proxy and the children it came from.

    Attributes:
        children: everything that was rendered, by kind; of the ConfigMaps the config one.
        container: the proxy's container.
        address: scheme, host and port.
        process: the process that serves it.
    """

    children: Mapping[str, Manifest]
    container: Manifest
    address: str
    process: RunningProcess

    def probe(self, name: str) -> Answer:
        """What one of the container's probes gets."""
        request = self.container[name]["httpGet"]
        headers = {header["name"]: header["value"] for header in request.get("httpHeaders") or ()}
        return ask(self.address, request["path"], headers=headers, tls=_trusting())


@contextmanager
def running_pod(
    folder: Path, proxy: AthensProxy, inputs: Inputs, sources: Sources, policy: str = POLICY
) -> Iterator[RenderedPod]:
    """The proxy of a spec, listening on a free port instead of its own."""
    rendered = desired_objects(proxy, policy, inputs)
    children = {child["kind"]: child for child in reversed(rendered)}
    pod = children["Deployment"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    port = free_port()
    maps = {child["metadata"]["name"]: child["data"] for child in rendered if child["kind"] == "ConfigMap"}
    _mount(folder, pod, {**sources, **maps}, port)
    for first in pod.get("initContainers", ()):
        subprocess.run([_local(folder, word) for word in first["command"]], check=True)
    argv = [sys.executable, "-m", "athens_proxy", *(_local(folder, word) for word in container["args"])]
    with started("pod", argv, env=_variables(folder, container, sources), cwd=folder, log=folder / "log") as process:
        process.wait_until(lambda: accepts_connections(port), what="listening", deadline_s=READY_DEADLINE_S)
        yield RenderedPod(children, container, f"{container['ports'][0]['name']}://127.0.0.1:{port}", process)


def _trusting() -> ssl.SSLContext:
    """A kubelet does not verify what it probes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _mount(folder: Path, pod: Manifest, sources: Sources, port: int) -> None:
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    containers: Sequence[Manifest] = [*pod["containers"], *pod.get("initContainers", ())]
    for mount in (mount for each in containers for mount in each["volumeMounts"]):
        place = Path(_local(folder, mount["mountPath"]))
        if place == Path(mount["mountPath"]):
            continue  # /tmp is this machine's own
        place.mkdir(parents=True, exist_ok=True)
        volume = volumes[mount["name"]]
        for source, mode in _sources(volume):
            content = sources[source.get("name") or source["secretName"]]
            for item in source.get("items") or [{"key": key, "path": key} for key in content]:
                file = place / item["path"]
                file.write_text(
                    _local(folder, content[item["key"]]).replace('Port = ":3000"', f'Port = "127.0.0.1:{port}"')
                )
                file.chmod(mode)


def _sources(volume: Manifest) -> Iterator[tuple[Manifest, int]]:
    """The objects whose keys become files of a volume, with the mode of these."""
    for each in volume.get("projected", {"sources": [volume]})["sources"]:
        source = each.get("configMap") or each.get("secret")
        if source is not None:
            yield source, volume.get("projected", source)["defaultMode"]


def _variables(folder: Path, container: Manifest, sources: Sources) -> dict[str, str]:
    """Those of whole sources first, then single ones, which beat them; the image's PATH is this machine's here."""
    machine = inherited("PATH", "GOROOT", "LANG")
    found = dict(machine)
    for source in container.get("envFrom", ()):
        reference = source.get("secretRef") or source["configMapRef"]
        found |= {f"{source.get('prefix', '')}{name}": text for name, text in sources[reference["name"]].items()}
    for entry in container["env"]:
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        value = sources[reference["name"]][reference["key"]] if reference else _expanded(entry["value"], found)
        found[entry["name"]] = _local(folder, value)
    return found | {name: machine[name] for name in ("PATH",) if found["PATH"] == IMAGE_PATH}


def _expanded(value: str, known: Mapping[str, str]) -> str:
    """A value with `$(NAME)` of earlier variables replaced, as a kubelet does."""
    return re.sub(r"\$\((\w+)\)", lambda found: known.get(found[1], found[0]), value)


def _local(folder: Path, text: str) -> str:
    for root in ROOTS:
        text = text.replace(root, f"{folder}{root}")
    return text
