"""The containers of a pod: the proxy, and before it the one that joins the certificates that are to be trusted."""

from __future__ import annotations

from copy import deepcopy

from athens_operator.desired.configuration import BUNDLE_FILE, CONFIG_FOLDER, PORT
from athens_operator.desired.environment import environment, environment_sources
from athens_operator.desired.image import image_of
from athens_operator.desired.inputs import Inputs
from athens_operator.desired.mounts import BUNDLE_VOLUME, bundle_mounts, mounts
from athens_operator.desired.names import scheme
from athens_operator.desired.security import unprivileged
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy
from athens_operator.spec.references import TRUSTED_FOLDER

CONTAINER = "athens"
PRE_STOP_S = 5
DEFAULT_RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}
SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
JOIN = f'for file in {SYSTEM_BUNDLE} {TRUSTED_FOLDER}/*/ca.crt; do cat "$file" && echo || exit 1; done >{BUNDLE_FILE}'
"""One file is what OpenSSL, Go and git all take; a certificate may lack its last line break."""


def container(proxy: AthensProxy, inputs: Inputs) -> Manifest:
    """The container that serves; the image's entrypoint is kept."""
    sources = environment_sources(proxy)
    return {
        "name": CONTAINER,
        "image": image_of(proxy, inputs),
        "imagePullPolicy": proxy.spec.image_pull_policy,
        "args": [f"-config_file={CONFIG_FOLDER}/config.toml"],
        "ports": [{"name": scheme(proxy), "containerPort": PORT, "protocol": "TCP"}],
        "env": environment(proxy, inputs),
        **({"envFrom": sources} if sources else {}),
        "resources": _resources(proxy),
        "startupProbe": _probe(proxy, "/healthz", periodSeconds=2, failureThreshold=60),
        "livenessProbe": _probe(proxy, "/healthz", periodSeconds=10, timeoutSeconds=5, failureThreshold=3),
        "readinessProbe": _probe(proxy, "/readyz", periodSeconds=5, timeoutSeconds=5, failureThreshold=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_S}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": unprivileged(),
        "volumeMounts": mounts(proxy),
    }


def bundle_container(proxy: AthensProxy, inputs: Inputs) -> Manifest:
    """Joins the system's certificates and those of `trustedCA`; it runs the same image, so it pulls nothing more."""
    return {
        "name": BUNDLE_VOLUME,
        "image": image_of(proxy, inputs),
        "imagePullPolicy": proxy.spec.image_pull_policy,
        "command": ["sh", "-c", JOIN],
        "resources": _resources(proxy),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": unprivileged(),
        "volumeMounts": bundle_mounts(proxy),
    }


def _resources(proxy: AthensProxy) -> Manifest:
    return deepcopy(dict(DEFAULT_RESOURCES if proxy.spec.resources is None else proxy.spec.resources))


def _probe(proxy: AthensProxy, path: str, **settings: int) -> Manifest:
    """Health endpoints answer at the root without credentials, also under a path prefix."""
    forwarded = {"httpHeaders": [{"name": "X-Forwarded-Proto", "value": "https"}]}
    request = {
        "path": path,
        "port": scheme(proxy),
        "scheme": scheme(proxy).upper(),
        **(forwarded if proxy.spec.server.force_ssl else {}),
    }
    return {"httpGet": request, **settings}
