"""Which raw requests the hot path understands; pure, and strict: whatever is unusual is for the ordinary path.

A request is looked at only where one can begin, so nothing here resumes what came before. The grammar is a small
part of RFC 9112: one space, no folding, no bare line feeds, no body, no header twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_REQUEST_BYTES: Final = 4096
_MAX_REMEMBERED: Final = 256
_FIELDS: Final = rb"(?:[A-Za-z0-9-]{1,64}: [\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?\r\n){1,32}\r\n"
_REST: Final = re.compile(rb" HTTP/1\.1\r\n" + _FIELDS)
_WHOLE: Final = re.compile(rb"(?:GET|HEAD) /[\x21-\x7e]* HTTP/1\.1\r\n" + _FIELDS)
# Headers that change neither what is answered nor how long the connection lives.
_INERT: Final = frozenset({b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language"})
_REQUEST_ID: Final = b"athens-request-id"
_AUTHORIZATION: Final = b"authorization"
_FORWARDED_FOR: Final = b"x-forwarded-for"
_KNOWN: Final = _INERT | {_REQUEST_ID, _AUTHORIZATION}
# What load balancers and ingress controllers add; inert as well, since what redirects to https is never kept.
_PASSED_ON: Final = re.compile(
    rb"x-forwarded-(?:for|host|port|prefix|proto|scheme|server)|x-(?:correlation-id|original-forwarded-for|real-ip"
    rb"|request-id|scheme)|x-envoy-[a-z0-9-]+|forwarded|via"
)
# After one of these the parser is not where a request begins, or the connection ends.
_BODY_OR_END: Final = re.compile(
    rb"\r\n(?:content-length|transfer-encoding|upgrade|connection|expect|trailer|te|http2-settings|sec-[a-z-]+):",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class PlainGet:
    """What a request says beside its target.

    Attributes:
        request_id: as the client sent it, "" for none.
        authorization: the header as the client sent it, "" for none.
        forwarded_for: for whom the client says it asks, as it sent it, "" for nobody.
        is_passed_on: whether something between adds headers, which differ from request to request.
    """

    request_id: str
    authorization: str
    forwarded_for: str = ""
    is_passed_on: bool = False


class PlainGets:
    """Reads what follows a target; remembers what it read from clients, since they repeat themselves."""

    def __init__(self) -> None:
        self._read: dict[bytes, PlainGet | None] = {}

    def get(self, rest: bytes) -> PlainGet | None:
        """The meaning of everything behind `GET target`, None if it is anything but one complete plain request."""
        try:
            return self._read[rest]
        except KeyError:
            meaning = plain_get(rest)
        if meaning is not None and meaning.is_passed_on:
            return meaning
        if len(self._read) >= _MAX_REMEMBERED:
            self._read.clear()
        self._read[rest] = meaning
        return meaning


def plain_get(rest: bytes) -> PlainGet | None:
    """The meaning of everything behind `GET target`, None if it is anything but one complete plain request."""
    if len(rest) > MAX_REQUEST_BYTES or _REST.fullmatch(rest) is None:
        return None
    fields: dict[bytes, bytes] = {}
    for line in rest.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b": ")
        if fields.setdefault(name.lower(), value) is not value:
            return None
    added = fields.keys() - _KNOWN
    if b"host" not in fields or not all(map(_PASSED_ON.fullmatch, added)):
        return None
    request_id, authorization, forwarded_for = (
        fields.get(name, b"").decode("ascii") for name in (_REQUEST_ID, _AUTHORIZATION, _FORWARDED_FOR)
    )
    return PlainGet(request_id, authorization, forwarded_for, is_passed_on=bool(added))


def is_plain_header(names: Iterable[str]) -> bool:
    """Whether no header of these names can change an answer."""
    raw_names = (name.lower().encode("utf-8", "replace") for name in names)
    return all(name in _KNOWN or _PASSED_ON.fullmatch(name) for name in raw_names)


def is_whole(data: bytes) -> bool:
    """Whether this is exactly one request without a body, after which the next one can begin."""
    return len(data) <= MAX_REQUEST_BYTES and _WHOLE.fullmatch(data) is not None and not _BODY_OR_END.search(data)
