"""What the `go` command and git say when a fetch fails, as errors of ours; table driven and pure.

The first row whose pattern occurs in the text decides. Rows are ordered by how certain they are: our own limits first,
then refusals, then the network, then "no such thing". Text that no row knows is "not found", as with Athens, unless it
is git that failed for a reason we cannot read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from athens_proxy.errors import (
    ChecksumMismatch,
    CredentialRefused,
    InvalidModuleZip,
    ModuleNotFound,
    ProxyError,
    StorageFull,
    TlsFailure,
    UpstreamError,
    UpstreamThrottled,
    UpstreamTimeout,
)
from athens_proxy.upstream.answers import one_line, without_logins

# An origin says what it likes, and patterns that look for two things take quadratic time.
_EDGE_CHARS: Final = 4096
_LINE_CHARS: Final = 2048
_NOISE: Final = re.compile(
    r"^go: (downloading|added|finding) .*$|^go: |^hint: .*$|^Confirm the import path .*$"
    r"|^If this is a private repository.*$| in \S*/cache/vcs/[0-9a-f]+"
    r"|^[ \t]*@{10}[^\0]*(?=^\s*Host key verification failed)",  # ssh says in twenty lines that the key is another one
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class _Row:
    pattern: re.Pattern[str]
    kind: type[ProxyError]
    advice: str = ""


def _row(pattern: str, kind: type[ProxyError], advice: str = "") -> _Row:
    return _Row(re.compile(pattern, re.IGNORECASE), kind, advice)


_ROWS: Final = (
    _row(r"no space left on device|disk quota exceeded", StorageFull, "free space in the directory for fetches"),
    _row(r"checksum mismatch|security error", ChecksumMismatch),
    # The version exists, and somebody has to repair it.
    _row(r"create zip: [\s\S]*(?:malformed file path|case-insensitive file name collision)", InvalidModuleZip),
    _row(
        r"verifying [^\n]*(404 not found|410 gone)|checksum database[^\n]*not found",
        ModuleNotFound,
        "if the module is private, list it in NoSumPatterns",
    ),
    _row(
        r"requires go >= |errors parsing go\.mod[^\n]*invalid go version",
        UpstreamError,
        "the proxy's Go is too old for it; update it or set GOTOOLCHAIN=auto in GoBinaryEnvVars",
    ),
    _row(
        r"403 response from api\.github\.com|rate limit|429 too many requests|returned error: 429|\b429\b[^\n]*retry",
        UpstreamThrottled,
        "ask again later",
    ),
    _row(
        r"proxy authentication required|connect tunnel failed|proxyconnect tcp|http code \d+ from proxy",
        UpstreamError,
        "check HTTPS_PROXY and the login in it",
    ),
    _row(
        r"terminal prompts disabled|could not read (username|password)", ModuleNotFound, "no credential for that host"
    ),
    # What git said of a path with `.git` when it tried https and ssh, the go command keeps to itself.
    _row(
        r"no secure protocol found for repository",
        ModuleNotFound,
        "no such repository, or no credential for that host that it takes",
    ),
    _row(
        r"transport 'http' not allowed",
        UpstreamError,
        "it leads to plain http; list its host in GOINSECURE of GoBinaryEnvVars to allow that",
    ),
    _row(r"\b401 unauthorized\b", ModuleNotFound, "no credential for that host"),
    _row(
        r"authentication failed|access denied|permission denied \(|returned error: 40[13]"
        r"|invalid username or (password|token)",
        CredentialRefused,
        "check the credential for that host",
    ),
    _row(
        r"x509:|ssl certificate problem|certificate verification failed|tls: |ssl_connect|host key verification failed",
        TlsFailure,
        "check the certificate or the known hosts",
    ),
    _row(
        r"i/o timeout|timed out|handshake timeout|deadline exceeded|client\.timeout|504 gateway",
        UpstreamTimeout,
        "ask again later",
    ),
    # A clone that a killed run left half done; whoever meets it has it thrown away.
    _row(
        r"cannot lock ref|'origin' does not appear to be a git repository|unknown revision refs/(?:tags|heads)/",
        UpstreamError,
        "ask again later",
    ),
    _row(
        r"repository (?:'[^']*' )?not found|does not appear to be a git repository|does not exist|unknown revision"
        r"|no matching versions|returned error: 4(04|10)|\b4(04 not found|10 gone)\b|project not found"
        # over ssh, in the words of GitLab, Gitea and its kin, Gerrit, and Gitolite
        r"|project you were looking for could not be found|cannot find repository|no such (?:repository|project)"
        r"|fatal: project \S{1,255} not found|denied by fallthru",
        ModuleNotFound,
    ),
    _row(
        r"could not resolve host|no such host|server misbehaving|connection refused|connection reset"
        r"|network is unreachable|no route to host|unexpected disconnect|early eof|unexpected eof|rpc failed"
        r"|returned error: 5\d\d|500 internal server error|502 bad gateway|503 service unavailable"
        r"|signal: killed|died of signal|hung up unexpectedly|failed to connect|empty reply from server",
        UpstreamError,
        "ask again later",
    ),
    _row(r"fatal: |exit status 128|\bgit [^\n]*: exit status \d", UpstreamError, "ask again later"),
)


def classified(text: str, *, attempt: str) -> ProxyError:
    """The error for what `go` printed.

    Args:
        text: its error output, or the Error field of its JSON.
        attempt: the module version and what was done with it, for the message.
    """
    text = _edges(text)
    said = one_line(_NOISE.sub("", without_logins(text)).encode())
    row = next((row for row in _ROWS if row.pattern.search(text)), _Row(re.compile(""), ModuleNotFound))
    message = f"{attempt}: {said or 'the go command failed without a word'}"
    if row.advice:
        message = f"{message} ({row.advice})"
    if issubclass(row.kind, ModuleNotFound):
        message = f"not found: {message}"
    return row.kind(message)


def _edges(text: str) -> str:
    """The beginning and the end of a text, of each line the beginning."""
    if len(text) > 32 * _EDGE_CHARS:
        text = f"{text[: 16 * _EDGE_CHARS]}\n{text[-16 * _EDGE_CHARS :]}"
    lines = "\n".join(line[:_LINE_CHARS] for line in text.split("\n"))
    return lines if len(lines) <= 2 * _EDGE_CHARS else f"{lines[:_EDGE_CHARS]}\n{lines[-_EDGE_CHARS:]}"
