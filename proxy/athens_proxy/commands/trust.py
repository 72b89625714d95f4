"""Whose word counts for the bytes of a module version, by the settings: the database of GOSUMDB, for public modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from athens_proxy.checksums.note import InvalidNote, VerifierKey
from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart
from athens_proxy.modules import ModuleVersion
from athens_proxy.outside import go_variables, public_versions
from athens_proxy.upstream.go_environment import NO_DATABASE, sum_database


@dataclass(frozen=True, slots=True)
class Trust:
    """The checksum database that vouches for versions.

    Attributes:
        key: its public key; None when verification is off.
        needs_record: whether a version must be in it: all but private ones.
    """

    key: VerifierKey | None
    needs_record: Callable[[ModuleVersion], bool]


def trust_of(config: Config) -> Trust:
    """What the proxy with these settings verifies.

    Raises:
        CannotStart: GOSUMDB names a database without its key, or a pattern is malformed.
    """
    variables = go_variables(config.upstream.go_env_vars)
    key_text = sum_database(variables)
    is_public = public_versions(config, variables)
    if key_text == NO_DATABASE or not config.upstream.sum_dbs:
        return Trust(None, is_public)
    try:
        key = VerifierKey.parse(key_text)
    except InvalidNote as error:
        raise CannotStart(f"{config.origins['GoBinaryEnvVars'].name}: GOSUMDB: {error}") from error
    return Trust(key, lambda version: version.path.is_toolchain or is_public(version))
