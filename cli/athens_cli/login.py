"""With which login a proxy is asked that lets in only whom it knows."""

from __future__ import annotations

import base64
import binascii
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import click

from athens_cli.cluster import Cluster
from athens_cli.errors import InputError, NotAllowed
from athens_operator.spec.proxy import generated_login, operators_login

PASSWORD_VARIABLE: Final = "ATHENS_PASSWORD"  # noqa: S105 - the name of a variable
_BY_HAND: Final = f"name one with --user, and its password in {PASSWORD_VARIABLE}"


@dataclass(frozen=True)
class Login:
    """A user name and a password.

    Args:
        user: the name.
        password: is not shown.
        source: for messages: where both came from.
    """

    user: str
    password: str = field(repr=False)
    source: str

    @property
    def authorization(self) -> str:
        """The header's value."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def login_of(cluster: Cluster, proxy: Mapping[str, Any], user: str) -> Login | None:
    """The login of `--user`, else that of the Secret which the proxy names; None where it lets in everybody.

    Raises:
        ClusterUnavailable: the Secret is not there or may not be read.
        InputError: there is no password, or the Secret has none.
    """
    if user:
        return Login(user, _password(user), f"--user {user}")
    name, user_key, password_key = _secret(proxy)
    if not name:
        return None
    namespace = proxy["metadata"]["namespace"]
    try:
        body = cluster.get("secret", name, "--ignore-not-found", namespace=namespace)
    except NotAllowed as error:
        raise NotAllowed(f"{error}; or {_BY_HAND}") from error
    data = body.get("data") or {}
    try:
        found, password = (base64.b64decode(data[key], validate=True).decode() for key in (user_key, password_key))
    except (KeyError, binascii.Error, UnicodeDecodeError) as error:
        what = f"has no {user_key} and {password_key}" if body else "does not exist"
        raise InputError(f"Secret {namespace}/{name} with the login of the proxy {what}; {_BY_HAND}") from error
    return Login(found, password, f"Secret {namespace}/{name}")


def _secret(proxy: Mapping[str, Any]) -> tuple[str, str, str]:
    """The Secret with a login, "" for none, and the keys of user name and password."""
    auth = (proxy.get("spec") or {}).get("auth") or {}
    basic = auth.get("basic") or {}
    named = basic.get("secretRef") or {}
    if named:
        return named["name"], named.get("usernameKey") or "username", named.get("passwordKey") or "password"
    name = proxy["metadata"]["name"]
    made = generated_login(name) if basic.get("generate") else operators_login(name) if auth.get("clients") else ""
    return made, "username", "password"


def _password(user: str) -> str:
    """From the environment, or from somebody who types it: arguments are seen by everybody on the machine."""
    password = os.environ.get(PASSWORD_VARIABLE, "")  # noqa: TID251 - the command's own edge
    if password:
        return password
    if not sys.stdin.isatty():
        raise InputError(f"--user {user} needs a password; put it into the variable {PASSWORD_VARIABLE}")
    return str(click.prompt(f"Password of {user}", hide_input=True, err=True))
