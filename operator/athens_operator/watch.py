"""The watches: kopf as informer and nothing else. The only module that imports it.

Only `on.event` handlers, each of which hands the object over; so kopf writes nothing, adds no finalizer and no
annotation. kopf runs in a thread with an event loop of its own, because at its end it cancels every task that was
started after it, and because it ends on faults that the operator has to survive: a kind that is not served, a stream
that breaks in an unusual way, an API server that is away for minutes. It is then started again, later each time.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import random
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

import kopf
from kubernetes.aio.client.configuration import Configuration

from athens_operator.connection import bearer_token
from athens_operator.manifests import PROXY_LABEL, Manifest
from athens_operator.resources import Resource

logger = logging.getLogger(__name__)

BACKOFF_LAST_S = 30.0
END_WITHIN_S = 10.0
"""A thread that takes longer is left behind; what it still delivers is only compared. Never longer than a stream may
say nothing."""
LOOK_EVERY_S = 2.0
ROOT_TASK = "multidimensional multitasker"  # as the pinned kopf calls it
STEADY_S = 60.0  # watches that lived this long count as a fresh start

Deliver = Callable[[str, str | None, Manifest], None]
Login = Callable[[], Awaitable[Configuration]]


class EndlessBackoff:
    """Delays between attempts, in seconds: growing to a cap, jittered, without end. Can be iterated many times."""

    def __iter__(self) -> Iterator[float]:
        delay_s = 0.5
        while True:
            yield delay_s * random.uniform(0.5, 1.0)  # noqa: S311 (jitter, not a secret)
            delay_s = min(BACKOFF_LAST_S, delay_s * 2)


class _NothingToCompare(kopf.DiffBaseStorage):
    """Says that no object has a state worth comparing, which kopf would find out for every event by copying it."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is written."""


