"""S3 and what speaks like it, in Athens' layout.

Credentials: a static key from the settings; else a container's credential endpoint; else the default chain
(environment, web identity token, container and pod identity endpoints, instance role). `UseDefaultConfiguration` goes
straight to the default chain, so that placeholders of a sample file are never sent.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
from obstore.store import S3Store

from athens_proxy.errors import StorageError
from athens_proxy.storage.object_layout import VersionedFiles, root_of
from athens_proxy.storage.object_store import ObjectStorage
from athens_proxy.storage.obstore_client import OPERATION_S, RETRY, ObstoreClient, client_options
from athens_proxy.storage.sums import Sums

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Credential

DEFAULT_REGION = "us-east-1"  # what services that know no regions expect in a signature


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """How requests are signed; every field may be empty.

    Attributes:
        access_key: with `secret_key` and perhaps `session_token` a static key.
        secret_key: never shown.
        session_token: never shown.
        endpoint: of a container's credentials, in front of `relative_uri`.
        relative_uri: the path there.
        use_default: ignore all of these and use the default chain.
    """

    access_key: str = ""
    secret_key: str = ""
    session_token: str = ""
    endpoint: str = ""
    relative_uri: str = ""
    use_default: bool = False

    def __repr__(self) -> str:
        return "S3Credentials(…)"


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """Where a bucket is.

    Attributes:
        name: of the bucket.
        region: "" for `DEFAULT_REGION`.
        endpoint: URL of a service other than Amazon's, "" for Amazon's.
        path_style: the bucket is in the path, not in the host name.
        root_certificates: PEM certificates to trust besides the system's.
    """

    name: str
    region: str = ""
    endpoint: str = ""
    path_style: bool = False
    root_certificates: bytes = b""


def s3_store(bucket: S3Bucket, credentials: S3Credentials) -> S3Store:
    """An obstore store for a bucket; nothing is asked yet.

    Raises:
        StorageError: the settings cannot name a bucket.
    """
    config: S3Config = {
        "region": bucket.region or DEFAULT_REGION,
        "virtual_hosted_style_request": not _path_style(bucket),
        "disable_bulk_delete": True,  # one key a time works everywhere
    }
    if bucket.endpoint:
        config["endpoint"] = _endpoint(bucket)
    provider = None
    if not credentials.use_default:
        if credentials.access_key:
            config["access_key_id"] = credentials.access_key
            config["secret_access_key"] = credentials.secret_key
            if credentials.session_token:
                config["session_token"] = credentials.session_token
        elif credentials.endpoint:
            provider = ContainerCredentials(credentials.endpoint + credentials.relative_uri)
        elif credentials.relative_uri:
            config["container_credentials_relative_uri"] = credentials.relative_uri
    try:
        return S3Store(
            bucket.name,
            config=config,
            client_options=client_options(
                allow_http=bucket.endpoint.startswith("http://"), root_certificates=bucket.root_certificates
            ),
            retry_config=RETRY,
            credential_provider=provider,
        )
    except ValueError as error:
        raise StorageError(f"s3 bucket {bucket.name}: the settings do not fit: {error}") from error


def open_s3_storage(bucket: S3Bucket, credentials: S3Credentials, *, prefix: str, sums: Sums) -> ObjectStorage:
    """A store in Athens' S3 layout below an optional prefix."""
    client = ObstoreClient(s3_store(bucket, credentials), name=f"s3 bucket {bucket.name}")
    return ObjectStorage(client, VersionedFiles(root_of(prefix)), sums=sums)


class ContainerCredentials:
    """Asks a credential endpoint; obstore calls this again before what it answered expires.

    Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def __call__(self) -> S3Credential:
        """The present credential.

        Raises:
            OSError: the endpoint does not answer as it must.
        """
        timeout = aiohttp.ClientTimeout(total=OPERATION_S)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self._url) as response:
                response.raise_for_status()
                answer = await response.json(content_type=None)
                return {
                    "access_key_id": answer["AccessKeyId"],
                    "secret_access_key": answer["SecretAccessKey"],
                    "token": answer.get("Token"),
                    "expires_at": datetime.fromisoformat(answer["Expiration"]) if "Expiration" in answer else None,
                }
        except (aiohttp.ClientError, TimeoutError, KeyError, TypeError, ValueError) as error:
            raise OSError(f"the credential endpoint does not answer as it must: {type(error).__name__}") from None


def _path_style(bucket: S3Bucket) -> bool:
    """Whether the bucket goes into the path: as configured, and where a host name with it cannot work."""
    return bucket.path_style or "." in bucket.name or _is_address(urlsplit(bucket.endpoint).hostname or "")


def _endpoint(bucket: S3Bucket) -> str:
    if _path_style(bucket):
        return bucket.endpoint.rstrip("/")
    scheme, _, rest = bucket.endpoint.rstrip("/").partition("://")
    return f"{scheme}://{bucket.name}.{rest}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True
