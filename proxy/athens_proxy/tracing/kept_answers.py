"""Spans of requests that memory answered, for a fraction of what others cost: there may be thousands a second.

Such a request has no caller's span, for whoever sends one is answered by the ordinary path.
"""

from __future__ import annotations

import random
import time

from athens_proxy.tracing.exporter import Exporter
from athens_proxy.tracing.spans import new_kept_answer
from athens_proxy.tracing.tracer import Sampler

_random_bits = random.getrandbits  # ids are no secrets


class KeptAnswers:
    """Records such requests; call it once for each.

    Args:
        sampler: see `Sampler`.
        exporter: where the spans go.
    """

    def __init__(self, sampler: Sampler, exporter: Exporter) -> None:
        self._sampler = sampler
        self._samples_all = sampler.samples_all
        self._exporter = exporter

    def __call__(self, path: str, client: str, is_file: bool, request_id: bytes, duration_s: float) -> str:
        """The id of the recorded trace in hexadecimal digits, "" if it is not recorded.

        Args:
            path: of the request.
            client: address of whoever asked, "" if it has none.
            is_file: whether a stored file was asked for.
            request_id: in ASCII.
            duration_s: until the answer was on its way, which is now.
        """
        exporter = self._exporter
        if exporter.is_full():
            exporter.dropped()
            return ""
        ids = _random_bits(192).to_bytes(24, "big")
        if not self._samples_all and not self._sampler.samples(ids[:16], None):
            return ""
        end_ns = time.time_ns()
        start_ns = end_ns - int(duration_s * 1e9)
        exporter.add_kept(new_kept_answer((path, client, is_file, request_id, ids, start_ns, end_ns)))
        return ids[:16].hex()
