"""Definitions of kinds that a cluster may lack, taken from the Go modules of the projects that publish them."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path

import yaml

from athens_operator.resources import HTTP_ROUTES, PROMETHEUS_RULES, SERVICE_MONITORS, Resource
from support.kube_api import KubeApi, condition, until

SOURCES = {
    HTTP_ROUTES: (
        "sigs.k8s.io/gateway-api@v1.4.0",
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    ),
    SERVICE_MONITORS: (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
    PROMETHEUS_RULES: (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
}

TRIES = 3  # of a download from the world outside, which is not what is tested


def definition_of(resource: Resource) -> Path:
    """The file with the CustomResourceDefinition; the module is downloaded once per machine."""
    module, path = SOURCES[resource]
    said = ""
    for _ in range(TRIES):
        done = subprocess.run(["go", "mod", "download", "-json", module], capture_output=True, text=True, check=False)
        answer = json.loads(done.stdout or "{}")
        if "Dir" in answer:
            return Path(answer["Dir"], path)
        said = answer.get("Error") or done.stderr
    raise AssertionError(f"go mod download {module}: {said}")


def is_installed(api: KubeApi, resource: Resource) -> bool:
    """Whether the API server has the definition of a kind."""
    definitions = api.call("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]
    return any(one["spec"]["names"]["plural"] == resource.plural for one in definitions)


def install_kind(api: KubeApi, resource: Resource) -> None:
    """Create the definition and wait until the API server serves it."""
    created = api.create(yaml.safe_load(definition_of(resource).read_text()))
    address = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{created['metadata']['name']}"
    until(partial(_is_served, api, address), f"{resource.plural} are served")


def _is_served(api: KubeApi, address: str) -> bool:
    return bool(condition(api.call("GET", address), "Established").get("status") == "True")
