"""W3C trace context: which trace a piece of work belongs to, and whether that trace is recorded; pure.

Source: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII | re.DOTALL)
_STATE: Final = re.compile(r"[\x20-\x7e\t]{1,512}", re.ASCII)
_IS_SAMPLED: Final = 1


class TraceContext(NamedTuple):
    """One span as others see it; a tuple, since one is made for every request.

    Attributes:
        trace_id: of the whole trace, 16 bytes.
        span_id: of this span, 8 bytes.
        is_sampled: whether the trace is recorded.
        state: what other systems on the way want to be passed on, "" for nothing.
    """

    trace_id: bytes
    span_id: bytes
    is_sampled: bool
    state: str = ""

    @property
    def traceparent(self) -> str:
        """The header that makes this span the parent of what the receiver does."""
        return f"00-{self.trace_id.hex()}-{self.span_id.hex()}-{self.is_sampled:02x}"


def context_of(traceparent: str, tracestate: str = "") -> TraceContext | None:
    """The caller's span; None where the header is missing or is none that the standard allows.

    Args:
        traceparent: the header, "" for none.
        tracestate: the header, several of them joined by commas; dropped where it cannot be passed on as it is.
    """
    match = _PARENT.fullmatch(traceparent.strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    state = tracestate.strip() if _STATE.fullmatch(tracestate.strip()) else ""
    is_sampled = bool(int(flags, 16) & _IS_SAMPLED)
    return TraceContext(bytes.fromhex(trace_id), bytes.fromhex(span_id), is_sampled, state)
