"""Finished answers to requests for files that never change, as the ordinary path gave them.

Every way in and out is guarded: only what a policy that is still in force allowed gets in, everything goes out when the
policy changes or the store is written through us, and nothing stays longer than `KEPT_S`, so that the ordinary path
looks at the store again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from athens_policy.decide import Denied
from athens_proxy.errors import ProxyError
from athens_proxy.policy.enforced import EnforcedPolicy, LoadedPolicy
from athens_proxy.web.responses import INLINE_BYTES, REQUEST_ID
from athens_proxy.web.targets import FileTarget, target

KEPT_S: Final = 10.0
HOT_BYTES: Final = 16 << 20
_OVERHEAD_BYTES: Final = 3072  # of one entry beside its body: target, headers, recognised requests, objects
_MAX_RECOGNISED_BYTES: Final = 512
_MAX_RECOGNISED: Final = 4  # per answer: as many kinds of clients
_MAX_TARGET_CHARS: Final = 512
_MAX_CREDENTIALS: Final = 64
_ID_MARK: Final = "athens-request-id-goes-here"
_DATE_MARK: Final = "date-goes-here"
_LOOKUP_NAMES: Final = {"info": "info", "mod": "gomod", "zip": "zip"}


@dataclass(frozen=True, slots=True)
class Moment:
    """What was in force when a request came in; an answer is kept only if that is still so."""

    policy: LoadedPolicy
    generation: int


MOMENT: Final = web.RequestKey("moment", Moment)


@dataclass(frozen=True, slots=True)
class FinishedAnswer:
    """The bytes of an answer around the two fields that differ from request to request.

    Attributes:
        before_id: up to the request id.
        before_date: between the request id and the date.
        body: what follows the headers; the date is the last of these.
        target: as the client wrote it.
        file: info, gomod or zip, as metrics name it.
        good_until_s: on the clock of `time.monotonic`.
        recognised: whole requests that are known to ask for it.
    """

    before_id: bytes
    before_date: bytes
    body: bytes
    target: str
    file: str
    good_until_s: float
    recognised: list[bytes] = field(default_factory=list)


class FinishedAnswers:
    """The bounded map from raw request targets to finished answers.

    Args:
        policy: what is enforced; the map is of one loaded policy at a time.
        prefix: where everything is mounted.
        needs_credentials: whether clients have to show who they are.
        max_bytes: of all answers together; 0 keeps none.
    """

    def __init__(
        self, policy: EnforcedPolicy, *, prefix: str, needs_credentials: bool, max_bytes: int = HOT_BYTES
    ) -> None:
        self._policy = policy
        self._prefix = prefix
        self._needs_credentials = needs_credentials
        self._max_bytes = max_bytes
        self._kept: dict[bytes, FinishedAnswer] = {}
        self._recognised: dict[bytes, FinishedAnswer] = {}
        self._kept_bytes = 0
        self._kept_under = policy.loaded
        self._credentials: set[str] = set()
        self._generation = 0

    @property
    def moment(self) -> Moment:
        """What is in force now."""
        return Moment(self._policy.loaded, self._generation)

    def forget(self) -> None:
        """Drop everything, and whatever is being answered now."""
        self._generation += 1
        self._kept.clear()
        self._recognised.clear()
        self._kept_bytes = 0

    def recognised(self, request: bytes, *, now_s: float) -> FinishedAnswer | None:
        """The answer to a request that was seen before, byte for byte, if it may be given now."""
        answer = self._recognised.get(request)
        if answer is None or answer.good_until_s < now_s or self._policy.loaded is not self._kept_under:
            return None
        return answer

    def recognise(self, request: bytes, answer: FinishedAnswer) -> None:
        """Remember that exactly these bytes ask for an answer, so that nobody has to read them again."""
        if len(request) <= _MAX_RECOGNISED_BYTES and len(answer.recognised) < _MAX_RECOGNISED:
            answer.recognised.append(request)
            self._recognised[request] = answer

    def find(self, raw_target: bytes) -> FinishedAnswer | None:
        """The answer to a target if it may be given now."""
        answer = self._kept.get(raw_target)
        if answer is None:
            return None
        if self._policy.loaded is not self._kept_under:
            self.forget()
            return None
        if answer.good_until_s < time.monotonic():
            self._drop(raw_target)
            return None
        return answer

    def admits(self, authorization: str) -> bool:
        """Whether the ordinary path let exactly this header in."""
        return not self._needs_credentials or authorization in self._credentials

    def offer(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Keep what the ordinary path just answered, if it is the same for everybody until the policy changes."""
        body = response.body if isinstance(response, web.Response) else None
        if not isinstance(body, bytes) or len(body) > INLINE_BYTES or not _is_plain(request, response):
            return
        moment = request.get(MOMENT)
        file = self._file(request.raw_path)
        if file is None or moment != self.moment:
            return
        answer = _finished(request, response, body, file)
        if answer is None:
            return
        if self._kept_under is not moment.policy:
            self.forget()
            self._kept_under = moment.policy
        if self._needs_credentials:
            self._remember_credentials(request.headers.get("Authorization", ""))
        self._keep(answer)

    def _file(self, raw_path: str) -> str | None:
        """Which file a target names if the policy allows it for good and without remark."""
        if len(raw_path) > _MAX_TARGET_CHARS or not raw_path.isascii() or "?" in raw_path or raw_path[:1] != "/":
            return None
        try:
            wanted = target(raw_path, prefix=self._prefix)
        except ProxyError:
            return None
        if not isinstance(wanted, FileTarget) or not wanted.wanted.is_canonical or self._policy.uses_min_age:
            return None
        decision = self._policy.decide(wanted.wanted)
        if decision.audited or isinstance(decision.effect, Denied):
            return None
        return _LOOKUP_NAMES[wanted.extension]

    def _remember_credentials(self, authorization: str) -> None:
        if len(self._credentials) >= _MAX_CREDENTIALS:
            self._credentials.clear()
        self._credentials.add(authorization)

    def _keep(self, answer: FinishedAnswer) -> None:
        raw_target = answer.target.encode("ascii")
        self._drop(raw_target)
        if _cost_bytes(answer) > self._max_bytes:
            return
        self._kept[raw_target] = answer
        self._kept_bytes += _cost_bytes(answer)
        while self._kept_bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, raw_target: bytes) -> None:
        dropped = self._kept.pop(raw_target, None)
        if dropped is not None:
            self._kept_bytes -= _cost_bytes(dropped)
            for request in dropped.recognised:
                del self._recognised[request]


