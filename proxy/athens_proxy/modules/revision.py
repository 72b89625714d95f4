"""`RevInfo`: the JSON of `.info` and `@latest`.

Source: https://go.dev/ref/mod#goproxy-protocol ($module/@v/$version.info); cmd/go/internal/modfetch (RevInfo) for the
order of fields, Go's encoding/json for case-insensitive keys and escaped `<`, `>` and `&`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from athens_proxy.errors import BadUpstreamAnswer
from athens_proxy.modules import grammar

_RFC3339: Final = re.compile(
    r"(?P<seconds>\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d)(?:\.(?P<fraction>\d{1,9})\d*)?(?P<zone>Z|[+-]\d\d:\d\d)\Z",
    re.ASCII,
)
_ORIGIN_FIELDS: Final = ("VCS", "URL", "Subdir", "Hash", "TagPrefix", "TagSum", "Ref", "RepoSum")
_QUERY_ONLY_FIELDS: Final = frozenset({"TagPrefix", "TagSum", "RepoSum"})
_HTML_ESCAPES: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


@dataclass(frozen=True, slots=True)
class RevInfo:
    """What upstream says of one revision.

    Attributes:
        version: the canonical version.
        time: the commit time with the offset that upstream gave, None if upstream does not say.
        origin: where it was fetched from (VCS, URL, Hash, Ref …), never with a user name or password in its URL.
        nanosecond: the 0 to 999 nanoseconds of `time` that a `datetime` cannot hold.
    """

    version: str
    time: datetime | None = None
    origin: Mapping[str, str] | None = None
    nanosecond: int = 0

    @classmethod
    def parse(cls, data: bytes) -> RevInfo:
        """The answer of an upstream, unknown fields dropped.

        Raises:
            BadUpstreamAnswer: no JSON object, no version, or a time that Go's decoder refuses.
        """
        fields = _object(data)
        version = fields.get("version")
        if not isinstance(version, str) or not version:
            raise BadUpstreamAnswer("the revision info names no version")
        moment, nanosecond = _moment(fields.get("time"))
        return cls(version, moment, _origin(fields.get("origin")), nanosecond)

    def encode(self) -> bytes:
        """The JSON as the go command writes it: its order of fields, RFC 3339; what is absent is left out."""
        fields: dict[str, Any] = {"Version": self.version}
        if self.time is not None:
            fields["Time"] = self._time_text(self.time)
        if self.origin:
            fields["Origin"] = {name: self.origin[name] for name in _ORIGIN_FIELDS if name in self.origin}
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        return text.translate(_HTML_ESCAPES).encode("utf-8", "backslashreplace")

    def of_version(self) -> RevInfo:
        """The same without what only describes a query's answer, as the go command keeps it for a version."""
        if self.origin is None:
            return self
        kept = {name: value for name, value in self.origin.items() if name not in _QUERY_ONLY_FIELDS}
        return RevInfo(self.version, self.time, kept, self.nanosecond)

    def _time_text(self, moment: datetime) -> str:
        fraction = f"{moment.microsecond:06d}{self.nanosecond:03d}".rstrip("0")
        seconds = f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}"
        zone = f"{moment:%z}"
        zone = f"{zone[:3]}:{zone[3:5]}" if moment.utcoffset() else "Z"
        return f"{seconds}.{fraction}{zone}" if fraction else f"{seconds}{zone}"


def _object(data: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BadUpstreamAnswer(f"the revision info is no JSON: {grammar.quoted(str(error))}") from error
    if not isinstance(fields, dict):
        raise BadUpstreamAnswer("the revision info is no JSON object")
    return {name.lower(): value for name, value in fields.items()}


def _moment(text: object) -> tuple[datetime | None, int]:
    if text is None:
        return None, 0
    match = _RFC3339.match(text) if isinstance(text, str) else None
    if match is None:
        raise BadUpstreamAnswer(f"the revision info has a time that is not RFC 3339: {grammar.quoted(str(text))}")
    nanoseconds = (match["fraction"] or "").ljust(9, "0")
    zone = "+00:00" if match["zone"] == "Z" else match["zone"]
    try:
        moment = datetime.fromisoformat(f"{match['seconds']}.{nanoseconds[:6]}{zone}")
        is_zero = moment.astimezone(UTC) == datetime.min.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise BadUpstreamAnswer(f"the revision info has an impossible time: {grammar.quoted(match[0])}") from error
    return (None, 0) if is_zero else (moment, int(nanoseconds[6:]))  # Go's zero time: nobody knows


def _origin(value: object) -> Mapping[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadUpstreamAnswer("the revision info has an Origin that is no object")
    by_lower_name = {str(name).lower(): field for name, field in value.items()}
    origin = {}
    for name in _ORIGIN_FIELDS:
        field = by_lower_name.get(name.lower())
        if isinstance(field, str) and field:
            origin[name] = _without_userinfo(field) if name == "URL" else field
    return origin or None


def _without_userinfo(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
