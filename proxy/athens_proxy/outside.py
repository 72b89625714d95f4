"""The wiring of everything that speaks to the outside: the upstream chain and the checksum databases."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import assert_never

import aiohttp

from athens_policy.patterns import InvalidPattern, Pattern
from athens_proxy.config.sections import Config
from athens_proxy.config.values import EnvAssignment
from athens_proxy.errors import CannotStart
from athens_proxy.storage.storage import Storage
from athens_proxy.upstream.chain import Source, UpstreamChain
from athens_proxy.upstream.file import FileTransport
from athens_proxy.upstream.go_command import GoCommand, GoSettings
from athens_proxy.upstream.go_environment import private_globs
from athens_proxy.upstream.goproxy import GoProxy
from athens_proxy.upstream.hops import (
    DirectHop,
    FileHop,
    Hop,
    HttpHop,
    InvalidChain,
    OffHop,
    first_http_hop,
    parse_chain,
)
from athens_proxy.upstream.http import HttpLimits, HttpTransport
from athens_proxy.upstream.sumdb import ChecksumDatabases

MANY_HOPS = 1024
_DEFAULT_CHAIN = "https://proxy.golang.org,direct"
_LOG = logging.getLogger(__name__)


def go_variables(assignments: Iterable[EnvAssignment]) -> dict[str, str]:
    """`GoBinaryEnvVars` by name; a later entry wins."""
    return {assignment.name: assignment.value for assignment in assignments}


def upstream_chain(
    config: Config, environ: Mapping[str, str], session: aiohttp.ClientSession, *, scratch_root: Path
) -> UpstreamChain:
    """The fetcher and lister of the configured GOPROXY chain.

    Raises:
        CannotStart: the chain or a private pattern cannot be read, or the configured go command does not exist.
    """
    key = config.origins["GoBinaryEnvVars"].name
    variables = go_variables(config.upstream.go_env_vars)
    _check_go_binary(config, environ)
    go = GoCommand(_go_settings(config, environ, variables, scratch_root))
    defaults = HttpLimits()
    limits = replace(defaults, idle_s=min(defaults.idle_s, config.upstream.stash_timeout_s))  # without progress

    @lru_cache(maxsize=MANY_HOPS)
    def source_of(hop: Hop) -> Source:
        match hop:
            case HttpHop():
                return GoProxy(HttpTransport(session, hop, limits), name=str(hop))
            case FileHop(root=root):
                return GoProxy(FileTransport(Path(root)), name=str(hop))
            case DirectHop():
                return go
            case OffHop():
                raise AssertionError("a chain answers `off` itself")
            case _ as never:
                assert_never(never)

    try:
        private = _globs(private_globs(variables).split(","))
        return UpstreamChain(_chain(config), private=private, source_of=source_of, scratch_root=scratch_root)
    except (InvalidChain, InvalidPattern) as error:
        raise CannotStart(f"{key}: {error}") from error


def checksum_databases(config: Config, session: aiohttp.ClientSession, storage: Storage) -> ChecksumDatabases:
    """The relay to the configured checksum databases, which keeps what it fetched in the store.

    Raises:
        CannotStart: a pattern cannot be read.
    """
    try:
        patterns = _globs(config.upstream.no_sum_patterns)
    except InvalidPattern as error:
        raise CannotStart(f"{config.origins['NoSumPatterns'].name}: {error}") from error
    return ChecksumDatabases(
        config.upstream.sum_dbs,
        session=session,
        records=storage,
        no_sum_patterns=patterns,
        proxy_hop=first_http_hop(parse_chain(_chain(config))),
        offline=config.upstream.network_mode == "offline",
    )


def _globs(texts: Iterable[str]) -> list[Pattern]:
    """Patterns as Go takes them in GOPRIVATE: any characters (`@` for a version), a slash at the end means nothing.

    Raises:
        InvalidPattern: a class or an escape is left open; Go would match nothing with it, and a name would leak.
    """
    patterns = [Pattern.of_file(text.strip().removesuffix("/")) for text in texts]
    for pattern in patterns:
        if pattern.malformed:
            raise InvalidPattern(f"pattern {pattern.text!r} is malformed; close its class with ']' or remove '['")
    return [pattern for pattern in patterns if pattern.text]


def _chain(config: Config) -> str:
    return go_variables(config.upstream.go_env_vars).get("GOPROXY") or _DEFAULT_CHAIN


def _go_settings(
    config: Config, environ: Mapping[str, str], variables: Mapping[str, str], scratch_root: Path
) -> GoSettings:
    return GoSettings(
        binary=config.upstream.go_binary,
        process_environment=environ,
        variables=variables,
        scratch_root=scratch_root,
        no_sum_patterns=config.upstream.no_sum_patterns,
        fetch_timeout_s=config.upstream.stash_timeout_s,
        list_timeout_s=config.upstream.timeout_s,
    )


def _check_go_binary(config: Config, environ: Mapping[str, str]) -> None:
    binary = config.upstream.go_binary
    if shutil.which(binary, path=environ.get("PATH")):
        return
    origin = config.origins["GoBinary"]
    message = f'{origin.name}: "{binary}" cannot be run; install Go or name its binary'
    if origin.source != "default":
        raise CannotStart(message)
    _LOG.warning("%s: `direct` fetches will fail", message)
