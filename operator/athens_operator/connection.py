"""Where the API server is and how to prove who we are; the same answer for our client and for the watches.

Inside a pod the service account counts, otherwise the file that KUBECONFIG names. A kubeconfig in the home folder is
never picked up by accident.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.request import getproxies

import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from athens_operator.errors import OperatorError

MALFORMED: Final = (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError)
"""What the client library stumbles over in a file that is no kubeconfig."""
ADVICE = "run inside a cluster, or set KUBECONFIG to a kubeconfig file with a current context"


class NoCluster(OperatorError):
    """No credentials for any API server were found."""


async def connect(environ: Mapping[str, str]) -> Configuration:
    """Address and credentials, freshly read; tokens of service accounts renew themselves afterwards.

    Raises:
        NoCluster: there is neither a service account nor a usable kubeconfig.
    """
    configuration = Configuration()
    kubeconfig = environ.get("KUBECONFIG", "")
    try:
        if kubeconfig:
            await load_kube_config(  # type: ignore[no-untyped-call]
                config_file=kubeconfig, client_configuration=configuration, persist_config=False
            )
        else:
            await asyncio.to_thread(load_incluster_config, configuration)
    except (ConfigException, OSError) as error:
        raise NoCluster(f"find an API server: {error}; {ADVICE}") from error
    except MALFORMED as error:
        raise NoCluster(f"find an API server: {kubeconfig} is no kubeconfig; {ADVICE}") from error
    configuration.retries = None
    configuration.connection_pool_maxsize = 32
    if not getproxies():  # with trust in them every request takes a thread to look for one
        configuration.client_session_kwargs = {"trust_env": False}
    return configuration


async def bearer_token(configuration: Configuration) -> str:
    """The token to present now, without its scheme; empty when a client certificate is used instead."""
    header: str | None = await configuration.get_api_key_with_prefix("BearerToken")
    return header.removeprefix("Bearer ").removeprefix("bearer ").strip() if header else ""
