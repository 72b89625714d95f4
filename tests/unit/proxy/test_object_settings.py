"""How settings become a bucket's client, and how keys read back."""

from __future__ import annotations

import base64
import json

import pytest

from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage.gcs import InvalidKey, json_key
from athens_proxy.storage.object_layout import ObjectLayout, VersionedFiles, VersionFolders
from athens_proxy.storage.s3 import ContainerCredentials, S3Bucket, S3Credentials, s3_store

STATIC = S3Credentials(access_key="key-id", secret_key="secret", session_token="token")


def config_of(bucket: S3Bucket, credentials: S3Credentials) -> dict[str, object]:
    return dict(s3_store(bucket, credentials).config)


def test_a_static_key_is_used_with_its_token() -> None:
    config = config_of(S3Bucket("b", "eu-west-1"), STATIC)

    assert (config["access_key_id"], config["secret_access_key"]) == ("key-id", "secret")
    assert "token" in config.values()
    assert config["region"] == "eu-west-1"


def test_the_default_chain_never_sends_a_placeholder_of_a_sample_file() -> None:
    config = config_of(S3Bucket("b", "eu-west-1"), S3Credentials(access_key="MY_AWS_KEY", use_default=True))

    assert "MY_AWS_KEY" not in config.values()


def test_a_container_endpoint_is_asked_when_there_is_no_static_key() -> None:
    credentials = S3Credentials(endpoint="http://127.0.0.1:9", relative_uri="/v2/credentials/x")

    assert isinstance(s3_store(S3Bucket("b", "eu-west-1"), credentials).credential_provider, ContainerCredentials)


@pytest.mark.parametrize(
    ("bucket", "virtual", "endpoint"),
    [
        (S3Bucket("b", "eu-west-1"), "true", None),
        (S3Bucket("a.b", "eu-west-1"), "false", None),
        (S3Bucket("b", endpoint="https://s3.example.com/"), "true", "https://b.s3.example.com"),
        (S3Bucket("b", endpoint="https://s3.example.com", path_style=True), "false", "https://s3.example.com"),
        (S3Bucket("b", endpoint="http://127.0.0.1:9000"), "false", "http://127.0.0.1:9000"),
    ],
)
def test_a_bucket_is_in_the_host_name_where_that_can_work(bucket: S3Bucket, virtual: str, endpoint: str | None) -> None:
    config = config_of(bucket, STATIC)

    assert str(config["virtual_hosted_style_request"]).lower() == virtual
    assert config.get("endpoint") == endpoint


def test_no_secret_is_in_the_text_of_credentials() -> None:
    assert "secret" not in repr(STATIC)


def encoded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("not base64!", "could not decode base64 json key"),
        (base64.b64encode(b"not json").decode(), "failed to parse JSON key"),
        (encoded({}), "missing 'type' field"),
        (encoded({"type": "other"}), "unknown credential type"),
    ],
)
def test_a_bad_json_key_is_refused_in_the_words_of_athens(key: str, says: str) -> None:
    with pytest.raises(InvalidKey, match=says):
        json_key(key)


def test_a_json_key_may_be_wrapped_as_base64_prints_it() -> None:
    key = {"type": "service_account", "client_email": "someone@example.com"}
    text = encoded(key)

    assert json.loads(json_key(text[:20] + "\n" + text[20:])) == key


@pytest.mark.parametrize(
    "layout", [VersionedFiles(), VersionedFiles("team/"), VersionFolders(), VersionFolders("a/b/")]
)
@pytest.mark.parametrize(
    ("path", "version"),
    [("example.com/m", "v1.0.0"), ("git.sr.ht/~a/m", "v2.0.0+incompatible"), ("a.b/v/v2", "v2.1.0")],
)
def test_only_the_commit_mark_reads_back_as_its_version(layout: ObjectLayout, path: str, version: str) -> None:
    wanted = ModuleVersion(ModulePath.parse(path), version)

    assert layout.entry(layout.info(wanted)) == wanted
    assert [
        layout.entry(key) for key in (layout.mod(wanted), layout.zip(wanted), "x" + layout.info(wanted)[1:] + "x")
    ] == [None] * 3
    assert layout.entry(f"{layout.root}.athens/h1/{path}/@v/{version}.info") is None
