"""What a connection that could not be made is told as: host, port, the system's reason, and what to look at; pure.

The HTTP library's own words name its arguments (`ssl:default`) and hide the reason in a tuple.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl

import aiohttp


def connection_words(error: aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError) -> str:
    """Why there is no connection, such as `proxy.example.com:443: Connection refused; check that it runs there`."""
    where = f"[{error.host}]:{error.port}" if ":" in error.host else f"{error.host}:{error.port}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"{where}: {_certificate_words(error.certificate_error)}"
    return f"{where}: {_reason(error.os_error)}"


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{error.reason or error}; check that it speaks https"
    if isinstance(error, socket.gaierror):
        return f"{error.strerror}; check the name, and the DNS of this host"
    match error.errno:
        case errno.ECONNREFUSED:
            return f"{os.strerror(errno.ECONNREFUSED)}; check that it runs there"
        case errno.EHOSTUNREACH | errno.ENETUNREACH as number:
            return f"{os.strerror(number)}; check the network, and HTTPS_PROXY if one is needed"
        case int(number) if number > 0:
            return os.strerror(number)
        case _:
            return str(error)


def _certificate_words(error: Exception) -> str:
    said = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
    return f"{said}; check the certificate, or add its authority to SSL_CERT_FILE"
