"""Which source speaks to which kind of hop."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

import aiohttp

from athens_proxy.errors import NotServed
from athens_proxy.upstream.authorize import SHOW_NOTHING, Authorize
from athens_proxy.upstream.chain import Source
from athens_proxy.upstream.file import FileTransport
from athens_proxy.upstream.goproxy import GoProxy
from athens_proxy.upstream.hops import DirectHop, FileHop, Hop, HttpHop, OffHop
from athens_proxy.upstream.http import NO_PROXIES, HttpLimits, HttpTransport
from athens_proxy.upstream.outbound import OutboundProxies
from athens_proxy.upstream.throttle import Throttle
from athens_proxy.upstream.zip_turns import ZipTurns


class Sources:
    """Makes the source for a hop; give its `of` to `UpstreamChain`.

    Args:
        session: for all HTTP upstreams (`open_upstream_session`).
        direct: asks the origin itself (`GoCommand`).
        limits: deadlines of HTTP requests.
        outbound: forward proxies on the way to HTTP upstreams.
        authorize: knows credentials for those whose address has none.
        turns: which zip of a module proxy comes next.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        direct: Source,
        limits: HttpLimits | None = None,
        outbound: OutboundProxies = NO_PROXIES,
        authorize: Authorize = SHOW_NOTHING,
        turns: ZipTurns | None = None,
    ) -> None:
        self._session = session
        self._direct = direct
        self._limits = limits or HttpLimits()
        self._outbound = outbound
        self._authorize = authorize
        self._turns = turns or ZipTurns()
        self._throttle = Throttle()

    def of(self, hop: Hop) -> Source:
        """The source that speaks to a hop.

        Raises:
            NotServed: the hop is `off`.
        """
        match hop:
            case HttpHop():
                transport = HttpTransport(
                    self._session,
                    hop,
                    self._limits,
                    outbound=self._outbound,
                    throttle=self._throttle,
                    authorize=self._authorize,
                )
                return GoProxy(transport, name=str(hop), turns=self._turns)
            case FileHop():
                return GoProxy(FileTransport(Path(hop.root)), name=str(hop), turns=self._turns)
            case DirectHop():
                return self._direct
            case OffHop():
                raise NotServed("not found: module lookup is disabled by GOPROXY=off")
            case _:
                assert_never(hop)
