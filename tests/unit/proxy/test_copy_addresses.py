"""Addresses of stores become settings of a proxy; what is none is told so, and no secret is shown."""

from __future__ import annotations

import io

import pytest

from athens_proxy.commands.addresses import InvalidAddress, settings_of, shown
from athens_proxy.commands.copying import Copied, Outcome
from athens_proxy.commands.progress import ProgressBar, bar
from athens_proxy.config.load import load
from athens_proxy.config.sections import Config


def configured(address: str) -> Config:
    def no_file(name: str) -> None:
        raise FileNotFoundError(name)

    elsewhere = {"ATHENS_STORAGE_TYPE": "disk", "ATHENS_S3_BUCKET_NAME": "other", "ATHENS_MONGO_STORAGE_URL": "other"}
    return load([], {**elsewhere, **settings_of(address)}, no_file)  # type: ignore[arg-type] # it never returns


def test_each_form_names_its_store_whatever_the_environment_says() -> None:
    assert configured("disk:///srv/a%20b").storage.disk_root == "/srv/a b"

    s3 = configured("s3://modules/team/a?region=eu-1&endpoint=http://localhost:9&pathStyle=true").objects
    assert (s3.s3_bucket, s3.s3_prefix, s3.s3_region) == ("modules", "team/a", "eu-1")
    assert (s3.s3_endpoint, s3.s3_path_style) == ("http://localhost:9", True)

    minio = settings_of("minio://localhost:9000/modules/p?tls=true")
    assert minio["ATHENS_STORAGE_MINIO_ATHENS_MINIO_ENDPOINT"] == "localhost:9000"
    assert minio["ATHENS_STORAGE_MINIO_ATHENS_MINIO_BUCKET_NAME"] == "modules"
    assert minio["ATHENS_STORAGE_MINIO_ATHENS_MINIO_USE_SSL"] == "true"

    assert configured("gs://modules/p").objects.gcs_prefix == "p"

    azure = configured("azblob://account/modules").objects
    assert (azure.azure_account, azure.azure_container, azure.azure_prefix) == ("account", "modules", "")

    mongo = configured("mongodb://user:pass@host:1/db?tls=true#versions").remotes
    assert mongo.mongo_url.reveal() == "mongodb://user:pass@host:1/db?tls=true"
    assert (mongo.mongo_database, mongo.mongo_collection) == ("db", "versions")
    plain = configured("mongodb://host").remotes
    assert (plain.mongo_database, plain.mongo_collection) == ("athens", "modules")

    assert configured("external+https://host/-/store").remotes.external_url.reveal() == "https://host/-/store"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/srv/athens", "no such kind of store; use one of disk: s3:"),
        ("ftp://host/x", "no such kind of store"),
        ("disk://srv/athens", "absolute path"),
        ("s3://", "the bucket is missing"),
        ("s3://b?regoin=x", "unknown option regoin; use one of region, endpoint, pathStyle"),
        ("s3://key:secret@b", "credentials come from the environment"),
        ("minio://host", "the bucket is missing"),
        ("azblob://account", "the container is missing"),
        ("memory:", "set Storage.Serve there"),
    ],
)
def test_what_is_no_address_is_told_so(address: str, said: str) -> None:
    with pytest.raises(InvalidAddress, match=said) as caught:
        settings_of(address)
    assert "secret" not in str(caught.value)


def test_a_shown_address_has_no_credentials_and_no_options() -> None:
    assert shown("mongodb://user:secret@host/db?password=secret#x") == "mongodb://host/db"
    assert shown("config:/etc/athens.toml") == "config:/etc/athens.toml"


def test_the_bar_tells_how_far_and_how_long_and_only_a_terminal_gets_one() -> None:
    tally = Copied(found=4, outcomes={Outcome.COPIED: 1, Outcome.PRESENT: 1, Outcome.FAILED: 0}, copied_bytes=2_000_000)

    line = bar(tally, elapsed_s=2.0)

    assert line.startswith("[" + "#" * 15 + "." * 15 + "] 2/4  1 copied, 1 present, 0 failed  1.0 MB/s  2 s left")
    pipe = io.StringIO()
    ProgressBar(pipe).show(tally)
    assert pipe.getvalue() == ""
