"""Reads paths of a proxy on a forwarded port, logged in."""

from __future__ import annotations

import http.client
import ssl
from typing import Final

from athens_cli.errors import ClusterUnavailable
from athens_cli.login import Login

_PATIENCE_S: Final = 30.0
_MAX_REASON: Final = 300


class LoggedIn:
    """One connection to a proxy.

    Args:
        login: shown with every request.
        scheme: http or https, as the pods speak it.
        port: on this machine.
    """

    def __init__(self, login: Login, *, scheme: str, port: int) -> None:
        self._login = login
        self._connection = _connection(scheme, port)

    def read(self, path: str) -> str:
        """The text below a path.

        Raises:
            ClusterUnavailable: the proxy refuses the login, fails, or is gone.
        """
        try:
            self._connection.request("GET", path, headers={"Authorization": self._login.authorization})
            answer = self._connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            said = str(error) or type(error).__name__
            raise ClusterUnavailable(f"asking the proxy for {path}: {said}; see: kubectl athens status") from error
        if answer.status == http.client.OK:
            return text
        is_refused = answer.status == http.client.UNAUTHORIZED
        hint = f"the login of {self._login.source} is not valid there" if is_refused else "see: kubectl athens status"
        said = " ".join(text.split())[:_MAX_REASON]
        raise ClusterUnavailable(f"asking the proxy for {path}: {answer.status} {answer.reason}: {said}; {hint}")

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def _connection(scheme: str, port: int) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    # The other end is the pod that the API server chose, which does not look at its certificate either.
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=_PATIENCE_S, context=trusting)
