"""A real cluster with the operator installed once, and one namespace for each test.

The cluster is the one that KUBECONFIG or CLUSTER names, else kind where Docker can pull its node image, else the local
node: `hack/cluster up` chooses. Everything the tests do to it, they do with kubectl and the go command, as users would.
Tests marked `alone` run first, one by one; the files of the others side by side.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from demonstration.installation import Way, install
from demonstration.kubectl import Kubectl
from demonstration.tools import ROOT, Images, cluster_up, images_loaded
from localcluster.locks import locked
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
    """The operator, installed from the chart; processes that test side by side do so one after the other."""
    with locked(ROOT / "build/e2e-install.lock"):
        install(kubectl, images, Way.HELM, print)


@contextmanager
def team_called(words: str, kubectl: Kubectl, images: Images) -> Iterator[Team]:
    """A fresh namespace under the restricted Pod Security profile; gone in the end."""
    namespace = f"e2e-{words[:36].strip('-')}-{secrets.token_hex(3)}"
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": _LABELS}})
    yield Team(kubectl, images, namespace)
    kubectl.run("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def team(kubectl: Kubectl, images: Images, operator: None, request: pytest.FixtureRequest) -> Iterator[Team]:
    """A team of the test's own."""
    with team_called(
        re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_")), kubectl, images
    ) as it:
        yield it


@pytest.fixture(scope="module")
def lasting_team(kubectl: Kubectl, images: Images, operator: None, request: pytest.FixtureRequest) -> Iterator[Team]:
    """A team for all tests of a file, whose proxy none of them breaks."""
    with team_called(request.module.__name__.rpartition("test_")[2].replace("_", "-"), kubectl, images) as it:
        yield it
