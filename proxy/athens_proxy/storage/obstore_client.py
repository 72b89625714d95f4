"""A bucket behind obstore: S3 and what speaks like it, and Azure Blob.

obstore retries 5xx answers, time-outs and broken connections of idempotent requests with exponential back-off and
jitter, and resumes a download that breaks off; here is what bounds it, and what becomes of its errors.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import AzureStore, S3Store

from athens_proxy.errors import StorageError
from athens_proxy.storage.object_advice import advice
from athens_proxy.storage.object_client import ObjectAbsent, ObjectChanged, ObjectExists, Revision
from athens_proxy.storage.storage import CHUNK_BYTES

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta, PutMode
    from obstore.store import ClientConfig, RetryConfig

OPERATION_S: Final = 30.0  # one small request with its retries; within the patience of a go client
RETRY: Final[RetryConfig] = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}
_PART_BYTES: Final = 5 * 1024 * 1024  # the least that S3 takes; 10,000 parts are far more than Go's 500 MiB for a zip
_PARTS_AT_ONCE: Final = 3
_LARGE_UPLOADS_AT_ONCE: Final = 4  # each holds its parts, about twice; small zips do not wait for large ones
_READ_AHEAD_BYTES: Final = 4 * CHUNK_BYTES
_PAGE_KEYS: Final = 1000

# An answer without a body (to HEAD) has no code; a GET at the same time tells a missing bucket from a missing key.
_ABSENT_CODES: Final = frozenset({"", "NoSuchKey", "NotFound", "BlobNotFound", "ResourceNotFound"})
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]{1,300})")
_ADDRESS: Final = re.compile(r"https?://\S+")


def client_options(*, allow_http: bool, root_certificates: bytes) -> ClientConfig:
    """Connection settings: no limit on a whole transfer, but on connecting and on each wait for bytes.

    Args:
        allow_http: the endpoint has no TLS.
        root_certificates: PEM certificates to trust besides the system's, empty for none.
    """
    options: ClientConfig = {
        "allow_http": allow_http,
        "connect_timeout": timedelta(seconds=5),
        "read_timeout": timedelta(seconds=60),
        "timeout": timedelta(days=7),
    }
    if root_certificates:
        options["root_certificate"] = root_certificates
    return options


class _Opened:
    """An object that obstore streams."""

    def __init__(self, result: obstore.GetResult, name: str, key: str) -> None:
        self._stream: obstore.BytesStream | None = result.stream(_READ_AHEAD_BYTES)
        self._revision = _revision(result.meta)
        self._name = name
        self._key = key

    @property
    def revision(self) -> Revision:
        """See `OpenObject.revision`."""
        return self._revision

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `OpenObject.chunks`."""
        stream = self._stream
        if stream is None:
            return
        with _failures(self._name, "read", self._key):
            async for chunk in stream:
                yield chunk

    async def close(self) -> None:
        """Drop the stream, and with it the connection if it is not at its end."""
        self._stream = None


