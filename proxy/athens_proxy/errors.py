"""Why a request failed, as one tree; `web/responses.py` holds the one table from this tree to HTTP statuses.

ProxyError
├── ModuleNotFound            no such module, version or repository; no credential for that host
│   ├── InvalidPath           the text cannot name a module
│   ├── InvalidVersion        the text cannot name a version of that module
│   └── NotServed             download mode `none`, or still being fetched by an async mode
├── AccessDenied              our policy says no, also for what is stored
├── UpstreamDenied            an upstream proxy answered 403
├── UpstreamError             the origin or an upstream proxy is at fault
│   ├── CredentialRefused     it refused the credential we have
│   ├── CredentialUnusable    the credential we have cannot be used as it is
│   ├── TlsFailure            no trusted connection to it
│   ├── BadUpstreamAnswer     it answered what the protocol does not allow
│   ├── InvalidModuleZip      its zip breaks the module zip rules
│   └── ChecksumMismatch      its bytes are not those the checksum database or the store knows
├── UpstreamThrottled         it answered 429
├── UpstreamTimeout           it did not answer in time, or made no progress
├── StorageError              our own store cannot do what was asked
│   └── StorageFull           no space left
├── NotSupported              the chosen backend has no such operation
├── IndexUnavailable          the index does not answer; stored versions are recorded later
│   └── IndexRefused          it answers and refuses our settings
└── Overloaded                our own limits are exhausted

`RedirectTo` is no failure: it is the answer of the redirect modes and of a filter file's `D` rules. `CannotStart` ends
the process before any request.

Messages are single printable lines: what was attempted, on what, why it failed, what to do. They reach the user's
terminal through the go command, so they carry no secret and no control character.
"""

from __future__ import annotations


class ProxyError(Exception):
    """A request could not be answered; `str(error)` is the one line that the client may see."""


class ModuleNotFound(ProxyError):
    """No such module, version or repository; the go command asks its next source."""


class InvalidPath(ModuleNotFound):
    """The text breaks the module path rules (https://go.dev/ref/mod#go-mod-file-ident)."""


class InvalidVersion(ModuleNotFound):
    """The text breaks the rules for versions and version queries (https://go.dev/ref/mod#version-queries)."""


class NotServed(ModuleNotFound):
    """The download mode keeps the proxy from fetching what is not stored."""


class AccessDenied(ProxyError):
    """A policy rule denies the module version; carries the rule's name and reason in its text."""


class UpstreamDenied(ProxyError):
    """An upstream proxy answered 403; the text is the upstream's own."""


class UpstreamError(ProxyError):
    """The origin or an upstream proxy failed in a way that asking again may cure."""


class CredentialRefused(UpstreamError):
    """The origin refused the credential that is configured for it."""


class CredentialUnusable(UpstreamError):
    """The credential that is configured for the origin cannot be used: a file is missing, a key has a passphrase."""


class TlsFailure(UpstreamError):
    """No trusted TLS connection to the origin."""


class BadUpstreamAnswer(UpstreamError):
    """The upstream's answer breaks the module proxy protocol."""


class InvalidModuleZip(UpstreamError):
    """The upstream's zip breaks the module zip rules (https://go.dev/ref/mod#zip-files)."""


class ChecksumMismatch(UpstreamError):
    """The bytes differ from what the checksum database or the store holds; the text has both hashes."""


class UpstreamThrottled(ProxyError):
    """The upstream answered 429.

    Args:
        message: the line for the client.
        retry_after_s: seconds that the upstream asked to wait, or None.
    """

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UpstreamTimeout(ProxyError):
    """The origin did not answer in time or stopped making progress."""


class StorageError(ProxyError):
    """The store cannot answer or accept; the text names the backend, the key and the next step."""


class StorageFull(StorageError):
    """The store has no space left."""


class NotSupported(ProxyError):
    """The chosen backend cannot do this by its nature; asking again will not help."""


class IndexUnavailable(ProxyError):
    """The index cannot answer or accept a line now."""


class IndexRefused(IndexUnavailable):
    """The index refuses our settings: a wrong password, no such database, no right to write."""


class Overloaded(ProxyError):
    """One of our own limits is exhausted; asking again later helps."""


class RedirectTo(Exception):
    """The client is sent to another proxy.

    Args:
        url: absolute URL of the same file there.
        status: 301 of the redirect modes, 303 of Athens' filter file.
    """

    def __init__(self, url: str, *, status: int = 301) -> None:
        super().__init__(url)
        self.url = url
        self.status = status


class CannotStart(Exception):
    """The settings are well-formed but cannot be put to work; the text is one line that begins with the key."""
