"""A store behind Athens' external storage HTTP API: another service, for instance one of our own proxies.

Beyond the API there are two things that Athens' has not, `catalog` and our records. A server of ours offers both
(`web/external_store.py`); with any other the catalogue is not supported and records live as long as the process.

Source: github.com/gomods/athens pkg/storage/external
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from athens_policy import semver
from athens_proxy.errors import (
    ChecksumMismatch,
    InvalidPath,
    InvalidVersion,
    ModuleNotFound,
    NotSupported,
    StorageError,
    StorageFull,
)
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.modules.names import canonical_version
from athens_proxy.storage import layout
from athens_proxy.storage.external_zip import ExternalZip
from athens_proxy.storage.storage import CHUNK_BYTES, CatalogPage, FetchedModule, InvalidToken, StoredSizes

CONNECT_S: Final = 10.0
IDLE_S: Final = 60.0
RETRY_AFTER_S: Final = (0.1, 0.4)  # a connection that the service closed or refused, as while it restarts
MAX_SMALL_BYTES: Final = 64 * 1024 * 1024
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_NO_SUCH_ENDPOINT: Final = frozenset({400, 403, 404, 405, 501})
_LOG = logging.getLogger(__name__)


class ExternalStorage:
    """A `Storage` behind an HTTP service.

    Args:
        session: closed with the store.
        base: the service's address, without credentials.
        authorization: value of the header of every request, "" for none.
    """

    def __init__(self, session: aiohttp.ClientSession, base: URL, *, authorization: str = "") -> None:
        self._session = session
        self._base = base
        self._headers = {"Accept-Encoding": "identity", **({"Authorization": authorization} if authorization else {})}
        self._where = f"external storage {base}"
        self._own_records: dict[str, bytes] | None = None

    async def info(self, wanted: ModuleVersion) -> bytes:
        """The `.info` file; see `Storage.info`."""
        return self._looking_like(b"{", await self._read(_file(wanted, "info"), str(wanted)), f".info of {wanted}")

    async def mod(self, wanted: ModuleVersion) -> bytes:
        """The `.mod` file; see `Storage.mod`."""
        return self._looking_like(b"module", await self._read(_file(wanted, "mod"), str(wanted)), f".mod of {wanted}")

    async def open_zip(self, wanted: ModuleVersion) -> ExternalZip:
        """The zip, on its way; see `Storage.open_zip`."""
        path = _file(wanted, "zip")

        async def ask(byte_range: str) -> aiohttp.ClientResponse:
            return await self._asked("GET", path, f"zip of {wanted}", {"Range": byte_range} if byte_range else {})

        return await ExternalZip.opened(ask, f"{self._where}: read the zip of {wanted}")

    async def versions(self, path: ModulePath) -> list[str]:
        """Canonical versions in semver order; see `Storage.versions`."""
        try:
            lines = await self._read(f"{path.escaped}/@v/list", f"list of {path}")
        except ModuleNotFound:
            return []
        names = {line.strip() for line in lines.decode(errors="replace").splitlines()}
        return sorted((name for name in names if name and canonical_version(name) == name), key=semver.sort_key)

    async def save(self, fetched: FetchedModule) -> None:
        """Upload a version; see `Storage.save`."""
        what = str(fetched.wanted)
        with fetched.zip_path.open("rb") as file, aiohttp.MultipartWriter("form-data") as form:
            for name, content in (("mod.info", fetched.info), ("mod.mod", fetched.mod), ("mod.zip", file)):
                part = form.append(content, {"Content-Type": "application/octet-stream"})
                part.set_content_disposition("form-data", name=name, filename=name)
            async with self._answer("POST", _file(fetched.wanted, "save"), f"save {what}", data=form):
                pass

    async def delete(self, wanted: ModuleVersion) -> None:
        """Remove a version; see `Storage.delete`."""
        async with self._answer("DELETE", _file(wanted, "delete"), str(wanted)):
            pass

    async def delete_zip(self, wanted: ModuleVersion) -> None:
        """Never possible: the API deletes whole versions.

        Raises:
            NotSupported: always.
        """
        raise NotSupported(
            f"{self._where}: delete the zip of {wanted}: its HTTP API cannot; bound the store where it is kept"
        )

    async def sizes(self, wanted: ModuleVersion) -> StoredSizes:
        """How large the files of a version are, as they are announced; see `Storage.sizes`."""
        small_bytes = len(await self.info(wanted)) + len(await self.mod(wanted))
        try:
            async with await self.open_zip(wanted) as stored:
                return StoredSizes(stored.size_bytes, small_bytes)
        except ModuleNotFound:
            return StoredSizes(None, small_bytes)

    async def catalog(self, *, token: str, limit: int) -> CatalogPage:
        """One page, from a server of ours; see `Storage.catalog`.

        Raises:
            NotSupported: the server has no catalogue: Athens' API knows none.
        """
        query = f"catalog?pagesize={limit}&token={quote(token, safe='')}"
        response = await self._sent("GET", query, {})
        async with response:
            if response.status == 400:
                raise InvalidToken(f"token {token!r}: the external storage refuses it")
            if response.status in _NO_SUCH_ENDPOINT:
                raise NotSupported(f"{self._where}: list the stored modules: its HTTP API has no catalogue")
            await self._require_ok(response, "list the stored modules")
            return _page(await self._bounded(response, "list the stored modules"), self._where)

    async def read_record(self, name: str) -> bytes:
        """One of our own records; see `Storage.read_record`."""
        layout.record_parts(name)
        if self._own_records is not None and name in self._own_records:
            return self._own_records[name]
        return await self._read(f".athens/{quote(name)}", f"record {name}")

    async def write_record(self, name: str, data: bytes) -> None:
        """Replace one of our own records, in this process if the server keeps none; see `Storage.write_record`."""
        layout.record_parts(name)
        if self._own_records is None:
            response = await self._sent("PUT", f".athens/{quote(name)}", {}, data=data)
            async with response:
                if response.status not in _NO_SUCH_ENDPOINT:
                    await self._require_ok(response, f"write record {name}")
                    return
            _LOG.warning("%s keeps no records: what this proxy remembers is lost when it ends", self._where)
            self._own_records = {}
        self._own_records[name] = data

    async def check(self) -> None:
        """Ask for the list of a module; see `Storage.check`."""
        with suppress(ModuleNotFound):
            await self._read("github.com/gomods/athens/@v/list", "a list")

    async def close(self) -> None:
        """Release connections."""
        await self._session.close()

    async def _read(self, path: str, what: str) -> bytes:
        async with self._answer("GET", path, what) as response:
            return await self._bounded(response, f"read {what}")

    async def _bounded(self, response: aiohttp.ClientResponse, doing: str) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_SMALL_BYTES:
                raise StorageError(f"{self._where}: {doing}: the answer is larger than {MAX_SMALL_BYTES} bytes")
        return bytes(body)

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, what: str, data: aiohttp.MultipartWriter | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        response = await self._asked(method, path, what, {}, data=data)
        try:
            yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._failed(error, what) from error
        finally:
            response.release()

    async def _asked(
        self,
        method: str,
        path: str,
        what: str,
        headers: Mapping[str, str],
        *,
        data: aiohttp.MultipartWriter | None = None,
    ) -> aiohttp.ClientResponse:
        response = await self._sent(method, path, headers, data=data)
        try:
            await self._require_ok(response, what)
        except BaseException:
            response.release()
            raise
        return response

    async def _sent(
        self, method: str, path: str, headers: Mapping[str, str], *, data: aiohttp.MultipartWriter | bytes | None = None
    ) -> aiohttp.ClientResponse:
        url = URL(f"{self._base}/{path}", encoded=True)
        sent = {**self._headers, **headers}
        pauses_s = list(RETRY_AFTER_S) if data is None else []  # an upload could be read only once
        while True:
            try:
                return await self._session.request(method, url, headers=sent, data=data, allow_redirects=False)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if not (pauses_s and isinstance(error, aiohttp.ClientConnectionError)):
                    raise self._failed(error, f"{method} {path}") from error
            await asyncio.sleep(pauses_s.pop(0) * random.uniform(0.5, 1.5))  # noqa: S311 spreads the replicas

    async def _require_ok(self, response: aiohttp.ClientResponse, what: str) -> None:
        """Only 200 will do, as for Athens; 206 answers a range."""
        if response.status in (200, 206):
            return
        said = " ".join((await response.content.read(600)).decode(errors="replace").split())
        match response.status:
            case 404:
                raise ModuleNotFound(f"not found: {what} is not stored")
            case 409:
                raise ChecksumMismatch(said or f"{what}: checksum mismatch: other bytes are stored and kept")
            case 507:
                raise StorageFull(f"{self._where}: {what}: {said}")
            case 401 | 403:
                said = f"{said}; check user and password in Storage.External.URL"
            case _:
                said = f"{said}; check Storage.External.URL, and the log of that service"
        raise StorageError(f"{self._where}: {what}: status {response.status}: {said}")

    def _looking_like(self, mark: bytes, data: bytes, what: str) -> bytes:
        """The data; a page of a login or of a load balancer, sent with status 200, is refused."""
        if mark not in data or data.lstrip().startswith(b"<"):
            raise StorageError(f"{self._where}: the answer is no {what}; check Storage.External.URL")
        return data

    def _failed(self, error: Exception, what: str) -> StorageError:
        reason = "no progress" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return StorageError(f"{self._where}: {what}: {reason}; check that the service runs and Storage.External.URL")


def open_external_storage(url: str) -> ExternalStorage:
    """A store behind this address; nothing is asked yet.

    Raises:
        StorageError: the address is not http or https, or would send a password unencrypted over a network.
    """
    try:
        base = URL(url.rstrip("/"))
    except ValueError:
        base = URL()
    if base.scheme not in ("http", "https") or not base.host or base.query_string or base.fragment:
        raise StorageError("external storage: the address must be http(s)://host/path without ? and #")
    if base.user and base.scheme == "http" and base.host not in _LOOPBACK:
        raise StorageError(f"external storage {base.with_user(None)}: a password needs https")
    authorization = aiohttp.encode_basic_auth(base.user, base.password or "") if base.user else ""
    session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=IDLE_S),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    return ExternalStorage(session, base.with_user(None), authorization=authorization)


def _file(wanted: ModuleVersion, extension: str) -> str:
    """Athens' path of a file: the module path escaped, the version as it is."""
    return f"{wanted.path.escaped}/@v/{quote(wanted.version, safe='+~')}.{extension}"


def _page(body: bytes, where: str) -> CatalogPage:
    try:
        document = json.loads(body)
        entries = [
            ModuleVersion.parse(ModulePath.parse(entry["module"]), entry["version"]) for entry in document["modules"]
        ]
        return CatalogPage(tuple(entries), str(document.get("next", "")))
    except (ValueError, KeyError, TypeError, InvalidPath, InvalidVersion) as error:
        raise StorageError(f"{where}: list the stored modules: the answer is no catalogue") from error
