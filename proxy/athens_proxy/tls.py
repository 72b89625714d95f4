"""The server's certificate: loaded at the start, and again when its files change, without closing a connection."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from athens_proxy.errors import CannotStart

INTERVAL_S: Final = 10.0
_LOG: Final = logging.getLogger(__name__)


class ServerCertificate:
    """A certificate that its owner may renew on disk, as cert-manager does.

    Args:
        cert_file: TLSCertFile, with the chain.
        key_file: TLSKeyFile.

    Raises:
        CannotStart: the files cannot be used.
    """

    def __init__(self, cert_file: str, key_file: str) -> None:
        self._files = (Path(cert_file), Path(key_file))
        self._seen = self._marks()
        try:
            self.context = self._loaded()
        except (OSError, ssl.SSLError) as error:
            raise CannotStart(f"TLSCertFile {cert_file}, TLSKeyFile {key_file}: {error.strerror or error}") from error
        self._current = self.context
        self.context.sni_callback = self._choose

    async def watch(self, *, interval_s: float = INTERVAL_S) -> None:
        """Look for changed files until cancelled; files that cannot be used leave the certificate as it is."""
        while True:
            await asyncio.sleep(interval_s)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Serve new connections with what the files hold now, if they changed and fit together."""
        marks = self._marks()
        if marks == self._seen:
            return
        self._seen = marks
        try:
            self._current = self._loaded()
        except (OSError, ssl.SSLError) as error:
            _LOG.error("TLSCertFile %s changed and cannot be used, the old one stays: %s", self._files[0], error)
        else:
            _LOG.info("TLSCertFile %s changed: new connections get the new certificate", self._files[0])

    def _loaded(self) -> ssl.SSLContext:
        """A context of its own for what the files hold: one in use would serve half of a change for a moment."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self._files)
        return context

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Called in every handshake, with or without a server's name."""
        connection.context = self._current

    def _marks(self) -> list[tuple[int, int, int] | None]:
        """What differs once a file is written or a symlink to it is swapped."""
        return [_mark(path) for path in self._files]


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
