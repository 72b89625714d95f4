"""What a pod fetched is a hit for the pod after it, in every type of storage that the operator can render."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.exchange import ask
from support.module_tree import ModuleTree
from support.mongo_server import MongoServer
from support.object_servers import ACCESS_KEY, AZURE_ACCOUNT, AZURE_KEY, REGION, SECRET_KEY, ObjectServer
from support.object_stores import SERVER_OF, new_bucket
from support.operator_values import INPUTS, proxy_value
from support.proxy_process import Settings, running
from support.rendered_pod import Sources, running_pod

MODULE, VERSION = "example.com/kept", "v1.0.0"
FILE = f"/{MODULE}/@v/{VERSION}.zip"
OFF = "off"
FULL = bool(os.environ.get("ATHENS_TEST_FULL"))
TYPES = ("s3", "gcs", "azureBlob", "mongo", "external", *(("disk", "minio") if FULL else ()))
"""The end-to-end tests replace pods on a disk, and MinIO speaks as S3 does."""


@contextmanager
def place(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[dict[str, Any], Sources]]:
    """An empty store: the spec that names it, and the Secrets that open it."""
    if kind == "disk":
        yield {"storage": {"type": kind, kind: {"existingClaim": "kept"}}}, {}
    elif kind == "mongo":
        mongo: MongoServer = request.getfixturevalue("mongo_server")
        member = {"connectionSecretRef": {"name": "db"}, "database": mongo.new_settings().database}
        yield {"storage": {"type": kind, kind: member}}, {"db": {"url": mongo.url}}
    elif kind == "external":
        with running(tmp_path / "server", Settings("off", env={"ATHENS_STORAGE_SERVE": "true"})) as server:
            yield {"storage": {"type": kind, kind: {"url": f"{server.url}/-/store"}}}, {}
    else:
        yield _in_bucket(kind, request.getfixturevalue(SERVER_OF[kind.lower()]))


def _in_bucket(kind: str, server: ObjectServer) -> tuple[dict[str, Any], Sources]:
    bucket = new_bucket(kind.lower(), server)
    keys = {"name": "keys", "accessKeyIDKey": "id", "secretAccessKeyKey": "key"}
    members: dict[str, dict[str, Any]] = {
        "s3": {"bucket": bucket, "region": REGION, "endpoint": server.url, "forcePathStyle": True},
        "minio": {"bucket": bucket, "region": REGION, "endpoint": server.host, "tls": False},
        "gcs": {"bucket": bucket},
        "azureBlob": {"accountName": AZURE_ACCOUNT, "containerName": bucket},
    }
    member = members[kind]
    if kind in ("s3", "minio"):
        member["credentialsSecretRef"] = keys
    if kind == "azureBlob":
        member["accountKeySecretRef"] = {"name": "keys", "key": "key"}
    address = {"gcs": "STORAGE_EMULATOR_HOST", "azureBlob": "ATHENS_AZURE_ENDPOINT"}.get(kind)
    more = {"extraEnv": [{"name": address, "value": server.url}]} if address else {}
    secret = {"id": ACCESS_KEY, "key": AZURE_KEY if kind == "azureBlob" else SECRET_KEY}
    return {"storage": {"type": kind, kind: member}, **more}, {"keys": secret}


def answers(folder: Path, spec: dict[str, Any], sources: Sources, upstream: str) -> tuple[int, bytes]:
    """What a pod of its own, with that upstream, answers to the one request."""
    whole = {**spec, "upstream": {"goproxy": upstream}, "checksumDB": {"urls": []}}
    with running_pod(folder, proxy_value(whole), INPUTS, sources) as pod:
        answer = ask(pod.address, FILE)
    return answer.status, answer.body


@pytest.mark.parametrize("kind", TYPES)
def test_what_one_pod_fetched_the_next_one_serves_without_an_upstream(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    modules = ModuleTree(tmp_path / "modules")
    modules.add(MODULE, VERSION)
    folder = tmp_path / "pod"
    folder.mkdir()
    with place(kind, request, tmp_path) as (spec, sources):
        fetched = answers(folder, spec, sources, modules.url)
        kept = answers(folder, spec, sources, OFF)

    assert fetched[0] == 200
    assert kept == fetched


def test_a_store_in_memory_ends_with_its_pod(tmp_path: Path) -> None:
    modules = ModuleTree(tmp_path / "modules")
    modules.add(MODULE, VERSION)
    spec: dict[str, Any] = {"storage": {"type": "memory", "memory": {}}}
    folder = tmp_path / "pod"
    folder.mkdir()

    assert answers(folder, spec, {}, modules.url)[0] == 200
    assert answers(folder, spec, {}, OFF)[0] == 404
