"""The server's certificate: loaded at the start, and again when its files change, without closing a connection."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from pathlib import Path
from typing import Final, NoReturn

from cryptography import x509

from athens_proxy.errors import CannotStart

INTERVAL_S: Final = 10.0
_LOG: Final = logging.getLogger(__name__)


class ServerCertificate:
    """A certificate that its owner may renew on disk, as cert-manager does.

    Attributes:
        context: for the listener; new connections get what the files hold now.
        reloads: how often changed files were taken (`success`) or could not be used (`failure`).
        not_after_s: Unix time at which the served certificate ends, 0 if that cannot be told.

    Args:
        cert_file: TLSCertFile, with the chain.
        key_file: TLSKeyFile.

    Raises:
        CannotStart: the files cannot be used.
    """

    def __init__(self, cert_file: str, key_file: str) -> None:
        self._files = (Path(cert_file), Path(key_file))
        self._seen = self._marks()
        self.reloads: Counter[str] = Counter(success=0, failure=0)
        try:
            self.context, self.not_after_s = self._loaded()
        except (OSError, ssl.SSLError) as error:
            raise CannotStart(f"TLSCertFile {cert_file}, TLSKeyFile {key_file}: {_words(error)}") from error
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
            self._current, self.not_after_s = self._loaded()
        except (OSError, ssl.SSLError) as error:
            self.reloads["failure"] += 1
            _LOG.error(
                "TLSCertFile %s changed and cannot be used, the old one stays: %s", self._files[0], _words(error)
            )
        else:
            self.reloads["success"] += 1
            _LOG.info("TLSCertFile %s changed: new connections get the new certificate", self._files[0])

    def _loaded(self) -> tuple[ssl.SSLContext, float]:
        """A new context for what the files hold, and when that ends: one in use would serve half of a change."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self._files, password=_refuse_passphrase)
        return context, _end_s(self._files[0].read_bytes())

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Called in every handshake, with or without a server's name."""
        connection.context = self._current

    def _marks(self) -> list[tuple[int, int, int] | None]:
        """What differs once a file is written or a symlink to it is swapped."""
        return [_mark(path) for path in self._files]


def _end_s(chain: bytes) -> float:
    """Unix time at which the first certificate ends, 0 for a form that OpenSSL alone reads."""
    try:
        return x509.load_pem_x509_certificates(chain)[0].not_valid_after_utc.timestamp()
    except ValueError:
        return 0.0


def _words(error: OSError) -> str:
    """What is wrong with the files, where OpenSSL only names a part of itself."""
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    if "PEM lib" in str(error):
        return "one of them is no PEM file of its kind; the first holds the certificates, the second their private key"
    return str(error)


def _refuse_passphrase() -> NoReturn:
    """In place of OpenSSL, which would ask the terminal and wait."""
    raise OSError(0, "the key has a passphrase; write it without one")


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