class _NoProgress(kopf.ProgressStorage):
    """Remembers nothing about handlers; ours have no second try."""

    def fetch(self, *, key: str, body: kopf.Body) -> kopf.ProgressRecord | None:
        return None

    def store(self, *, key: str, record: kopf.ProgressRecord, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing is written."""

    def purge(self, *, key: str, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing was written."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Nothing is written."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


class Watch:
    """Streams of all watched kinds.

    Args:
        resources: what to watch.
        namespaces: where; empty for the whole cluster.
        login: address and credentials, asked again when the server refuses them.
        silence_s: a stream that says nothing for this long is opened again.
        deliver: called in the event loop of `run` with kind, event type (None while listing) and the object.
        restarted: called when all streams had ended and begin again, since deletions in between were not seen.
    """

    def __init__(
        self,
        resources: Sequence[Resource],
        *,
        namespaces: Sequence[str],
        login: Login,
        silence_s: float,
        deliver: Deliver,
        restarted: Callable[[], None],
    ) -> None:
        self._resources = resources
        self._namespaces = namespaces
        self._login = login
        self._silence_s = silence_s
        self._end_within_s = min(END_WITHIN_S, silence_s)
        self._deliver = deliver
        self._restarted = restarted
        self._given_up = asyncio.Event()
        self._kopf_loop: asyncio.AbstractEventLoop | None = None
        self._root: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        """Watch until cancelled, whatever happens to the streams."""
        loop = asyncio.get_running_loop()
        backoff = iter(EndlessBackoff())
        while True:
            began = loop.time()
            error = await self._one_life(loop)
            if loop.time() - began > STEADY_S:
                backoff = iter(EndlessBackoff())
            delay_s = next(backoff)
            logger.warning("the watches ended (%s), starting again in %.1f s", error or "no reason given", delay_s)
            await asyncio.sleep(delay_s)
            self._restarted()

    def begin_anew(self) -> None:
        """Give the present streams up and open others, because these are known to miss changes."""
        self._given_up.set()

    async def _one_life(self, loop: asyncio.AbstractEventLoop) -> str:
        stop: concurrent.futures.Future[None] = concurrent.futures.Future()
        ended: asyncio.Future[str] = loop.create_future()
        thread = threading.Thread(target=self._thread, args=(loop, stop, ended), name="watch", daemon=True)
        thread.start()
        self._given_up.clear()
        lost_at: float | None = None
        try:
            while not (ended.done() or self._given_up.is_set()):
                await asyncio.wait([ended], timeout=LOOK_EVERY_S)
                lost_at = None if self._watches() else lost_at or loop.time()
                if lost_at is not None and loop.time() - lost_at > self._end_within_s:
                    return "they hang in their end"
            return ended.result() if ended.done() else "they miss changes"
        finally:
            if not stop.done():
                stop.set_result(None)
            await asyncio.wait([ended], timeout=self._end_within_s)

    def _watches(self) -> bool:
        """Whether kopf still has the task above all streams; after a failure it may hang without it, for ever."""
        loop = self._kopf_loop
        if loop is None or loop.is_closed():
            return True  # not begun, or about to say that it has ended
        if self._root is None:
            self._root = next((task for task in asyncio.all_tasks(loop) if task.get_name() == ROOT_TASK), None)
        return self._root is None or not self._root.done()

    def _thread(
        self, loop: asyncio.AbstractEventLoop, stop: concurrent.futures.Future[None], ended: asyncio.Future[str]
    ) -> None:
        reason = ""
        try:
            asyncio.run(self._kopf(loop, stop))
        except Exception as error:  # noqa: BLE001 (the edge: whatever ends kopf, the watches must go on)
            reason = f"{type(error).__name__}: {str(error)[:200]}"
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, ended, reason)

    async def _kopf(self, loop: asyncio.AbstractEventLoop, stop: concurrent.futures.Future[None]) -> None:
        # Not the future itself: kopf would wait for it in a thread, and the loop could not end without that thread.
        self._kopf_loop, self._root = asyncio.get_running_loop(), None
        stopped = asyncio.Event()
        stop.add_done_callback(_setter(asyncio.get_running_loop(), stopped))
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._credentials)
        for resource in self._resources:
            handler = self._handler(resource.kind, loop)
            kopf.on.event(resource.group, resource.version, resource.plural, registry=registry, id="seen")(handler)
        await kopf.operator(
            registry=registry,
            settings=self._settings(),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=list(self._namespaces),
            stop_flag=stopped,
        )

    def _handler(self, kind: str, loop: asyncio.AbstractEventLoop) -> Callable[..., Awaitable[None]]:
        async def seen(event: Any, **_: Any) -> None:
            loop.call_soon_threadsafe(self._deliver, kind, event["type"], event["object"])

        return seen

    async def _credentials(self, **_: Any) -> kopf.ConnectionInfo:
        configuration = await self._login()
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            token=await bearer_token(configuration) or None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
        )

    def _settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.persistence.diffbase_storage = _NothingToCompare()
        settings.persistence.progress_storage = _NoProgress()
        settings.scanning.disabled = bool(self._namespaces)
        settings.process.ultimate_exiting_timeout = None
        settings.watching.server_timeout = 300
        settings.watching.client_timeout = 330
        settings.watching.connect_timeout = 10
        settings.watching.inactivity_timeout = self._silence_s
        settings.watching.chunk_size = 500
        settings.networking.request_timeout = 30
        settings.networking.connect_timeout = 10
        settings.networking.error_backoffs = EndlessBackoff()
        for resource in self._resources:
            if resource.labelled:
                settings.watching.label_selectors[resource.group, resource.version, resource.plural] = PROXY_LABEL
        return settings


def _setter(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> Callable[[concurrent.futures.Future[None]], None]:
    """Sets an event of another thread's loop, unless that loop has ended already."""

    def set_event(_: concurrent.futures.Future[None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(event.set)

    return set_event


def _resolve(ended: asyncio.Future[str], reason: str) -> None:
    if not ended.done():
        ended.set_result(reason)
