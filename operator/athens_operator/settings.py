"""The operator's own knobs, read once from the environment.

| variable | default | meaning |
|---|---|---|
| `ATHENS_OPERATOR_NAMESPACE` | `athens-operator` | where the operator's Lease and state Secret live |
| `ATHENS_OPERATOR_WATCH_NAMESPACES` | empty | comma list; empty is the cluster. With a list, no cluster policies |
| `ATHENS_OPERATOR_PROXY_IMAGE` | `athens-operator/proxy:<release>` | for proxies that name neither image nor version |
| `ATHENS_OPERATOR_LOG_LEVEL` | `info` | debug, info, warning or error |
| `ATHENS_OPERATOR_SECRET_ACCESS` | `Get` | `Get` reads referenced Secrets by name; `None` never asks for one |
| `ATHENS_OPERATOR_CLUSTER_DOMAIN` | `cluster.local` | suffix of Service names in status |
| `ATHENS_OPERATOR_LEASE_NAME` | `athens-operator` | the Lease that elects the one writer |
| `ATHENS_OPERATOR_HEALTH_PORT` | `8080` | port of /healthz, /readyz and /metrics; 0 takes a free one |
| `ATHENS_OPERATOR_READBACK` | `On` | `On` asks every pod which policy it enforces; `Off` leaves that Unknown |
| `ATHENS_OPERATOR_POD_NAME` | the host name | identity in the Lease and in Events |
| `ATHENS_OPERATOR_WATCH_SILENCE` | `70` | a watch that says nothing for so many seconds is opened again |
| `ATHENS_OPERATOR_COMPARE_EVERY` | `300` | seconds between lists that find what watches lost; a fifth for policies |
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from athens_operator.errors import OperatorError

PREFIX = "ATHENS_OPERATOR_"
RELEASE = "0.1.0"
DEFAULT_PROXY_IMAGE = f"athens-operator/proxy:{RELEASE}"
MAX_SECONDS = 3600
LOG_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(OperatorError):
    """A variable has a value that cannot be used; every wrong one is named at once."""


class SecretAccess(StrEnum):
    """Whether the operator may read the Secrets that proxies refer to."""

    GET = "Get"
    NONE = "None"


class Readback(StrEnum):
    """Whether pods are asked which policy they enforce."""

    ON = "On"
    OFF = "Off"


@dataclass(frozen=True, slots=True)
class Settings:
    """What an administrator can choose about the operator; the module docstring holds the table."""

    namespace: str = "athens-operator"
    watch_namespaces: tuple[str, ...] = ()
    proxy_image: str = DEFAULT_PROXY_IMAGE
    log_level: str = "info"
    secret_access: SecretAccess = SecretAccess.GET
    cluster_domain: str = "cluster.local"
    lease_name: str = "athens-operator"
    health_port: int = 8080
    readback: Readback = Readback.ON
    identity: str = "athens-operator"
    watch_silence_s: int = 70
    compare_every_s: int = 300

    @property
    def cluster_wide(self) -> bool:
        """Whether every namespace is served, and with it the cluster policies."""
        return not self.watch_namespaces

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Settings from the variables of a process; empty ones count as absent.

        Raises:
            SettingsError: one or more values cannot be used; the message names each with what is allowed.
        """
        problems: list[str] = []

        def value(name: str, default: str) -> str:
            return environ.get(PREFIX + name, "").strip() or default

        def one_of(name: str, allowed: tuple[str, ...], default: str) -> str:
            given = value(name, default)
            match = next((choice for choice in allowed if choice.lower() == given.lower()), None)
            if match is None:
                problems.append(f"{PREFIX}{name}={given!r}: use one of {', '.join(allowed)}")
            return match or default

        def seconds(name: str, default: int) -> int:
            given = value(name, str(default))
            if given.isdecimal() and 1 <= int(given) <= MAX_SECONDS:
                return int(given)
            problems.append(f"{PREFIX}{name}={given!r}: use whole seconds between 1 and {MAX_SECONDS}")
            return default

        port = value("HEALTH_PORT", "8080")
        if not port.isdecimal() or int(port) > 65535:
            problems.append(f"{PREFIX}HEALTH_PORT={port!r}: use a port between 0 and 65535")
        settings = cls(
            namespace=value("NAMESPACE", "athens-operator"),
            watch_namespaces=tuple(sorted({part.strip() for part in value("WATCH_NAMESPACES", "").split(",")} - {""})),
            proxy_image=value("PROXY_IMAGE", DEFAULT_PROXY_IMAGE),
            log_level=one_of("LOG_LEVEL", LOG_LEVELS, "info"),
            secret_access=SecretAccess(one_of("SECRET_ACCESS", tuple(SecretAccess), "Get")),
            cluster_domain=value("CLUSTER_DOMAIN", "cluster.local"),
            lease_name=value("LEASE_NAME", "athens-operator"),
            health_port=int(port) if not problems else 0,
            readback=Readback(one_of("READBACK", tuple(Readback), "On")),
            identity=value("POD_NAME", socket.gethostname()),
            watch_silence_s=seconds("WATCH_SILENCE", 70),
            compare_every_s=seconds("COMPARE_EVERY", 300),
        )
        if problems:
            raise SettingsError("; ".join(problems))
        return settings