def _cost_bytes(answer: FinishedAnswer) -> int:
    return len(answer.body) + _OVERHEAD_BYTES


def _is_plain(request: web.BaseRequest, response: web.StreamResponse) -> bool:
    return (
        request.method == "GET"
        and request.version == (1, 1)
        and response.status == 200
        and bool(response.keep_alive)
        and "immutable" in response.headers.get("Cache-Control", "")
        and not response.headers.keys() & {"Connection", "Transfer-Encoding", "Content-Encoding", "Content-Range"}
    )


def _finished(request: web.BaseRequest, response: web.StreamResponse, body: bytes, file: str) -> FinishedAnswer | None:
    headers = response.headers.copy()
    if not {REQUEST_ID, "Date"} <= set(headers):
        return None
    headers[REQUEST_ID], headers["Date"] = _ID_MARK, _DATE_MARK
    lines = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{name}: {value}" for name, value in headers.items())]
    head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
    before_id, id_found, rest = head.partition(_ID_MARK.encode())
    before_date, date_found, end = rest.partition(_DATE_MARK.encode())
    if not id_found or not date_found or end != b"\r\n\r\n":
        return None
    good_until_s = time.monotonic() + KEPT_S
    return FinishedAnswer(before_id, before_date, body, request.raw_path, file, good_until_s)
