"""Whether a stored zip is still what was saved: judged by the `h1:` sum kept beside it, else by the zip's own checks.

What we saved has a sum. What Athens saved has none; there the CRC of each entry tells flipped bits, and nothing is said
about the names inside. A zip that fails can be of no use to anybody: the go command refuses it by the same sums.

Source: https://go.dev/ref/mod#go-sum-files; APPNOTE.TXT 4.4.7 (crc-32)
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path

from athens_proxy.errors import InvalidModuleZip
from athens_proxy.modules import ModuleVersion
from athens_proxy.storage.sums import Sums


def zip_damage(path: Path, wanted: ModuleVersion, *, recorded_h1: str, sums: Sums) -> str:
    """Why the file is not the zip that was saved, "" when it is; reads all of it, so it runs in a thread.

    Args:
        path: the zip.
        wanted: what it should hold.
        recorded_h1: its sum when it was saved, "" when nobody knows.
        sums: how sums are computed.

    Raises:
        OSError: the file cannot be read.
    """
    if not recorded_h1:
        return _unreadable(path)
    try:
        found = sums.of_zip(path, wanted)
    except InvalidModuleZip:
        return _unreadable(path) or f"it is no module zip any more, and had {recorded_h1}"
    return "" if found == recorded_h1 else f"it has {found} where {recorded_h1} was saved"


def digest_line(path: Path) -> str:
    """The third line of a disk store's record of a version: the SHA-256 of the zip as a file.

    The same file has the same `h1:` sum, and this one is had thirty times as quickly; the sum counts where a line is
    missing or the file has been packed anew.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def is_the_recorded_file(path: Path, record: bytes) -> bool:
    """Whether the file is, byte for byte, the one that the record was written for; raises as `digest_line`."""
    lines = record.decode(errors="replace").splitlines()
    return len(lines) > 2 and lines[2].startswith("sha256:") and lines[2] == digest_line(path)


def recorded_sums(record: bytes) -> tuple[str, str]:
    """The `h1:` sums of zip and go.mod in a version's record, "" for what it does not hold."""
    lines = [line if line.startswith("h1:") else "" for line in record.decode(errors="replace").splitlines()]
    zip_h1, mod_h1, *_ = [*lines, "", ""]
    return zip_h1, mod_h1


def _unreadable(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError) as error:
        return f"it cannot be unpacked: {error}"
    except (NotImplementedError, RuntimeError):  # packed in a way that this program cannot judge
        return ""
    return f"it cannot be unpacked: the CRC of {broken!r} differs" if broken else ""
