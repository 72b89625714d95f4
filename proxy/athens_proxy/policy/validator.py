"""Athens' validator hook (deprecated): another service is asked about every file before it is served.

`POST {"Module":…,"Version":…}`; 200 allows, 403 denies with the hook's text, everything else is a failure of the hook.

Source: github.com/gomods/athens v0.18.0, pkg/middleware/validation.go. Ours: a deadline, and the hook's text for the
client.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Final

import aiohttp
from yarl import URL

from athens_proxy.errors import AccessDenied, ProxyError
from athens_proxy.modules import ModuleVersion
from athens_proxy.upstream.outbound import OutboundProxies

DEADLINE_S: Final = 10.0
_MAX_TEXT_BYTES: Final = 2048
_LOG: Final = logging.getLogger(__name__)


class ValidatorHook:
    """Asks the hook.

    Args:
        url: where it listens.
        session: shared with the upstreams.
        outbound: forward proxies on the way.
        deadline_s: how long one answer may take.
    """

    def __init__(
        self, url: URL, session: aiohttp.ClientSession, *, outbound: OutboundProxies, deadline_s: float = DEADLINE_S
    ) -> None:
        self._url = url
        self._session = session
        self._proxy = outbound.for_url(url)
        self._deadline_s = deadline_s

    async def check(self, wanted: ModuleVersion) -> None:
        """Return if the version may be served.

        Args:
            wanted: as the client asked for it; a query is passed on as it is.

        Raises:
            AccessDenied: the hook says no; the text is its own.
            ProxyError: it gave no answer, or none that means yes or no.
        """
        attempt = f"asking the validator hook at {self._url.host} about {wanted}"
        try:
            async with asyncio.timeout(self._deadline_s):
                status, text = await self._answer(wanted)
        except TimeoutError as error:
            raise ProxyError(f"{attempt}: no answer within {self._deadline_s:g} s; see to the hook") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProxyError(f"{attempt}: it cannot be reached ({type(error).__name__}); see to the hook") from error
        if text:
            _LOG.warning("the validator hook says of %s: %s", wanted, text)
        if status == 403:
            raise AccessDenied(f"denied by the validator hook: {text or 'no reason is given'}")
        if status != 200:
            raise ProxyError(f"{attempt}: it answered {status}, which means neither yes (200) nor no (403)")

    async def _answer(self, wanted: ModuleVersion) -> tuple[int, str]:
        body = json.dumps({"Module": wanted.path.text, "Version": wanted.version}, separators=(",", ":"))
        headers = {"Content-Type": "application/json"}
        async with self._session.post(self._url, data=body.encode(), headers=headers, proxy=self._proxy) as answer:
            text = (await answer.content.read(_MAX_TEXT_BYTES)).decode("utf-8", "replace")
            return answer.status, " ".join(text.split())
