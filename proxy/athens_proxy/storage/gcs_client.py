"""A Google Cloud Storage bucket over its JSON API, with gcloud-aio for requests and tokens.

obstore is not used here: its multipart uploads speak GCS' XML API, which no local server does, so they could not be
tested. Uploads are resumable ones, streamed from the file.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
from gcloud.aio.storage import Storage
from jwt.exceptions import PyJWTError

from athens_proxy.errors import StorageError
from athens_proxy.storage.object_advice import advice
from athens_proxy.storage.object_client import ObjectAbsent, ObjectChanged, ObjectExists, Revision
from athens_proxy.storage.storage import CHUNK_BYTES

OPERATION_S: Final = 30.0
_TRIES: Final = 4
_FIRST_PAUSE_S: Final = 0.1
_PAGE_KEYS: Final = 1000
# No limit on a whole transfer, but on connecting and on each wait for bytes; the library's annotation asks for an int.
_STREAMED: Final[Any] = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
_SMALL: Final[Any] = aiohttp.ClientTimeout(total=OPERATION_S, sock_connect=5)
_CODES: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.FORBIDDEN: "AccessDenied",
    HTTPStatus.NOT_FOUND: "NoSuchBucket",
    HTTPStatus.TOO_MANY_REQUESTS: "SlowDown",
}
_T = TypeVar("_T")


class _Opened:
    """An object that is streamed from one revision."""

    def __init__(self, response: aiohttp.ClientResponse, revision: Revision, name: str, key: str) -> None:
        self._response = response
        self._revision = revision
        self._name = name
        self._key = key

    @property
    def revision(self) -> Revision:
        """See `OpenObject.revision`."""
        return self._revision

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `OpenObject.chunks`."""
        with _failures(self._name, "read", self._key):
            async for chunk in self._response.content.iter_chunked(CHUNK_BYTES):
                yield chunk

    async def close(self) -> None:
        """Close the connection if it is not at its end."""
        self._response.close()


