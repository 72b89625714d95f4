"""A real cluster with the operator installed once, and one namespace for each test.

The cluster is the one that KUBECONFIG or CLUSTER names, else kind where Docker can pull its node image, else the local
node: `hack/cluster up` chooses. Everything the tests do to it, they do with kubectl and the go command, as users would.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator

import pytest

from demonstration.installation import Way, install
from demonstration.kubectl import Kubectl
from demonstration.tools import Images, cluster_up, images_loaded
from support.team import Team

_LABELS = {"athensproxy.dev/e2e": "true", "pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    return cluster_up(print)


@pytest.fixture(scope="session")
def images(kubectl: Kubectl) -> Images:
    return images_loaded(os.environ, print)


@pytest.fixture(scope="session")
def operator(kubectl: Kubectl, images: Images) -> None:
    """The operator, installed from the chart."""
    install(kubectl, images, Way.HELM, print)


@pytest.fixture
def team(kubectl: Kubectl, images: Images, operator: None, request: pytest.FixtureRequest) -> Iterator[Team]:
    """A fresh namespace under the restricted Pod Security profile; gone when the test ends."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_"))[:36].strip("-")
    namespace = f"e2e-{words}-{secrets.token_hex(3)}"
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": _LABELS}})
    yield Team(kubectl, images, namespace)
    kubectl.run("delete", "namespace", namespace, "--wait=false")
