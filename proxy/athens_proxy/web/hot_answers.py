"""Finished answers as the ordinary path gave them: files that never change, and for moments lists and the catalogue.

Every way in and out is guarded: only what a policy that is still in force allowed gets in, everything goes out when the
policy changes or the store is written through us, and no file stays longer than `KEPT_S`, so that the ordinary path
looks at the store again.

Lists and pages of the catalogue are put together from many stored versions. They go out with the first version that
this process stores; what other processes store is seen after `CHANGING_S`, or twice that while the ordinary path is
busy putting together the next one: until then one client waits for it, and the others get the last one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from aiohttp import web

from athens_policy.decide import Denied
from athens_proxy.errors import ProxyError
from athens_proxy.policy.enforced import EnforcedPolicy, LoadedPolicy
from athens_proxy.web.direct_sending import Body
from athens_proxy.web.hot_requests import is_plain_header
from athens_proxy.web.responses import INLINE_BYTES, REQUEST_ID
from athens_proxy.web.targets import FileTarget, FixedTarget, ListTarget, target

KEPT_S: Final = 10.0
CHANGING_S: Final = 1.0
HOT_BYTES: Final = 16 << 20
_OVERHEAD_BYTES: Final = 3072  # of one entry beside its body: target, headers, recognised requests, objects
_MAX_RECOGNISED_BYTES: Final = 512
_MAX_RECOGNISED: Final = 4  # per answer: as many kinds of clients
_MAX_TARGET_CHARS: Final = 512
_MAX_CREDENTIALS: Final = 1024
_ID_MARK: Final = "athens-request-id-goes-here"
_DATE_MARK: Final = "date-goes-here"
_CATALOG: Final = FixedTarget("/catalog")
_LOOKUP_NAMES: Final = {"info": "info", "mod": "gomod", "zip": "zip"}


@dataclass(frozen=True, slots=True)
class Moment:
    """What was in force when a request came in; an answer is kept only if that is still so."""

    policy: LoadedPolicy
    generation: int
    stored: int


MOMENT: Final = web.RequestKey("moment", Moment)


@dataclass(frozen=True, slots=True)
class FinishedAnswer:
    """The bytes of an answer around the two fields that differ from request to request.

    Attributes:
        before_id: up to the request id.
        before_date: between the request id and the date.
        body: what follows the headers; the date is the last of these.
        target: as the client wrote it.
        path: of the target, for access lines.
        file: info, gomod or zip, as metrics name it; "" for what is put together and changes.
        good_until_s: on the clock of `time.monotonic`.
        is_last_term: nobody else is sent for a newer one before this one goes.
        recognised: whole requests that are known to ask for it.
    """

    before_id: bytes
    before_date: bytes
    body: Body
    target: str
    path: str
    file: str
    good_until_s: float
    is_last_term: bool = False
    recognised: list[bytes] = field(default_factory=list)


class FinishedAnswers:
    """The bounded map from raw request targets to finished answers.

    Args:
        policy: what is enforced; the map is of one loaded policy at a time.
        prefix: where everything is mounted.
        needs_credentials: whether clients have to show who they are.
        max_bytes: of all answers together; 0 keeps none.
        clock: seconds that only grow, as those of `time.monotonic`.
    """

    def __init__(
        self,
        policy: EnforcedPolicy,
        *,
        prefix: str,
        needs_credentials: bool,
        max_bytes: int = HOT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._prefix = prefix
        self._needs_credentials = needs_credentials
        self._max_bytes = max_bytes
        self._clock = clock
        self._kept: dict[bytes, FinishedAnswer] = {}
        self._recognised: dict[bytes, FinishedAnswer] = {}
        self._kept_bytes = 0
        self._kept_under = policy.loaded
        self._credentials: set[str] = set()
        self._generation = 0
        self._stored = 0

    @property
    def moment(self) -> Moment:
        """What is in force now."""
        return Moment(self._policy.loaded, self._generation, self._stored)

    def forget(self) -> None:
        """Drop everything, and whatever is being answered now."""
        self._generation += 1
        for answer in self._kept.values():
            answer.body.close()
        self._kept.clear()
        self._recognised.clear()
        self._credentials.clear()
        self._kept_bytes = 0

    def forget_changing(self) -> None:
        """Drop lists and pages of the catalogue, also those that are being answered now: a version was stored."""
        self._stored += 1
        for raw_target in [raw_target for raw_target, answer in self._kept.items() if not answer.file]:
            self._drop(raw_target)

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
        now_s = self._clock()
        if answer.good_until_s < now_s:
            if answer.file or answer.is_last_term or answer.good_until_s + CHANGING_S < now_s:
                self._drop(raw_target)
            else:
                self._renew(raw_target, answer)
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
        file = self._file(request)
        if file is None or moment is None or not self._is_now(moment, file):
            return
        if file and "immutable" not in response.headers.get("Cache-Control", ""):
            return
        answer = _finished(request, response, body, file, now_s=self._clock())
        if answer is None:
            return
        if self._kept_under is not moment.policy:
            self.forget()
            self._kept_under = moment.policy
        if self._needs_credentials:
            self._remember_credentials(request.headers.get("Authorization", ""))
        self._keep(answer)

    def _is_now(self, moment: Moment, file: str) -> bool:
        """Whether what was in force when a request came in still is; that versions were stored alters no file."""
        now = self.moment
        return moment == (replace(now, stored=moment.stored) if file else now)

    def _file(self, request: web.BaseRequest) -> str | None:
        """Which file a target names, "" for what changes; None for what the policy does not allow without remark."""
        raw_path = request.raw_path
        if len(raw_path) > _MAX_TARGET_CHARS or not raw_path.isascii() or raw_path[:1] != "/":
            return None
        try:
            wanted = target(raw_path, prefix=self._prefix)
        except ProxyError:
            return None
        if self._policy.uses_min_age:
            return None
        if isinstance(wanted, FileTarget):
            return self._kind_of_file(wanted) if "?" not in raw_path else None
        is_changing = isinstance(wanted, ListTarget) or wanted == _CATALOG
        return "" if is_changing and is_plain_header(request.headers) else None

    def _kind_of_file(self, file: FileTarget) -> str | None:
        decision = self._policy.decide(file.wanted) if file.wanted.is_canonical else None
        if decision is None or decision.audited or isinstance(decision.effect, Denied):
            return None
        return _LOOKUP_NAMES[file.extension]

    def _remember_credentials(self, authorization: str) -> None:
        if len(self._credentials) >= _MAX_CREDENTIALS:
            self._credentials.clear()
        self._credentials.add(authorization)

    def _keep(self, answer: FinishedAnswer) -> None:
        raw_target = answer.target.encode("ascii")
        self._drop(raw_target)
        if _cost_bytes(answer) > self._max_bytes:
            answer.body.close()
            return
        self._kept[raw_target] = answer
        self._kept_bytes += _cost_bytes(answer)
        while self._kept_bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def _renew(self, raw_target: bytes, answer: FinishedAnswer) -> None:
        """Keep an answer for its last term, in its place."""
        self._kept[raw_target] = last = replace(
            answer, good_until_s=answer.good_until_s + CHANGING_S, is_last_term=True
        )
        self._recognised.update(dict.fromkeys(last.recognised, last))

    def _drop(self, raw_target: bytes) -> None:
        dropped = self._kept.pop(raw_target, None)
        if dropped is not None:
            dropped.body.close()
            self._kept_bytes -= _cost_bytes(dropped)
            for request in dropped.recognised:
                del self._recognised[request]


def _cost_bytes(answer: FinishedAnswer) -> int:
    return answer.body.size_bytes + _OVERHEAD_BYTES


def _is_plain(request: web.BaseRequest, response: web.StreamResponse) -> bool:
    return (
        request.method == "GET"
        and request.version == (1, 1)
        and response.status == 200
        and bool(response.keep_alive)
        and not response.headers.keys() & {"Connection", "Transfer-Encoding", "Content-Encoding", "Content-Range"}
    )


def _finished(
    request: web.BaseRequest, response: web.StreamResponse, body: bytes, file: str, *, now_s: float
) -> FinishedAnswer | None:
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
    good_until_s = now_s + (KEPT_S if file else CHANGING_S)
    path = request.raw_path.partition("?")[0]
    return FinishedAnswer(before_id, before_date, Body(body), request.raw_path, path, file, good_until_s)
