"""The ledger as one record of the store: compressed lines, one for each version; pure.

The first line says the form and the time of the store. A line that cannot be read costs only itself: the next walk over
the store finds the version again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from athens_proxy.errors import InvalidPath, InvalidVersion
from athens_proxy.modules import ModulePath, ModuleVersion
from athens_proxy.retention.ledger import Account, Row

RECORD: Final = "retention/ledger"
FORM: Final = 1
MAX_BYTES: Final = 512 << 20
_LEVEL: Final = 1


class UnreadableLedger(ValueError):
    """The record is no ledger of ours."""


def encoded(rows: Sequence[Row], *, now_s: float) -> bytes:
    """The record of these accounts; takes a second for some hundred thousand, so it runs in a thread."""
    packer = zlib.compressobj(_LEVEL)
    parts = [packer.compress(_line({"form": FORM, "now_s": round(now_s, 3)}))]
    for wanted, account in rows:
        line = [wanted.path.text, wanted.version, account.zip_bytes, account.small_bytes]
        parts.append(packer.compress(_line([*line, round(account.used_s, 3), round(account.changed_s, 3)])))
    return b"".join([*parts, packer.flush()])


def decoded(record: bytes) -> tuple[float, Iterator[Row]]:
    """The time of the store, and the accounts one by one.

    Raises:
        UnreadableLedger: it is no such record.
    """
    try:
        text = zlib.decompressobj().decompress(record, MAX_BYTES)
        head, _, rest = text.partition(b"\n")
        header = json.loads(head)
        if header["form"] != FORM:
            raise UnreadableLedger(f"its form is {header['form']!r}")
        return _seconds(header["now_s"]), _rows(rest)
    except (zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableLedger(f"the ledger of last use cannot be read: {error}") from error


def _rows(text: bytes) -> Iterator[Row]:
    paths: dict[str, ModulePath] = {}
    for line in text.splitlines():
        try:
            path, version, zip_bytes, small_bytes, used_s, changed_s = json.loads(line)
            known = paths.get(path) or paths.setdefault(path, ModulePath.parse(_text(path)))
            wanted = ModuleVersion.parse(known, _text(version))
            size = None if zip_bytes is None else _count(zip_bytes)
            yield wanted, Account(size, _count(small_bytes), _seconds(used_s), _seconds(changed_s))
        except (ValueError, TypeError, RecursionError, InvalidPath, InvalidVersion):
            continue


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("no size")
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise ValueError("no time")
    return float(value)