class ObstoreClient:
    """An `ObjectClient` over an obstore store.

    Args:
        store: S3 or Azure.
        name: the bucket for messages.
    """

    def __init__(self, store: S3Store | AzureStore, *, name: str) -> None:
        self._store = store
        self._name = name
        self._large_uploads = asyncio.Semaphore(_LARGE_UPLOADS_AT_ONCE)

    @property
    def name(self) -> str:
        """See `ObjectClient.name`."""
        return self._name

    @property
    def seeks(self) -> bool:
        """See `ObjectClient.seeks`; for Azure, obstore drops what lies before the key after it was listed."""
        return isinstance(self._store, S3Store)

    async def read(self, key: str) -> bytes:
        """See `ObjectClient.read`."""
        with _failures(self._name, "read", key):
            async with asyncio.timeout(OPERATION_S):
                result = await obstore.get_async(self._store, key)
                return bytes(await result.bytes_async())

    async def open(self, key: str, *, offset: int = 0, length: int | None = None, tag: str = "") -> _Opened:
        """See `ObjectClient.open`."""
        options: GetOptions = {}
        if tag:
            options["if_match"] = tag
        if length is not None:
            options["range"] = (offset, offset + length)
        elif offset:
            options["range"] = {"offset": offset}
        with _failures(self._name, "read", key):
            async with asyncio.timeout(OPERATION_S):
                return _Opened(await obstore.get_async(self._store, key, options=options), self._name, key)

    async def revision(self, key: str) -> Revision:
        """See `ObjectClient.revision`."""
        with _failures(self._name, "look for", key):
            async with asyncio.timeout(OPERATION_S):
                return _revision(await obstore.head_async(self._store, key))

    async def write(self, key: str, data: bytes, *, content_type: str, create: bool = False, replaces: str = "") -> str:
        """See `ObjectClient.write`."""
        mode: PutMode = "create" if create else {"e_tag": replaces} if replaces else "overwrite"
        try:
            with _failures(self._name, "write", key):
                async with asyncio.timeout(OPERATION_S):
                    result = await obstore.put_async(
                        self._store, key, data, attributes={"Content-Type": content_type}, mode=mode
                    )
        except ObjectAbsent:
            if replaces:
                raise ObjectChanged(key) from None
            raise StorageError(f"{self._name}: write {key}: {advice('NoSuchBucket')}") from None
        return result["e_tag"] or ""

    async def upload(self, key: str, path: Path, *, content_type: str) -> None:
        """See `ObjectClient.upload`; a killed upload leaves parts that only a lifecycle rule of the bucket removes."""
        size_bytes = (await asyncio.to_thread(path.stat)).st_size
        turn = self._large_uploads if size_bytes > _PART_BYTES else nullcontext()
        with _failures(self._name, "write", key):
            async with turn:
                await obstore.put_async(
                    self._store,
                    key,
                    path,
                    attributes={"Content-Type": content_type},
                    chunk_size=_PART_BYTES,
                    max_concurrency=_PARTS_AT_ONCE,
                )

    async def keys(self, folder: str, *, after: str = "") -> AsyncIterator[str]:
        """See `ObjectClient.keys`."""
        stream = obstore.list(self._store, folder or None, offset=after or None, chunk_size=_PAGE_KEYS)
        while True:
            with _failures(self._name, "list", folder):
                try:
                    async with asyncio.timeout(OPERATION_S):
                        page = await anext(stream)
                except StopAsyncIteration:
                    return
            for item in page:
                yield item["path"]

    async def delete(self, key: str) -> None:
        """See `ObjectClient.delete`."""
        try:
            with _failures(self._name, "delete", key):
                async with asyncio.timeout(OPERATION_S):
                    await obstore.delete_async(self._store, key)
        except ObjectAbsent:
            return

    async def check(self, key: str) -> None:
        """See `ObjectClient.check`; even the answer that a key is missing tells a bucket from none."""
        try:
            await self.read(key)
        except ObjectAbsent:
            return

    async def close(self) -> None:
        """Connections go with the object."""


def _revision(meta: ObjectMeta) -> Revision:
    return Revision(meta["size"], meta["e_tag"] or "", meta["last_modified"].isoformat())


@contextmanager
def _failures(name: str, doing: str, key: str) -> Iterator[None]:
    """Errors of obstore as ours; the service's code decides, its text is shown without addresses."""
    try:
        yield
    except TimeoutError as error:
        raise StorageError(f"{name}: {doing} {key}: no answer within {OPERATION_S:.0f} s; {advice('')}") from error
    except AlreadyExistsError as error:
        raise ObjectExists(key) from error
    except PreconditionError as error:
        raise ObjectChanged(key) from error
    except FileNotFoundError as error:
        if _code(error) in _ABSENT_CODES:
            raise ObjectAbsent(key) from None
        raise _failure(name, doing, key, error) from error
    except (BaseError, OSError) as error:
        raise _failure(name, doing, key, error) from error


def _failure(name: str, doing: str, key: str, error: Exception) -> StorageError:
    code = _code(error)
    text = _MESSAGE.search(str(error))
    said = text[1].splitlines()[0] if text else _ADDRESS.sub("the endpoint", str(error).splitlines()[0])[:200]
    return StorageError(f"{name}: {doing} {key}: {code and code + ': '}{_printable(said)}; {advice(code)}")


def _code(error: Exception) -> str:
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).strip().rstrip(".")
