"""A connection that cannot be made says where, why and what to look at, not how a library was called."""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from athens_proxy.upstream.answers import words_of
from athens_proxy.upstream.connection_words import connection_words


def key(host: str) -> ConnectionKey:
    return ConnectionKey(host, 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("host", "error", "words"),
    [
        (
            "proxy.example.com",
            ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('192.0.2.1', 443)"),
            "proxy.example.com:443: Connection refused; check that it runs there",
        ),
        (
            "2001:db8::1",
            OSError(errno.ENETUNREACH, "Connect call failed"),
            "[2001:db8::1]:443: Network is unreachable; check the network, and HTTPS_PROXY if one is needed",
        ),
        (
            "nowhere.example.com",
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "nowhere.example.com:443: Name or service not known; check the name, and the DNS of this host",
        ),
        ("a.example.com", OSError(errno.EMFILE, "x"), "a.example.com:443: Too many open files"),
        ("a.example.com", OSError("Multiple exceptions: a, b"), "a.example.com:443: Multiple exceptions: a, b"),
    ],
)
def test_a_connection_that_is_not_made_says_where_why_and_what_to_look_at(
    host: str, error: OSError, words: str
) -> None:
    failure = aiohttp.ClientConnectorError(key(host), error)

    assert connection_words(failure) == words
    assert words_of(failure) == words


def test_a_certificate_that_is_not_trusted_says_so_and_how_to_trust_it() -> None:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: (_ssl.c:1006)")
    error.verify_message = "self-signed certificate"

    assert words_of(aiohttp.ClientConnectorCertificateError(key("a.example.com"), error)) == (
        "a.example.com:443: self-signed certificate; check the certificate, or add its authority to SSL_CERT_FILE"
    )


def test_an_answer_that_is_no_tls_says_so() -> None:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")
    error.reason = "WRONG_VERSION_NUMBER"

    assert words_of(aiohttp.ClientConnectorSSLError(key("a.example.com"), error)) == (
        "a.example.com:443: WRONG_VERSION_NUMBER; check that it speaks https"
    )
