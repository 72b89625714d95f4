"""One address per store: what `copy` is told as URL, as the settings that a proxy with that store would have; pure.

| address | store |
|---|---|
| `disk:///PATH` | an existing folder |
| `s3://BUCKET[/PREFIX][?region=R&endpoint=URL&pathStyle=true]` | S3 |
| `minio://HOST[:PORT]/BUCKET[/PREFIX][?tls=true&region=R]` | MinIO's layout |
| `gs://BUCKET[/PREFIX]` | Google Cloud Storage |
| `azblob://ACCOUNT/CONTAINER[/PREFIX][?endpoint=URL]` | Azure Blob |
| `mongodb[+srv]://HOST[/DATABASE][?OPTIONS][#COLLECTION]` | MongoDB |
| `external+http[s]://HOST/PATH` | a server of Athens' HTTP API; of ours: `…/-/store` |
| `config:FILE` | the store of a proxy with this configuration file |

Credentials come from the environment, under the names the proxy reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

from athens_proxy.config.sources import prefixed_env

CONFIG: Final = "config:"
FORMS: Final = "disk: s3: minio: gs: azblob: mongodb: mongodb+srv: external+http: external+https: config:"
_TYPE: Final = ("StorageType", "ATHENS_STORAGE_TYPE")
_Settings = dict[tuple[str, str], str]


class InvalidAddress(ValueError):
    """The text is no address of a store; the message says what would be."""


def settings_of(address: str) -> dict[str, str]:
    """Environment variables that make a proxy use this store; they win over any other.

    Raises:
        InvalidAddress: no such form, or a part is missing.
    """
    try:
        url = urlsplit(address)
        settings = _settings(url)
    except ValueError as error:
        raise InvalidAddress(f"{shown(address)}: {error}") from error
    return {prefixed_env(toml, env): value for (toml, env), value in settings.items()}


def shown(address: str) -> str:
    """An address for people: without user, password and options, any of which may be secret."""
    if address.startswith(CONFIG):
        return address
    try:
        url = urlsplit(address)
    except ValueError:
        return "the address"
    return urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path, "", "")) or "the address"


def _settings(url: SplitResult) -> _Settings:
    if url.scheme == "memory":
        raise ValueError("a store in memory lives in its proxy; set Storage.Serve there and use external+http://")
    if url.scheme not in _KINDS:
        raise ValueError(f"no such kind of store; use one of {FORMS}")
    return _KINDS[url.scheme](url)


def _disk(url: SplitResult) -> _Settings:
    if url.netloc or not url.path.startswith("/"):
        raise ValueError("write the folder's absolute path, as in disk:///var/lib/athens")
    return {_TYPE: "disk", ("Storage.Disk.RootPath", "ATHENS_DISK_STORAGE_ROOT"): unquote(url.path)}


def _gs(url: SplitResult) -> _Settings:
    _options(url)
    return {
        _TYPE: "gcp",
        ("Storage.GCP.Bucket", "ATHENS_STORAGE_GCP_BUCKET"): _named(url.netloc, "bucket"),
        ("Storage.GCP.Prefix", "ATHENS_STORAGE_GCP_PREFIX"): url.path.strip("/"),
    }


def _mongodb(url: SplitResult) -> _Settings:
    return {
        _TYPE: "mongo",
        ("Storage.Mongo.URL", "ATHENS_MONGO_STORAGE_URL"): urlunsplit(url._replace(fragment="")),
        ("Storage.Mongo.DefaultDBName", "ATHENS_MONGO_DEFAULT_DATABASE"): url.path.strip("/"),
        ("Storage.Mongo.DefaultCollectionName", "ATHENS_MONGO_DEFAULT_COLLECTION"): url.fragment,
    }


def _external(url: SplitResult) -> _Settings:
    _named(url.netloc, "host")
    address = urlunsplit(url._replace(scheme=url.scheme.removeprefix("external+")))
    return {_TYPE: "external", ("Storage.External.URL", "ATHENS_EXTERNAL_STORAGE_URL"): address}


def _s3(url: SplitResult) -> _Settings:
    options = _options(url, "region", "endpoint", "pathStyle")
    settings: _Settings = {
        _TYPE: "s3",
        ("Storage.S3.Bucket", "ATHENS_S3_BUCKET_NAME"): _named(url.netloc, "bucket"),
        ("Storage.S3.Prefix", "ATHENS_STORAGE_S3_PREFIX"): url.path.strip("/"),
    }
    keys = {
        "region": ("Storage.S3.Region", "AWS_REGION"),
        "endpoint": ("Storage.S3.Endpoint", "AWS_ENDPOINT"),
        "pathStyle": ("Storage.S3.ForcePathStyle", "AWS_FORCE_PATH_STYLE"),
    }
    return settings | {keys[name]: value for name, value in options.items()}


def _minio(url: SplitResult) -> _Settings:
    options = _options(url, "tls", "region")
    bucket, _, prefix = url.path.strip("/").partition("/")
    settings: _Settings = {
        _TYPE: "minio",
        ("Storage.Minio.Endpoint", "ATHENS_MINIO_ENDPOINT"): _named(url.netloc, "host"),
        ("Storage.Minio.Bucket", "ATHENS_MINIO_BUCKET_NAME"): _named(bucket, "bucket"),
        ("Storage.Minio.Prefix", "ATHENS_STORAGE_MINIO_PREFIX"): prefix,
    }
    keys = {
        "tls": ("Storage.Minio.EnableSSL", "ATHENS_MINIO_USE_SSL"),
        "region": ("Storage.Minio.Region", "ATHENS_MINIO_REGION"),
    }
    return settings | {keys[name]: value for name, value in options.items()}


def _azblob(url: SplitResult) -> _Settings:
    options = _options(url, "endpoint")
    container, _, prefix = url.path.strip("/").partition("/")
    settings: _Settings = {
        _TYPE: "azureblob",
        ("Storage.AzureBlob.AccountName", "ATHENS_AZURE_ACCOUNT_NAME"): _named(url.netloc, "account"),
        ("Storage.AzureBlob.ContainerName", "ATHENS_AZURE_CONTAINER_NAME"): _named(container, "container"),
        ("Storage.AzureBlob.Prefix", "ATHENS_STORAGE_AZUREBLOB_PREFIX"): prefix,
    }
    if "endpoint" in options:
        settings["Storage.AzureBlob.Endpoint", "ATHENS_AZURE_ENDPOINT"] = options["endpoint"]
    return settings


def _options(url: SplitResult, *known: str) -> Mapping[str, str]:
    options = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    if strange := sorted(options.keys() - set(known)):
        raise ValueError(f"unknown option {strange[0]}; use one of {', '.join(known) or 'none'}")
    if "@" in url.netloc:
        raise ValueError("credentials come from the environment, not from the address")
    return options


def _named(value: str, what: str) -> str:
    if not value:
        raise ValueError(f"the {what} is missing")
    return value


_KINDS: Final[Mapping[str, Callable[[SplitResult], _Settings]]] = {
    "disk": _disk,
    "s3": _s3,
    "minio": _minio,
    "gs": _gs,
    "azblob": _azblob,
    "mongodb": _mongodb,
    "mongodb+srv": _mongodb,
    "external+http": _external,
    "external+https": _external,
}
