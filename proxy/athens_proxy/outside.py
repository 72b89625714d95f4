"""The wiring of everything that speaks to the outside: the upstream chain and the checksum databases."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
from prometheus_client.registry import Collector

from athens_policy.patterns import InvalidPattern, Pattern
from athens_proxy.checksums.note import InvalidNote, VerifierKey
from athens_proxy.checksums.verifier import Verifier
from athens_proxy.config.sections import DEFAULT_GO_ENV_VARS, Config
from athens_proxy.config.values import EnvAssignment
from athens_proxy.errors import CannotStart, StorageError
from athens_proxy.modules import ModuleVersion
from athens_proxy.origin_credentials import OriginCredentials, open_credentials
from athens_proxy.storage.storage import Storage
from athens_proxy.telemetry import Telemetry
from athens_proxy.upstream.announced import Announced
from athens_proxy.upstream.authorize import Authorize
from athens_proxy.upstream.chain import UpstreamChain
from athens_proxy.upstream.fetcher import ShowingFetcher, VersionLister
from athens_proxy.upstream.go_command import GoCommand, GoSettings
from athens_proxy.upstream.go_environment import (
    NO_DATABASE,
    patterns_of,
    private_globs,
    settings_of,
    sum_database,
    unsummed_globs,
)
from athens_proxy.upstream.hops import InvalidChain, first_http_hop, parse_chain
from athens_proxy.upstream.http import HttpLimits
from athens_proxy.upstream.observed import observed
from athens_proxy.upstream.outbound import OutboundProxies
from athens_proxy.upstream.private import PrivateModules
from athens_proxy.upstream.sources import Sources
from athens_proxy.upstream.sumdb import ChecksumDatabases
from athens_proxy.upstream.vcs_cache import VcsCache, open_vcs_cache
from athens_proxy.upstream.verified import DatabaseReader, Verified
from athens_proxy.upstream.zip_turns import ZipTurns

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outside:
    """What the rest of the proxy has of the outside.

    Attributes:
        fetcher: brings versions, verified, and announces their small files early.
        lister: asks what exists.
        checksums: the relay to the checksum databases.
        credentials: for origins and module proxies.
    """

    fetcher: Announced
    lister: VersionLister
    checksums: ChecksumDatabases
    credentials: OriginCredentials


@asynccontextmanager
async def open_outside(
    config: Config,
    environ: Mapping[str, str],
    session: aiohttp.ClientSession,
    storage: Storage,
    scratch_root: Path,
    telemetry: Telemetry,
    register: Callable[[Collector], None],
) -> AsyncIterator[Outside]:
    """Everything that speaks to the outside; closed when the context ends.

    Args:
        config: every setting.
        environ: of the process; the go command gets a fixed part of it.
        session: for everything over HTTP; stays the caller's.
        storage: keeps what checksum databases answered.
        scratch_root: an existing folder for temporary files.
        telemetry: told what upstreams are asked.
        register: takes metrics.

    Raises:
        CannotStart: a chain, a pattern, a key or an address cannot be read, or the configured go command does not
            exist.
    """
    _check_go_binary(config, environ)
    variables = go_variables(config.upstream.go_env_vars)
    outbound = _outbound(environ)
    async with AsyncExitStack() as closing:
        credentials = await closing.enter_async_context(open_credentials(config, environ, variables, session, outbound))
        register(credentials.expiries)
        checksums = _checksum_databases(config, variables, session, storage, outbound, credentials.authorize)
        closing.push_async_callback(checksums.aclose)
        verifier = _verifier(config, variables, checksums, storage)
        settings = _go_settings(config, environ, variables, scratch_root, verifies=verifier is not None)
        clones = await _clones(config, scratch_root, closing)
        turns = ZipTurns()
        sources = Sources(
            session,
            direct=GoCommand(settings, clones, credentials.homes),
            limits=_limits(config),
            outbound=outbound,
            authorize=credentials.authorize,
            turns=turns,
        )
        chain = _chain(config, sources, settings, telemetry)
        telemetry.metrics.queue("zips", lambda: turns.waiting_count)
        fetcher: ShowingFetcher = chain
        if verifier:
            fetcher = Verified(chain, verifier, is_public=public_versions(config, variables))
        yield Outside(Announced(fetcher, turns), chain, checksums, credentials)


async def _clones(config: Config, scratch_root: Path, closing: AsyncExitStack) -> VcsCache:
    try:
        return await closing.enter_async_context(open_vcs_cache(scratch_root))
    except StorageError as error:
        raise CannotStart(f"{config.origins['GoGetDir'].name}: {error}") from error


def go_variables(assignments: Iterable[EnvAssignment]) -> dict[str, str]:
    """`GoBinaryEnvVars` by name; a later entry wins."""
    return {assignment.name: assignment.value for assignment in assignments}


def private_modules(config: Config) -> PrivateModules:
    """The modules of GONOPROXY or GOPRIVATE.

    Athens asks origins alone unless it is told otherwise, so where nobody chose a chain, those of NoSumPatterns, which
    is how Athens is told of private modules, stay as private as they were with it.

    Raises:
        CannotStart: a pattern is malformed.
    """
    variables = go_variables(config.upstream.go_env_vars)
    if globs := private_globs(variables):
        return PrivateModules(_sound_globs(config, globs))
    if config.origins["GoBinaryEnvVars"].source != "default" and "GOPROXY" in variables:
        return PrivateModules()
    return PrivateModules(pattern for pattern in _no_sum_patterns(config) if pattern.text.strip("*/"))


def _limits(config: Config) -> HttpLimits:
    defaults = HttpLimits()
    return replace(defaults, idle_s=min(defaults.idle_s, config.upstream.stash_timeout_s))  # without progress


def _chain(config: Config, sources: Sources, settings: GoSettings, telemetry: Telemetry) -> UpstreamChain:
    source_of = observed(
        sources.of, public_host=_public_host(), on_answer=telemetry.metrics.asked, around=telemetry.upstream
    )
    private = private_modules(config)
    try:
        return UpstreamChain(
            _goproxy(settings.variables), private=private, source_of=source_of, scratch_root=settings.scratch_root
        )
    except InvalidChain as error:
        raise CannotStart(f"{config.origins['GoBinaryEnvVars'].name}: {error}") from error


def _checksum_databases(
    config: Config,
    variables: Mapping[str, str],
    session: aiohttp.ClientSession,
    storage: Storage,
    outbound: OutboundProxies,
    authorize: Authorize,
) -> ChecksumDatabases:
    try:
        chain = parse_chain(_goproxy(variables))
    except InvalidChain as error:
        raise CannotStart(f"{config.origins['GoBinaryEnvVars'].name}: {error}") from error
    return ChecksumDatabases(
        config.upstream.sum_dbs,
        session=session,
        records=storage,
        no_sum_patterns=_unsummed(config, variables),
        chain=chain,
        offline=config.upstream.network_mode == "offline",
        outbound=outbound,
        authorize=authorize,
    )


def _verifier(
    config: Config, variables: Mapping[str, str], checksums: ChecksumDatabases, storage: Storage
) -> Verifier | None:
    """Verification by the database of GOSUMDB; None where it is off, or none that SumDBs lists is that one."""
    try:
        key_text = sum_database(variables)
        key = VerifierKey.parse(key_text) if key_text != NO_DATABASE else None
    except InvalidNote as error:
        raise CannotStart(f"{config.origins['GoBinaryEnvVars'].name}: GOSUMDB: {error}") from error
    if key is None or not checksums.names:
        _LOG.warning("modules are stored without verification: %s", "GOSUMDB is off" if key is None else "no SumDBs")
        return None
    database = checksums.database(key.name)
    if database is None:
        _LOG.warning(
            "modules are stored without verification: SumDBs does not list %s; list it, or set GOSUMDB in"
            " GoBinaryEnvVars to the name and key of a database that it lists",
            key.name,
        )
        return None
    return Verifier(key, DatabaseReader(database, storage))


def public_versions(config: Config, variables: Mapping[str, str]) -> Callable[[ModuleVersion], bool]:
    """Whether a checksum database may be asked about a version, by the settings; raises `CannotStart`."""
    return _Public(_unsummed(config, variables))


def _unsummed(config: Config, variables: Mapping[str, str]) -> tuple[Pattern, ...]:
    """What no checksum database is told of."""
    globs = f"{private_globs(variables)},{unsummed_globs(variables)}"
    return (*_sound_globs(config, globs), *_no_sum_patterns(config))


@dataclass(frozen=True, slots=True)
class _Public:
    """Whether a checksum database may be asked about a version: no pattern has its path, with or without version."""

    private: Sequence[Pattern]

    def __call__(self, version: ModuleVersion) -> bool:
        texts = (version.path.text, str(version))
        return not any(pattern.matches(text) for pattern in self.private for text in texts)


def _sound_globs(config: Config, globs: str) -> tuple[Pattern, ...]:
    return _sound(patterns_of(globs), config.origins["GoBinaryEnvVars"].name)


def _no_sum_patterns(config: Config) -> tuple[Pattern, ...]:
    return _sound(patterns_of(",".join(config.upstream.no_sum_patterns)), config.origins["NoSumPatterns"].name)


def _sound(patterns: tuple[Pattern, ...], key: str) -> tuple[Pattern, ...]:
    """The patterns; Go matches nothing with a malformed one, so that a private name would leave."""
    for pattern in patterns:
        if pattern.malformed:
            problem = InvalidPattern(f"pattern {pattern.text!r} is malformed; close its class with ']' or remove '['")
            raise CannotStart(f"{key}: {problem}")
    return patterns


def _goproxy(variables: Mapping[str, str]) -> str:
    return variables.get("GOPROXY") or settings_of(DEFAULT_GO_ENV_VARS)["GOPROXY"]


def _public_host() -> str:
    """Of the module proxy that is asked where nobody chose one."""
    hop = first_http_hop(parse_chain(settings_of(DEFAULT_GO_ENV_VARS)["GOPROXY"]))
    return (hop.url.host if hop else None) or ""


def _outbound(environ: Mapping[str, str]) -> OutboundProxies:
    try:
        return OutboundProxies.of(environ)
    except ValueError as error:
        raise CannotStart(str(error)) from error


def _go_settings(
    config: Config, environ: Mapping[str, str], variables: Mapping[str, str], scratch_root: Path, *, verifies: bool
) -> GoSettings:
    return GoSettings(
        binary=config.upstream.go_binary,
        process_environment=environ,
        # What is verified here needs no second look by the go command.
        variables={**variables, "GOSUMDB": "off"} if verifies else variables,
        scratch_root=scratch_root,
        no_sum_patterns=config.upstream.no_sum_patterns,
        at_most=config.upstream.fetch_workers,
        max_bytes=config.upstream.fetch_max_bytes,
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
