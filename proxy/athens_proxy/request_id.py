"""The id of the request that is being answered, for log lines that are written far from it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

request_id: Final[ContextVar[str]] = ContextVar("request_id", default="")
"""As the answer's Athens-Request-ID has it; empty where no request is being answered."""
