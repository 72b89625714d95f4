"""Athens' own sample file and its own table of keys: both are understood here, and what differs is listed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from athens_proxy.config.effective import effective
from athens_proxy.config.load import ConfigFile, load
from athens_proxy.config.reserved import RESERVED
from athens_proxy.config.sections import Config
from support.tree import ROOT

TOOL = ROOT / "hack" / "tools" / "athens"

# What the sample file sets to something else than our default, and why.
DIFFERENT = {
    "GoBinaryEnvVars": (["GOPROXY=direct"], "ours asks the public proxy before the origin"),
    "LogLevel": ("debug", "ours is made for production"),
    "StorageType": ("memory", "ours does not grow without bound"),
    "Storage.Disk.RootPath": ("/path/on/disk", "a placeholder"),
    "Storage.GCP.ProjectID": ("MY_GCP_PROJECT_ID", "a placeholder"),
    "Storage.GCP.Bucket": ("MY_GCP_BUCKET", "a placeholder"),
    "Storage.Minio.Endpoint": ("127.0.0.1:9001", "a placeholder"),
    "Storage.Minio.Key": ("minio", "a placeholder"),
    "Storage.Minio.Secret": ("********", "a placeholder"),
    "Storage.Minio.Bucket": ("gomods", "a placeholder"),
    "Storage.Mongo.URL": ("********", "a placeholder"),
    "Storage.S3.Region": ("MY_AWS_REGION", "a placeholder"),
    "Storage.S3.Key": ("MY_AWS_ACCESS_KEY_ID", "a placeholder"),
    "Storage.S3.Secret": ("********", "a placeholder"),
    "Storage.S3.Bucket": ("MY_S3_BUCKET_NAME", "a placeholder"),
    "Index.Postgres.Params": ({"connect_timeout": "30s", "sslmode": "disable"}, "the driver of Athens refuses 30s"),
    "Storage.AzureBlob.AccountName": ("MY_AZURE_BLOB_ACCOUNT_NAME", "a placeholder"),
    "Storage.AzureBlob.ContainerName": ("MY_AZURE_BLOB_CONTAINER_NAME", "a placeholder"),
    "TraceExporterURL": ("http://localhost:14268", "a protocol that Jaeger gave up; later Athens has our default"),
}
# Keys of the sample that Athens itself ignores.
WARNINGS = {
    "Storage.CDN.Endpoint: no setting has this name in the configuration file; it has no effect",
    "Storage.Mongo.Insecure: no setting has this name in the configuration file; it has no effect",
}


@pytest.fixture(scope="module")
def athens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree of the Athens that the conformance tests compare with."""
    done = subprocess.run(
        ["go", "mod", "download", "-json", "github.com/gomods/athens"],
        cwd=TOOL,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return Path(json.loads(done.stdout)["Dir"])


def no_file(name: str) -> ConfigFile:
    raise FileNotFoundError(2, "No such file or directory", name)


def values(config: Config) -> dict[str, Any]:
    return {entry["key"]: entry["value"] for entry in effective(config)}


@pytest.fixture
def sample(athens: Path) -> Config:
    text = (athens / "config.dev.toml").read_text()
    return load(["-config_file=config.toml"], {}, lambda _: ConfigFile(text, 0o644))


def test_the_sample_file_loads_unchanged(sample: Config) -> None:
    assert set(sample.warnings) == WARNINGS


def test_the_sample_file_says_what_our_defaults_are_but_for_the_listed_keys(sample: Config) -> None:
    ours, theirs = values(load([], {}, no_file)), values(sample)

    assert {key: theirs[key] for key in ours if ours[key] != theirs[key]} == {
        key: value for key, (value, _) in DIFFERENT.items()
    }


def test_every_environment_name_of_athens_is_known(athens: Path, sample: Config) -> None:
    sources = [path.read_text() for path in (athens / "pkg" / "config").glob("*.go") if "_test" not in path.name]
    theirs = {name for text in sources for name in re.findall(r'envconfig:"([A-Z0-9_]+)"', text)}
    ours = {name for entry in effective(sample) for name in entry["environment"]} | {key.env for key in RESERVED}

    assert len(theirs) > 80
    assert theirs - ours == set()
