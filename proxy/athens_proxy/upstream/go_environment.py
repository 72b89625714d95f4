"""The environment of the `go` command: built from scratch, so that nothing of the proxy's own leaks into a fetch; pure.

Source: Athens v0.18.0, pkg/module/prepare_env.go, for the variables that are passed on; the settings that keep a fetch
from prompting, from changing the toolchain and from writing read-only trees are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from athens_policy.patterns import Pattern
from athens_proxy.checksums.note import SUM_GOLANG_ORG

PASSED_ON: Final = (
    "PATH",
    "HOME",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "GOROOT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)

MODULE_CACHE: Final = "gopath/pkg/mod"
NO_DATABASE: Final = "off"
# The second is another address of the first.
_PUBLIC_DATABASES: Final = ("sum.golang.org", "sum.golang.google.cn")
VCS_FOLDER: Final = f"{MODULE_CACHE}/cache/vcs"
"""Where a run keeps clones, below its private directory."""


def settings_of(go_binary_env_vars: Sequence[str]) -> dict[str, str]:
    """The `NAME=value` entries of GoBinaryEnvVars; a later entry wins, one without `=` is refused at start."""
    return {name: value for name, _, value in (entry.partition("=") for entry in go_binary_env_vars)}


def private_globs(settings: Mapping[str, str]) -> str:
    """Go's comma-separated patterns of modules that no proxy may be asked for: GONOPROXY, which GOPRIVATE defaults."""
    return settings.get("GONOPROXY") or settings.get("GOPRIVATE", "")


def unsummed_globs(settings: Mapping[str, str]) -> str:
    """Go's comma-separated patterns of modules that no database may be asked for: GONOSUMDB, else GOPRIVATE."""
    return settings.get("GONOSUMDB") or settings.get("GOPRIVATE", "")


def sum_database(settings: Mapping[str, str]) -> str:
    """The verifier key of the database that GOSUMDB names, `NO_DATABASE` for none.

    GOSUMDB is `name`, `name+key` or either with an address, which SumDBs decides here; a bare name without a known key
    is returned as it is.
    """
    fields = settings.get("GOSUMDB", "").split()
    name = fields[0] if fields else _PUBLIC_DATABASES[0]
    return SUM_GOLANG_ORG if name in _PUBLIC_DATABASES else name


def patterns_of(globs: str) -> tuple[Pattern, ...]:
    """The patterns of such a list; blanks and trailing slashes do not count, what is malformed matches nothing."""
    texts = (glob.strip().removesuffix("/") for glob in globs.split(","))
    return tuple(Pattern.of_file(text) for text in texts if text)


def go_environment(
    process: Mapping[str, str], settings: Mapping[str, str], *, work: Path, no_sum_patterns: Sequence[str] = ()
) -> dict[str, str]:
    """The whole environment of one `go` run that asks the origin itself.

    Args:
        process: the proxy's own environment.
        settings: GoBinaryEnvVars, which win over what is passed on.
        work: a private directory for everything the run writes.
        no_sum_patterns: modules that the checksum database does not know.
    """
    environment = {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOTOOLCHAIN": "local",  # a module may not make the proxy download another Go
        "GOWORK": "off",
        "GIT_TERMINAL_PROMPT": "0",
        "GCM_INTERACTIVE": "never",
        "LC_ALL": "C",  # messages are classified in English
        "HOME": str(work / "home"),
        "GONOSUMDB": ",".join(no_sum_patterns),
    }
    environment |= {name: process[name] for name in PASSED_ON if name in process}
    agent = process.get("SSH_AUTH_SOCK", "")
    if agent and Path(agent).is_socket():
        environment["SSH_AUTH_SOCK"] = agent
    environment |= settings
    if "SSL_CERT_FILE" in environment:  # which git with GnuTLS does not read
        environment.setdefault("GIT_SSL_CAINFO", environment["SSL_CERT_FILE"])
    return environment | {
        "GOFLAGS": _with_writable_cache(environment.get("GOFLAGS", "")),
        "GOPROXY": "direct",  # the chain's other hops are spoken natively
        "GOPATH": str(work / "gopath"),
        "GOMODCACHE": str(work / MODULE_CACHE),
        "GOCACHE": str(work / "cache"),
        "TMPDIR": str(work / "tmp"),
    }


def _with_writable_cache(flags: str) -> str:
    return flags if "-modcacherw" in flags.split() else f"{flags} -modcacherw".strip()
