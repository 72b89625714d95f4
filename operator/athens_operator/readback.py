"""Asks the pods which policy they enforce, and nudges the kubelet so that a new one arrives at once.

A ConfigMap change reaches a running pod after a minute or more, unless the pod object changes: then the kubelet syncs
immediately. So an annotation carries the wanted digest to every pod that reported another one. The answer is read
from the header of `/readyz`, over the pod's own address, without sending anything secret. Only why a pod keeps another
file is asked with the login of the proxy's clients, where it has one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from athens_operator.manifests import Manifest
from athens_operator.status_observed import Readback

DIGEST_HEADER = "Athens-Policy-Digest"
ANSWER_TIMEOUT_S = 2.0
TOUCH_AGAIN_S = 30.0
LISTEN_EVERY_S = 600.0
ANSWER_LIMIT_BYTES = 1 << 20
CONTAINER = "athens"


@dataclass(frozen=True, slots=True)
class Target:
    """What the pods of a proxy should enforce, and how they are asked why they do not.

    Args:
        digest: `sha256:<hex>` of the wanted file.
        path_prefix: where the proxy mounts everything but its probes.
        login: user name and password of its clients; None when it asks for none, or they are not known.
    """

    digest: str
    path_prefix: str = ""
    login: tuple[str, str] | None = field(default=None, repr=False)


class PodReader(Protocol):
    """How a pod is asked."""

    async def read(self, pod: Manifest, target: Target) -> Readback:
        """What the pod says now, with its last error if it enforces anything but the wanted digest.

        A pod that does not answer gives an empty digest with the reason.
        """
        ...


class HttpPodReader:
    """Asks over HTTP, or HTTPS without checking names, since pods are addressed by number.

    Args:
        session: without cookies or credentials.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def read(self, pod: Manifest, target: Target) -> Readback:
        """See `PodReader.read`."""
        base = address_of(pod)
        try:
            async with self._session.get(f"{base}/readyz") as answer:
                digest = answer.headers.get(DIGEST_HEADER, "")
                if not digest:
                    return Readback("", f"/readyz answered {answer.status} without {DIGEST_HEADER}")
            return Readback(digest) if digest == target.digest else await self._with_last_error(base, digest, target)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Readback("", f"{type(error).__name__}: {error}"[:200])

    async def _with_last_error(self, base: str, digest: str, target: Target) -> Readback:
        headers = {"Authorization": aiohttp.encode_basic_auth(*target.login)} if target.login else None
        url = f"{base}{target.path_prefix}/-/policy"
        async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.status != 200:
                return Readback(digest)
            last = (await told_in(answer)).get("lastError")
        if not isinstance(last, dict):
            return Readback(digest)
        return Readback(digest, str(last.get("message", ""))[:500], str(last.get("digest", "")))


async def told_in(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """The JSON object that an answer is; empty when it is something else, or longer than anything that we ask for."""
    text = bytearray()
    async for chunk in answer.content.iter_any():
        text += chunk
        if len(text) > ANSWER_LIMIT_BYTES:
            return {}
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def address_of(pod: Mapping[str, Any]) -> str:
    """The base URL of the proxy in a pod, judged from its container port's name."""
    containers = pod["spec"].get("containers") or ()
    ports = [port for each in containers if each.get("name") == CONTAINER for port in each.get("ports") or ()]
    port: Mapping[str, Any] = next((port for port in ports if port.get("name") in ("http", "https")), {})
    host = pod["status"]["podIP"]
    host = f"[{host}]" if ":" in host else host
    return f"{port.get('name', 'http')}://{host}:{port.get('containerPort', 3000)}"


@dataclass(slots=True)
class _Heard:
    """What is known of one pod, by uid."""

    answer: Readback
    at: float
    touched_for: str = ""
    touched_at: float = 0.0
    touches: int = 0


class Listener:
    """Remembers what every pod said last, and decides when to ask or to nudge again.

    Args:
        reader: how to ask.
    """

    def __init__(self, reader: PodReader) -> None:
        self._reader = reader
        self._heard: dict[str, _Heard] = {}

    async def listen(self, pods: Sequence[Manifest], target: Target) -> dict[str, Readback]:
        """What the pods say, by pod name; asks only those that are not known to enforce the wanted digest.

        Args:
            pods: all live pods of one proxy; those without an address or not running are left out.
            target: the digest that they should report, and how to ask.
        """
        now = asyncio.get_running_loop().time()
        speaking = [pod for pod in pods if can_answer(pod)]
        due = [pod for pod in speaking if self._is_due(pod, target.digest, now)]
        answers = await asyncio.gather(*(self._reader.read(pod, target) for pod in due))
        for pod, answer in zip(due, answers, strict=True):
            uid = pod["metadata"]["uid"]
            heard = self._heard.get(uid)
            if heard is None:
                self._heard[uid] = _Heard(answer, now)
            else:
                heard.answer, heard.at = answer, now
        return {pod["metadata"]["name"]: self._heard[pod["metadata"]["uid"]].answer for pod in speaking}

    def touches(self, pods: Sequence[Manifest], wanted: str) -> list[tuple[Manifest, str]]:
        """The pods to nudge now, with the annotation's value; each counts as nudged from here on."""
        now = asyncio.get_running_loop().time()
        due: list[tuple[Manifest, str]] = []
        for pod in pods:
            heard = self._heard.get(pod["metadata"]["uid"])
            if heard is None or not can_answer(pod) or heard.answer.digest in ("", wanted):
                continue
            if heard.touched_for != wanted:
                heard.touched_for, heard.touches = wanted, 0
            elif now - heard.touched_at < TOUCH_AGAIN_S:
                continue
            heard.touches += 1
            heard.touched_at = now
            due.append((pod, wanted if heard.touches == 1 else f"{wanted}#{heard.touches}"))
        return due

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        self._heard.pop(uid, None)

    def _is_due(self, pod: Manifest, wanted: str, now: float) -> bool:
        heard = self._heard.get(pod["metadata"]["uid"])
        return heard is None or heard.answer.digest != wanted or now - heard.at > LISTEN_EVERY_S


def can_answer(pod: Mapping[str, Any]) -> bool:
    """Whether the pod's container runs and is meant to go on running."""
    status = pod.get("status") or {}
    return (
        bool(status.get("podIP")) and status.get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
    )
