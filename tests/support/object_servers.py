"""Real object stores on loopback: versitygw and MinIO for S3, fake-gcs-server, azurite; data in a temporary folder.

Each context starts one server process and stops that process; buckets are made by the test that wants one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from localcluster import binaries
from support.ports import free_port
from support.processes import RunningProcess, accepts_connections, inherited, started

READY_DEADLINE_S = 60.0
ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key"
REGION = "eu-test-1"
AZURE_ACCOUNT = "devstoreaccount1"
# Published with the emulator; it opens nothing but emulators.
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class ObjectServer:
    """A running server.

    Attributes:
        url: its address.
        data: the folder that holds its data.
        process: the process that serves it.
    """

    url: str
    data: Path
    process: RunningProcess

    @property
    def host(self) -> str:
        """Host and port."""
        return self.url.partition("://")[2]


def new_name() -> str:
    """A bucket or container that no test has used."""
    return f"modules-{uuid.uuid4().hex[:12]}"


@contextmanager
def versitygw(folder: Path, *, certificate: Path | None = None, key: Path | None = None) -> Iterator[ObjectServer]:
    """An S3 server whose buckets are folders; with TLS when given a certificate."""
    port = free_port()
    data = _made(folder / "buckets")
    tls: list[str | Path] = ["--cert", certificate, "--key", key] if certificate and key else []
    argv: list[str | Path] = [binaries.ensure("versitygw"), "--port", f"127.0.0.1:{port}", "--region", REGION, *tls]
    env = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    scheme = "https" if tls else "http"
    with _serving("versitygw", [*argv, "posix", data], env, folder, port) as process:
        yield ObjectServer(f"{scheme}://127.0.0.1:{port}", data, process)


@contextmanager
def minio(folder: Path) -> Iterator[ObjectServer]:
    """MinIO itself."""
    port = free_port()
    data = _made(folder / "data")
    argv: list[str | Path] = [binaries.ensure("minio"), "server", "--quiet", "--address", f"127.0.0.1:{port}"]
    argv += ["--console-address", f"127.0.0.1:{free_port()}", data]
    env = {
        "MINIO_ROOT_USER": ACCESS_KEY,
        "MINIO_ROOT_PASSWORD": SECRET_KEY,
        "MINIO_REGION": REGION,
        "MINIO_UPDATE": "off",
        "MINIO_BROWSER": "off",
        "HOME": str(folder),
    }
    with _serving("minio", argv, env, folder, port) as process:
        process.wait_until(
            lambda: _status(port, "GET", "/minio/health/cluster") == 200, what="ready", deadline_s=READY_DEADLINE_S
        )
        yield ObjectServer(f"http://127.0.0.1:{port}", data, process)


@contextmanager
def fake_gcs(folder: Path) -> Iterator[ObjectServer]:
    """A server of Google's JSON API."""
    port = free_port()
    data = _made(folder / "buckets")
    argv: list[str | Path] = [
        binaries.ensure("fake-gcs-server"),
        "-scheme",
        "http",
        "-host",
        "127.0.0.1",
        "-port",
        str(port),
    ]
    argv += ["-backend", "filesystem", "-filesystem-root", data, "-public-host", f"127.0.0.1:{port}"]
    with _serving("fake-gcs-server", argv, {}, folder, port) as process:
        yield ObjectServer(f"http://127.0.0.1:{port}", data, process)


@contextmanager
def azurite(folder: Path) -> Iterator[ObjectServer]:
    """A server of Azure's blob API; its URL ends with the account."""
    port = free_port()
    data = _made(folder / "blobs")
    argv: list[str | Path] = [
        binaries.ensure("azurite"),
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        str(port),
        "-l",
        data,
    ]
    with _serving("azurite", [*argv, "--skipApiVersionCheck", "--disableTelemetry"], {}, folder, port) as process:
        yield ObjectServer(f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}", data, process)


def make_s3_bucket(server: ObjectServer, name: str) -> str:
    """A new bucket of versitygw or MinIO; returns its name."""
    (server.data / name).mkdir()
    return name


def make_gcs_bucket(server: ObjectServer, name: str) -> str:
    """A new bucket of fake-gcs-server; returns its name."""
    body = json.dumps({"name": name})
    status = _status(_port(server), "POST", "/storage/v1/b", body=body, headers={"Content-Type": "application/json"})
    assert status == 200, f"fake-gcs-server answered {status} when bucket {name} was made"
    return name


def make_azure_container(server: ObjectServer, name: str) -> str:
    """A new container of azurite, asked for with a shared key; returns its name.

    Source: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    """
    date, version = formatdate(usegmt=True), "2021-08-06"
    resource = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{name}\nrestype:container"
    signed = "\n".join(["PUT", *[""] * 11, f"x-ms-date:{date}", f"x-ms-version:{version}", resource])
    digest = hmac.new(base64.b64decode(AZURE_KEY), signed.encode(), hashlib.sha256).digest()
    headers = {
        "x-ms-date": date,
        "x-ms-version": version,
        "Authorization": f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}",
        "Content-Length": "0",
    }
    status = _status(_port(server), "PUT", f"/{AZURE_ACCOUNT}/{name}?restype=container", headers=headers)
    assert status == 201, f"azurite answered {status} when container {name} was made"
    return name


@contextmanager
def _serving(
    name: str, argv: list[str | Path], env: Mapping[str, str], folder: Path, port: int
) -> Iterator[RunningProcess]:
    environment = {**inherited("PATH", "LANG"), **env}
    with started(name, argv, env=environment, cwd=folder, log=folder / f"{name}.log") as process:
        process.wait_until(lambda: accepts_connections(port), what="listening", deadline_s=READY_DEADLINE_S)
        yield process


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _port(server: ObjectServer) -> int:
    return int(server.host.partition("/")[0].rpartition(":")[2])


def _status(
    port: int, method: str, target: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_DEADLINE_S)
    try:
        connection.request(method, target, body=body, headers=dict(headers or {}))
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
