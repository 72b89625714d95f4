"""Asks the pods how the proxy's credentials fare: the proxy tries each entry and says so in `/-/config`.

Asked with the login of the proxy's clients, where there is one. At rest each pod is asked once per look at the Secrets;
while it does not know yet, a little more often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from athens_operator.conditions import one_line
from athens_operator.manifests import Manifest
from athens_operator.readback import address_of, can_answer, told_in
from athens_operator.spec import AthensProxy
from athens_operator.status_observed import CredentialReport, CredentialState

ASK_AGAIN_S = 100.0  # less than the time between two looks at the Secrets
FIRST_LOOK_S, LAST_LOOK_S = 4.0, 120.0
MAX_MESSAGE = 200


@dataclass(slots=True)
class _Known:
    """What the pods of one proxy said, by uid of the pod, with the time of the answer."""

    answers: dict[str, tuple[float, tuple[CredentialReport, ...]]]
    looks: int = 0


class CredentialStates:
    """Remembers what every pod said last, and asks again when that is old.

    Args:
        session: without cookies or credentials.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._known: dict[str, _Known] = {}

    async def look(
        self, proxy: AthensProxy, pods: Sequence[Manifest], login: tuple[str, str] | None
    ) -> Mapping[str, tuple[CredentialReport, ...]]:
        """What the pods say of each entry of `spec.credentials`, by pod name; nothing of those that do not answer.

        Args:
            proxy: whose pods.
            pods: the pods.
            login: user name and password of the proxy's clients, if it has any.
        """
        if not proxy.spec.credentials:
            self._known.pop(proxy.uid, None)
            return {}
        known = self._known.setdefault(proxy.uid, _Known({}))
        now = asyncio.get_running_loop().time()
        speaking = {pod["metadata"]["uid"]: pod for pod in pods if can_answer(pod)}
        fresh = {uid: known.answers[uid] for uid in speaking if uid in known.answers}
        due = [uid for uid in speaking if uid not in fresh or _is_old(*fresh[uid], now)]
        answers = await asyncio.gather(*(self._ask(speaking[uid], proxy, login) for uid in due))
        known.answers = fresh | {uid: (now, answer) for uid, answer in zip(due, answers, strict=True)}
        return {speaking[uid]["metadata"]["name"]: answer for uid, (_, answer) in known.answers.items() if answer}

    def next_look_s(self, proxy: AthensProxy) -> float | None:
        """Seconds until pods should be asked that do not know yet; None when there are none."""
        known = self._known.get(proxy.uid)
        if known is None or not any(map(_is_unsettled, (answer for _, answer in known.answers.values()))):
            return None
        delay_s: float = min(LAST_LOOK_S, FIRST_LOOK_S * 2.0 ** min(known.looks, 8))
        known.looks += 1
        return delay_s

    def forget(self, uid: str) -> None:
        """The proxy is gone."""
        self._known.pop(uid, None)

    async def _ask(
        self, pod: Manifest, proxy: AthensProxy, login: tuple[str, str] | None
    ) -> tuple[CredentialReport, ...]:
        url = f"{address_of(pod)}{proxy.spec.server.path_prefix}/-/config"
        headers = {"Authorization": aiohttp.encode_basic_auth(*login)} if login else None
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status != 200:
                    return ()
                told = await told_in(answer)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return ()
        return tuple(reports_in(told, {entry.name for entry in proxy.spec.credentials}))


def reports_in(told: Mapping[str, Any], names: set[str]) -> Iterable[CredentialReport]:
    """The reports in an answer of `/-/config`, of these entries only; whatever else a pod says is passed over."""
    entries = told.get("credentials")
    for entry in entries if isinstance(entries, list) else ():
        name = str(entry.get("name")) if isinstance(entry, dict) else ""
        if name in names:
            yield CredentialReport(
                name=name,
                state=_state(entry.get("state")),
                expires=str(entry.get("expires") or ""),
                message=one_line(str(entry.get("message") or ""), MAX_MESSAGE),
            )


def _state(text: object) -> CredentialState:
    return next((state for state in CredentialState if state == text), CredentialState.UNKNOWN)


def _is_unsettled(reports: Sequence[CredentialReport]) -> bool:
    return not reports or any(report.state is CredentialState.UNKNOWN for report in reports)


def _is_old(at: float, reports: Sequence[CredentialReport], now: float) -> bool:
    """Good news holds for a while; after bad news somebody is at work, so each pass asks."""
    is_good = bool(reports) and all(report.state is CredentialState.VALID for report in reports)
    return not is_good or now - at > ASK_AGAIN_S
