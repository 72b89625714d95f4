"""The wiring of Athens' filter file and validator hook, which are asked before the policy."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import aiohttp
from yarl import URL

from athens_proxy.config.load import GROUP_OR_OTHER_MAY_WRITE_OR_RUN
from athens_proxy.config.sections import Config
from athens_proxy.download.admitted import Admitted, Validator
from athens_proxy.download.protocol import DownloadProtocol
from athens_proxy.errors import CannotStart
from athens_proxy.outside import private_modules
from athens_proxy.policy.filter_file import FilterFile, FilterSyntaxError
from athens_proxy.policy.validator import ValidatorHook
from athens_proxy.upstream.outbound import OutboundProxies

_LOG = logging.getLogger(__name__)
_INSTEAD = "use DownloadMode with a download file, whose rules can also name versions and reasons"


def admission(
    config: Config, environ: Mapping[str, str], session: aiohttp.ClientSession
) -> Callable[[DownloadProtocol], DownloadProtocol]:
    """Puts filter file and validator in front of a protocol; changes nothing when neither is configured.

    Raises:
        CannotStart: the filter file cannot be read, or an address is malformed.
    """
    filter_file, validator = _filter_file(config), _validator(config, environ, session)
    for key, is_used in (("FilterFile", filter_file), ("ValidatorHook", validator)):
        if is_used is not None:
            _LOG.warning("%s: deprecated; %s", config.origins[key].name, _INSTEAD)
    if filter_file is None and validator is None:
        return lambda protocol: protocol
    return partial(
        Admitted,
        filter_file=filter_file,
        global_endpoint=config.policy.global_endpoint,
        validator=validator,
        private=private_modules(config),
    )


def _filter_file(config: Config) -> FilterFile | None:
    """The configured filter file.

    Raises:
        CannotStart: it cannot be read, has a line that is no rule, or others may change it in production.
    """
    name, key = config.policy.filter_file, config.origins["FilterFile"].name
    if not name:
        return None
    path = Path(name)
    try:
        text, mode = path.read_text(encoding="utf-8"), path.stat().st_mode
    except OSError as error:
        raise CannotStart(f"{key}: {name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CannotStart(f"{key}: {name} cannot be read: it is not UTF-8 text") from error
    if config.log.go_env == "production" and mode & GROUP_OR_OTHER_MAY_WRITE_OR_RUN:
        raise CannotStart(f"{key}: others than its owner may write or execute {name}; run chmod 0644 {name}")
    try:
        return FilterFile.parse(text)
    except FilterSyntaxError as error:
        raise CannotStart(f"{key}: {name}: {error}") from error


def _validator(config: Config, environ: Mapping[str, str], session: aiohttp.ClientSession) -> Validator | None:
    address = config.policy.validator_hook
    if not address:
        return None
    try:
        return ValidatorHook(URL(address), session, outbound=OutboundProxies.of(environ))
    except ValueError as error:
        raise CannotStart(f"{config.origins['ValidatorHook'].name}: {error}") from error
