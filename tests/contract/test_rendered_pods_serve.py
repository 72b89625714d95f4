"""A pod as the operator renders it starts, passes its own probes, tells its policy and can be scraped."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from athens_operator.desired.inputs import Inputs
from athens_operator.desired.prefetch import FOLDER, prefetch_list
from athens_operator.readback import HttpPodReader, Target
from athens_policy.decide import digest
from support.authority import Authority
from support.exchange import ask
from support.mongo_server import MongoServer
from support.object_servers import ACCESS_KEY, REGION, SECRET_KEY, ObjectServer
from support.object_stores import new_bucket
from support.operator_values import MEMORY, proxy_value
from support.rendered_pod import POLICY, RenderedPod, running_pod

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
INPUTS = Inputs(default_image="registry.example.com/athens/proxy:v0.1.0", served=frozenset({"ServiceMonitor"}))
KEYS = {"id": ACCESS_KEY, "key": SECRET_KEY}
CREDENTIALS = {"name": "keys", "accessKeyIDKey": "id", "secretAccessKeyKey": "key"}


def is_healthy(pod: RenderedPod) -> bool:
    return [pod.probe(name).status for name in PROBES] == [200, 200, 200]


def asked_by_the_operator(pod: RenderedPod, target: Target) -> str:
    """The digest that read-back gets from the pod, at the address of this machine."""
    parts = urlsplit(pod.address)
    ports = [{"name": parts.scheme, "containerPort": parts.port}]
    body = {"spec": {"containers": [{"name": "athens", "ports": ports}]}, "status": {"podIP": parts.hostname}}

    async def read() -> str:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
            answer = await HttpPodReader(session).read(body, target)
            return answer.digest or answer.error

    return asyncio.run(read())


def test_a_pod_with_https_login_prefix_and_an_authority_of_its_own(tmp_path: Path) -> None:
    authority = Authority.made(tmp_path, "go.team-a.svc")
    spec = {
        "storage": MEMORY,
        "server": {"pathPrefix": "/go", "forceSSL": True},
        "tls": {"secretRef": {"name": "certificate"}},
        "auth": {"basic": {"secretRef": {"name": "users"}}},
        "trustedCA": [{"configMapRef": {"name": "corporate"}}],
        "credentials": [
            {"name": "login", "type": "netrc", "secretRef": {"name": "origins"}},
            {"name": "git", "type": "token", "match": "git.corp.example", "secretRef": {"name": "git", "key": "pat"}},
            {
                "name": "ssh",
                "type": "ssh",
                "match": "ssh.corp.example/team",
                "secretRef": {"name": "ssh"},
                "knownHosts": {"inline": "ssh.corp.example ssh-ed25519 AAAA"},
            },
        ],
        "metrics": {"serviceMonitor": {"enabled": True}},
    }
    sources = {
        "certificate": {"tls.crt": authority.cert_file.read_text(), "tls.key": authority.key_file.read_text()},
        "users": {"username": "ada", "password": "lovelace"},
        "corporate": {"ca.crt": authority.ca_file.read_text()},
        "origins": {"netrc": "machine git.corp.example login bot password hunter2\n"},
        "git": {"pat": "hunter3\n"},
        "ssh": {"ssh-privatekey": "hunter4\n"},
    }
    with running_pod(tmp_path, proxy_value(spec), INPUTS, sources) as pod:
        endpoint = pod.children["ServiceMonitor"]["spec"]["endpoints"][0]
        login = {"Authorization": "Basic " + base64.b64encode(b"ada:lovelace").decode()}

        assert is_healthy(pod)
        assert asked_by_the_operator(pod, Target(digest(POLICY.encode()), "/go", ("ada", "lovelace"))) == digest(
            POLICY.encode()
        )
        assert ask(pod.address, endpoint["path"], headers=login, tls=authority.trusted()).status == 200
        assert ask(pod.address, endpoint["path"], tls=authority.trusted()).status == 401
        assert (endpoint["scheme"], pod.address.partition(":")[0]) == ("https", "https")
        bundle = (tmp_path / "run/ca/bundle.pem").read_text()
        assert bundle.count("BEGIN CERTIFICATE") > 1
        assert authority.ca_file.read_text() in bundle
        shown = ask(pod.address, "/go/-/config", headers=login, tls=authority.trusted())
        known = {entry["name"]: entry["match"] for entry in json.loads(shown.body)["credentials"]}
        assert (known["git"], known["ssh"]) == ("git.corp.example", "ssh.corp.example/team")
        assert [secret in shown.text + pod.process.logged() for secret in ("hunter2", "hunter3", "hunter4")] == [
            False
        ] * 3


def test_the_job_of_a_prefetch_asks_a_pod_that_refuses_what_is_purged(tmp_path: Path) -> None:
    """The command of the Job, the list it reads, and the file of purged versions, against the proxy they are for."""
    spec = {
        "storage": MEMORY,
        "purge": [{"module": "example.com/evil", "version": "v1.0.0", "reason": "SEC-112"}],
        "prefetch": {"modules": ["example.com/evil@v1.0.0"]},
    }
    proxy, inputs = proxy_value(spec), replace(INPUTS, served=frozenset({"Job"}))
    listed = prefetch_list(proxy, inputs)
    assert listed is not None
    (tmp_path / "modules").write_text(listed["data"]["modules"])
    with running_pod(tmp_path, proxy, inputs, {}) as pod:
        words = pod.children["Job"]["spec"]["template"]["spec"]["containers"][0]["args"]
        local = [pod.address if word.startswith("http:") else word.replace(FOLDER, str(tmp_path)) for word in words]
        done = subprocess.run(
            [sys.executable, "-m", "athens_proxy", *local], capture_output=True, text=True, check=False, timeout=60
        )
        refused = ask(pod.address, "/example.com/evil/@v/v1.0.0.info")
    summary = json.loads(done.stdout.splitlines()[-1])

    assert (refused.status, "SEC-112" in refused.text) == (403, True)
    assert (done.returncode, summary["total"], summary["succeeded"], summary["failed"]) == (1, 1, 0, 1)
    assert "403" in summary["failures"][0]["reason"]


@pytest.mark.parametrize("kind", ["s3", "minio"])
def test_a_pod_opens_its_bucket_with_the_keys_of_its_secret(
    kind: str, versitygw_server: ObjectServer, minio_server: ObjectServer, tmp_path: Path
) -> None:
    server = {"s3": versitygw_server, "minio": minio_server}[kind]
    member: dict[str, Any] = {
        "bucket": new_bucket(kind, server),
        "region": REGION,
        "prefix": "team-a/go",
        "credentialsSecretRef": CREDENTIALS,
        **({"endpoint": server.url, "forcePathStyle": True} if kind == "s3" else {}),
        **({"endpoint": server.host, "tls": False} if kind == "minio" else {}),
    }
    proxy = proxy_value({"storage": {"type": kind, kind: member}})

    with running_pod(tmp_path, proxy, INPUTS, {"keys": KEYS}) as pod:
        assert is_healthy(pod)
        assert SECRET_KEY not in pod.process.logged()


def test_a_pod_opens_its_database_with_the_string_of_its_secret(mongo_server: MongoServer, tmp_path: Path) -> None:
    settings = mongo_server.new_settings()
    member = {"connectionSecretRef": {"name": "db"}, "database": settings.database}

    proxy = proxy_value({"storage": {"type": "mongo", "mongo": member}})
    with running_pod(tmp_path, proxy, INPUTS, {"db": {"url": mongo_server.url}}) as pod:
        assert is_healthy(pod)
