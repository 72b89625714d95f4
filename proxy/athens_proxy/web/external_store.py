"""The server side of Athens' external storage HTTP API: this proxy's store as the store of other proxies.

Served below `/-/store` when `Storage.Serve` is on. Unlike the endpoints for `go`, nothing here is fetched and no policy
is asked: the proxy in front decides what its users get. Uploads of any size are streamed to a file, checked against the
rules for module zips and then saved. Beyond Athens' API: `catalog` and the records that our stores keep.

Source: github.com/gomods/athens pkg/storage/external
"""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import BodyPartReader, web

from athens_proxy.checksums.dirhash import mod_hash1
from athens_proxy.errors import ChecksumMismatch, InvalidModuleZip, ModuleNotFound, StorageError, StorageFull
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.storage.storage import CHUNK_BYTES, FetchedModule, Storage
from athens_proxy.upstream.transport import scratch_folder
from athens_proxy.upstream.zipcheck import MAX_ZIP_BYTES, checked_zip_h1
from athens_proxy.web.responses import JSON, TEXT, Responses

_MAX_SMALL_BYTES: Final = 16 * 1024 * 1024
_RECORDS: Final = ".athens/"
_FILES: Final = {"mod.info": "info", "mod.mod": "mod", "mod.zip": "zip"}
Catalog = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class BadUpload(ValueError):
    """The body is not what Athens sends; the text says what is missing."""


class ExternalStore:
    """Answers everything below `/-/store/`.

    Args:
        storage: what is served.
        scratch: where uploads wait to be saved; best on the store's own file system.
        responses: builds the answers.
        catalog: answers `catalog`, as for people.
    """

    def __init__(self, storage: Storage, scratch: Path, responses: Responses, *, catalog: Catalog) -> None:
        self._storage = storage
        self._scratch = scratch
        self._responses = responses
        self._catalog = catalog

    async def answer(self, request: web.BaseRequest, rest: str) -> web.StreamResponse:
        """The answer to a request.

        Args:
            request: with its method and body.
            rest: the decoded path below `/-/store/`.

        Raises:
            ModuleNotFound: nothing of that name is stored or served.
            StorageError: the store fails.
        """
        try:
            if request.method in ("GET", "HEAD"):
                return await self._read(request, rest)
            return await self._changed(request, rest)
        except (BadUpload, InvalidModuleZip) as error:
            return self._responses.line(400, f"bad request: {error}")
        except ChecksumMismatch as error:
            return self._responses.line(409, str(error))
        except StorageFull as error:
            return self._responses.line(507, str(error))

    async def _read(self, request: web.BaseRequest, rest: str) -> web.StreamResponse:
        if rest == "catalog":
            return await self._catalog(request)
        if rest.startswith(_RECORDS):
            record = await self._storage.read_record(rest.removeprefix(_RECORDS))
            return web.Response(body=record, headers={"Content-Type": "application/octet-stream"})
        module, name = _split(rest)
        if name == "list":
            versions = await self._storage.versions(module)
            return self._responses.changing("".join(f"{version}\n" for version in versions).encode(), TEXT)
        wanted, extension = _version(module, name)
        match extension:
            case "info":
                return self._responses.immutable(request, await self._storage.info(wanted), JSON)
            case "mod":
                return self._responses.immutable(request, await self._storage.mod(wanted), TEXT)
            case "zip":
                async with await self._storage.open_zip(wanted) as stored:
                    return await self._responses.zip(request, stored, str(wanted))
            case _:
                raise _unknown()

    async def _changed(self, request: web.BaseRequest, rest: str) -> web.StreamResponse:
        if request.method == "PUT" and rest.startswith(_RECORDS):
            body = await _bounded(request.content.iter_chunked(CHUNK_BYTES), "the record")
            await self._storage.write_record(rest.removeprefix(_RECORDS), body)
            return self._responses.line(200, "written")
        wanted, extension = _version(*_split(rest))
        if (request.method, extension) == ("POST", "save"):
            folder = await scratch_folder(self._scratch, "upload-")
            try:
                await self._storage.save(await self._uploaded(request, wanted, folder / "mod.zip"))
            finally:
                await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
            return self._responses.line(200, "saved")
        if (request.method, extension) == ("DELETE", "delete"):
            await self._storage.delete(wanted)
            return self._responses.line(200, "deleted")
        raise _unknown()

    async def _uploaded(self, request: web.BaseRequest, wanted: ModuleVersion, zip_path: Path) -> FetchedModule:
        parts, zip_size_bytes = await _parts(request, zip_path)
        missing = [name for name, key in _FILES.items() if key not in parts]
        if missing:
            raise BadUpload(f"the form has no file {', '.join(missing)}")
        mod = parts["mod"]
        return FetchedModule(
            wanted=wanted,
            info=parts["info"],
            mod=mod,
            zip_path=zip_path,
            zip_size_bytes=zip_size_bytes,
            zip_h1=await asyncio.to_thread(checked_zip_h1, zip_path, wanted),
            mod_h1=mod_hash1(mod),
        )


async def _parts(request: web.BaseRequest, zip_path: Path) -> tuple[dict[str, bytes], int]:
    """The small files of a form by kind, and the size of the zip, which goes to its path and is empty here."""
    parts: dict[str, bytes] = {}
    zip_size_bytes = 0
    try:
        form = await request.multipart()
        while (part := await form.next()) is not None:
            kind = _FILES.get((isinstance(part, BodyPartReader) and part.name) or "")
            if not isinstance(part, BodyPartReader) or kind is None:
                raise BadUpload("the form has a part that is none of mod.info, mod.mod, mod.zip")
            if kind == "zip":
                zip_size_bytes = await _to_file(part, zip_path)
                parts[kind] = b""
            else:
                parts[kind] = await _bounded(_chunks(part), part.name or kind)
    except BadUpload:
        raise
    except (KeyError, ValueError, AssertionError, web.HTTPException) as error:  # as aiohttp says that it is no form
        raise BadUpload(f"the body is no multipart form: {error}") from error
    return parts, zip_size_bytes


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(CHUNK_BYTES):
        yield chunk


async def _bounded(chunks: AsyncIterator[bytes], what: str) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > _MAX_SMALL_BYTES:
            raise BadUpload(f"{what} is larger than {_MAX_SMALL_BYTES} bytes")
    return bytes(body)


async def _to_file(part: BodyPartReader, path: Path) -> int:
    size_bytes = 0
    try:
        with path.open("wb") as file:
            async for chunk in _chunks(part):
                size_bytes += len(chunk)
                if size_bytes > MAX_ZIP_BYTES:
                    raise BadUpload(f"mod.zip is larger than {MAX_ZIP_BYTES} bytes")
                await asyncio.to_thread(file.write, chunk)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"receive {path.name} in {path.parent.parent}: no space is left") from error
        if isinstance(error, ConnectionError):
            raise
        raise StorageError(f"receive {path.name} in {path.parent.parent}: {error.strerror}") from error
    return size_bytes


def _split(rest: str) -> tuple[ModulePath, str]:
    escaped, at_v, name = rest.rpartition("/@v/")
    if not at_v:
        raise _unknown()
    return ModulePath.from_escaped(escaped), name


def _version(module: ModulePath, name: str) -> tuple[ModuleVersion, str]:
    """Athens escapes the module path and not the version."""
    version, dot, extension = name.rpartition(".")
    if not dot or not version:
        raise _unknown()
    return ModuleVersion.parse(module, version), extension


def _unknown() -> ModuleNotFound:
    return ModuleNotFound("not found: the external storage API has no such file")
