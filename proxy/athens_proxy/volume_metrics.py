"""How full the volume of a disk store is.

A network volume that is gone can hold up whoever asks about it for ever. So a thread asks, and a scrape tells what was
so when the last one came.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class VolumeMetrics(Collector):
    """Size and free space, as whoever writes the store sees them.

    Args:
        root: of the store.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: tuple[int, int] | None = None
        self._asking = threading.Lock()
        self._ask()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What was seen last; nothing before anything was."""
        seen = self._seen
        self._ask()
        if seen is None:
            return
        size_bytes, free_bytes = seen
        text = "Size of the volume of the store."
        yield GaugeMetricFamily("athens_store_volume_bytes", text, value=size_bytes)
        text = "What is free of it for the proxy."
        yield GaugeMetricFamily("athens_store_volume_free_bytes", text, value=free_bytes)

    def _ask(self) -> None:
        if self._asking.acquire(blocking=False):
            threading.Thread(target=self._look, name="volume", daemon=True).start()

    def _look(self) -> None:
        try:
            found = os.statvfs(self._root)
            self._seen = (found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)
        except OSError:
            self._seen = None  # readiness tells what is wrong with the store
        finally:
            self._asking.release()
