"""The object servers as session fixtures; a conftest that wants one imports it by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import object_servers
from support.object_servers import ObjectServer


@pytest.fixture(scope="session")
def versitygw_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """An S3 server whose buckets are folders."""
    with object_servers.versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="session")
def minio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """MinIO."""
    with object_servers.minio(tmp_path_factory.mktemp("minio")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A server of Google's JSON API."""
    with object_servers.fake_gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """Azurite."""
    with object_servers.azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server
