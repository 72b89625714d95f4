"""The metrics of all processes of one proxy: whoever is scraped asks the others and adds up.

Each process answers on a socket in the folder that they share. A process that is gone counts for nothing; one that is
there and does not answer makes the scrape fail, since a sum without it would look like a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from athens_proxy.errors import Overloaded

ANSWER_S: Final = 5.0
_SUMMED_GAUGES: Final = frozenset({"athens_index_waiting", "athens_queue_depth", "athens_event_followers"})
Render = Callable[[], tuple[bytes, str]]


class SharedMetrics:
    """The metrics of this process and its siblings.

    Args:
        render: this process's own, as text.
        others: the sockets of the siblings, whether they exist or not.
    """

    def __init__(self, render: Render, others: Iterable[Path]) -> None:
        self._render = render
        self._others = tuple(others)

    async def render(self) -> tuple[bytes, str]:
        """The text for Prometheus and its content type.

        Raises:
            Overloaded: a sibling does not answer.
        """
        own, content_type = self._render()
        if not self._others:
            return own, content_type
        asked = await asyncio.gather(*(_asked(path) for path in self._others))
        return merged([own.decode(), *(text for text in asked if text)]), content_type

    @asynccontextmanager
    async def answering(self, path: Path) -> AsyncIterator[None]:
        """Siblings get this process's own metrics at a socket while the context is open."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            del reader
            writer.write(self._render()[0])
            await writer.drain()
            writer.close()

        server = await asyncio.start_unix_server(answer, path)  # in place of that of a process that was killed
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()


def merged(texts: Iterable[str]) -> bytes:
    """One text whose counters and histograms are sums; of a gauge the greatest, or the sum where it counts things."""
    registry = CollectorRegistry()
    registry.register(_Merged(texts))
    return generate_latest(registry)


class _Merged(Collector):
    def __init__(self, texts: Iterable[str]) -> None:
        self._families: dict[str, Metric] = {}
        self._values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for text in texts:
            for family in text_string_to_metric_families(text):
                self._add(family)

    def collect(self) -> Iterator[Metric]:
        """Every family with its samples."""
        for name, family in self._families.items():
            metric = Metric(name, family.documentation, family.type)
            for (sample, labels), value in self._values[name].items():
                metric.add_sample(sample, dict(labels), value)
            yield metric

    def _add(self, family: Metric) -> None:
        self._families.setdefault(family.name, family)
        values = self._values.setdefault(family.name, {})
        is_greatest = family.type == "gauge" and family.name not in _SUMMED_GAUGES
        for sample in family.samples:
            key = (sample.name, tuple(sample.labels.items()))
            before = values.get(key, 0.0)
            values[key] = max(before, sample.value) if is_greatest else before + sample.value


async def _asked(path: Path) -> str:
    """What a sibling answers, "" if it is not there."""
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return (await reader.read()).decode()
            finally:
                writer.close()
    except TimeoutError:
        raise Overloaded(f"another process of this proxy did not tell its metrics within {ANSWER_S:g} s") from None
    except OSError:
        return ""