class GcsClient:
    """An `ObjectClient` over the JSON API.

    Args:
        storage: requests and tokens; closed with the client.
        bucket: its name.
    """

    def __init__(self, storage: Storage, bucket: str) -> None:
        self._storage = storage
        self._bucket = bucket

    @property
    def name(self) -> str:
        """See `ObjectClient.name`."""
        return f"gcs bucket {self._bucket}"

    @property
    def seeks(self) -> bool:
        """See `ObjectClient.seeks`."""
        return True

    async def read(self, key: str) -> bytes:
        """See `ObjectClient.read`."""
        return await self._tried("read", key, lambda: self._storage.download(self._bucket, key, timeout=_SMALL))

    async def open(self, key: str, *, offset: int = 0, length: int | None = None, tag: str = "") -> _Opened:
        """See `ObjectClient.open`."""
        headers = {"Accept-Encoding": "identity"}
        if offset or length is not None:
            last = "" if length is None else offset + length - 1
            headers["Range"] = f"bytes={offset}-{last}"

        async def start() -> _Opened:
            stream = await self._storage.download_stream(self._bucket, key, headers=headers, timeout=_STREAMED)
            response = await stream.__aenter__()
            revision = _streamed_revision(response)
            if tag and revision.tag != tag:
                response.close()
                raise ObjectChanged(key)
            return _Opened(response, revision, self.name, key)

        return await self._tried("read", key, start)

    async def revision(self, key: str) -> Revision:
        """See `ObjectClient.revision`."""
        found = await self._tried(
            "look for", key, lambda: self._storage.download_metadata(self._bucket, key, timeout=_SMALL)
        )
        return Revision(int(found["size"]), str(found["generation"]), str(found["generation"]))

    async def write(self, key: str, data: bytes, *, content_type: str, create: bool = False, replaces: str = "") -> str:
        """See `ObjectClient.write`."""
        condition = {"ifGenerationMatch": "0" if create else replaces} if create or replaces else {}

        async def put() -> dict[str, Any]:
            return await self._storage.upload(
                self._bucket,
                key,
                data,
                content_type=content_type,
                parameters=dict(condition),
                force_resumable_upload=False,
                timeout=_SMALL,
            )

        try:
            return str((await self._tried("write", key, put))["generation"])
        except ObjectChanged:
            if create:
                raise ObjectExists(key) from None
            raise
        except ObjectAbsent:
            raise self._missing_bucket("write", key) from None

    async def upload(self, key: str, path: Path, *, content_type: str) -> None:
        """See `ObjectClient.upload`."""

        async def put() -> None:
            # The library closes the file, but not where it fails.
            with await asyncio.to_thread(path.open, "rb") as file:
                await self._storage.upload(
                    self._bucket, key, file, content_type=content_type, force_resumable_upload=True, timeout=_STREAMED
                )

        try:
            await self._tried("write", key, put)
        except ObjectAbsent:
            raise self._missing_bucket("write", key) from None

    async def keys(self, folder: str, *, after: str = "") -> AsyncIterator[str]:
        """See `ObjectClient.keys`."""
        params = {"maxResults": str(_PAGE_KEYS), "fields": "items(name),nextPageToken"}
        if folder:
            params["prefix"] = f"{folder}/"
        if after:
            params["startOffset"] = after
        while True:
            page = await self._page(params)
            for item in page.get("items", []):
                if item["name"] > after:  # the offset is inclusive
                    yield item["name"]
            if not page.get("nextPageToken"):
                return
            params["pageToken"] = page["nextPageToken"]

    async def delete(self, key: str) -> None:
        """See `ObjectClient.delete`."""
        try:
            await self._tried("delete", key, lambda: self._storage.delete(self._bucket, key, timeout=_SMALL))
        except ObjectAbsent:
            return

    async def check(self, key: str) -> None:
        """See `ObjectClient.check`; lists at most one key, since a missing object looks like a missing bucket."""
        with _failures(self.name, "list", key):
            async with asyncio.timeout(OPERATION_S):
                await self._page({"prefix": key, "maxResults": "1"})

    async def close(self) -> None:
        """Close connections, those to the token source too."""
        await self._storage.token.close()
        await self._storage.close()

    async def _page(self, params: dict[str, str]) -> dict[str, Any]:
        key = params.get("prefix", "")
        try:
            return await self._tried(
                "list", key, lambda: self._storage.list_objects(self._bucket, params=params, timeout=_SMALL)
            )
        except ObjectAbsent:
            raise self._missing_bucket("list", key) from None

    def _missing_bucket(self, doing: str, key: str) -> StorageError:
        return StorageError(f"{self.name}: {doing} {key}: {advice('NoSuchBucket')}")

    async def _tried(self, doing: str, key: str, request: Callable[[], Awaitable[_T]]) -> _T:
        """The answer to a request, which is repeated after answers and breaks that a repetition may cure."""
        for pause_s in (_FIRST_PAUSE_S * 3**n for n in range(_TRIES - 1)):
            try:
                with _failures(self.name, doing, key):
                    return await request()
            except StorageError as error:
                if not _may_pass(error.__cause__):
                    raise
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 spreads the repetitions
        with _failures(self.name, doing, key):
            return await request()


def _may_pass(cause: BaseException | None) -> bool:
    if isinstance(cause, aiohttp.ClientResponseError):
        return cause.status >= HTTPStatus.INTERNAL_SERVER_ERROR or cause.status == HTTPStatus.TOO_MANY_REQUESTS
    return isinstance(cause, aiohttp.ClientConnectionError)


def _streamed_revision(response: aiohttp.ClientResponse) -> Revision:
    generation = response.headers.get("X-Goog-Generation", "")
    _, _, whole = response.headers.get("Content-Range", "").rpartition("/")
    size_bytes = int(whole) if whole.isdigit() else response.content_length or 0
    return Revision(size_bytes, generation, generation)


@contextmanager
def _failures(name: str, doing: str, key: str) -> Iterator[None]:
    """Errors of aiohttp and of the token source as ours; the status decides."""
    try:
        yield
    except aiohttp.ClientResponseError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise ObjectAbsent(key) from None
        if error.status == HTTPStatus.PRECONDITION_FAILED:
            raise ObjectChanged(key) from None
        code = _CODES.get(error.status, "")
        said = f"the service answered {error.status}"
        raise StorageError(f"{name}: {doing} {key}: {said}; {advice(code)}") from error
    except TimeoutError as error:
        raise StorageError(f"{name}: {doing} {key}: no answer in time; {advice('')}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise StorageError(f"{name}: {doing} {key}: {type(error).__name__}; {advice('')}") from error
    except (PyJWTError, KeyError, TypeError, ValueError) as error:  # how the token source says that a key is none
        raise StorageError(f"{name}: {doing} {key}: {type(error).__name__}; {advice('Unauthorized')}") from error
