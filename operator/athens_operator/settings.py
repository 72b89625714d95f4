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
| `ATHENS_OPERATOR_FEATURES` | empty | comma list: `generatedSecrets` lets the operator make Secrets |
| `ATHENS_OPERATOR_SERVICE_RANGES` | empty | comma list of the networks of Services, for NO_PROXY |
| `ATHENS_OPERATOR_TENANCY` | `Open` | `Restricted` keeps proxies to our images, accounts and harmless volumes |
| `ATHENS_OPERATOR_ALLOWED_IMAGES` | empty | comma list: repositories that `Restricted` allows besides ours |
| `ATHENS_OPERATOR_LOAD_BALANCER_NAMESPACES` | empty | comma list: where `Restricted` allows LoadBalancers |
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


class Tenancy(StrEnum):
    """How far those who write an AthensProxy are trusted."""

    OPEN = "Open"
    RESTRICTED = "Restricted"


class Feature(StrEnum):
    """What an installation switches on, since it needs rights that not everybody wants to give."""

    GENERATED_SECRETS = "generatedSecrets"


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
    features: frozenset[Feature] = frozenset()
    service_ranges: tuple[str, ...] = ()
    tenancy: Tenancy = Tenancy.OPEN
    allowed_images: tuple[str, ...] = ()
    load_balancer_namespaces: tuple[str, ...] = ()
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
        read = _Reader(environ)
        settings = cls(
            namespace=read.text("NAMESPACE", "athens-operator"),
            watch_namespaces=read.listed("WATCH_NAMESPACES"),
            proxy_image=read.text("PROXY_IMAGE", DEFAULT_PROXY_IMAGE),
            log_level=read.one_of("LOG_LEVEL", LOG_LEVELS, "info"),
            secret_access=SecretAccess(read.one_of("SECRET_ACCESS", tuple(SecretAccess), "Get")),
            cluster_domain=read.text("CLUSTER_DOMAIN", "cluster.local"),
            lease_name=read.text("LEASE_NAME", "athens-operator"),
            health_port=read.port("HEALTH_PORT", 8080),
            readback=Readback(read.one_of("READBACK", tuple(Readback), "On")),
            identity=read.text("POD_NAME", socket.gethostname()),
            features=frozenset(map(Feature, read.words("FEATURES", tuple(Feature)))),
            service_ranges=read.listed("SERVICE_RANGES"),
            tenancy=Tenancy(read.one_of("TENANCY", tuple(Tenancy), "Open")),
            allowed_images=read.listed("ALLOWED_IMAGES"),
            load_balancer_namespaces=read.listed("LOAD_BALANCER_NAMESPACES"),
            watch_silence_s=read.seconds("WATCH_SILENCE", 70),
            compare_every_s=read.seconds("COMPARE_EVERY", 300),
        )
        if read.problems:
            raise SettingsError("; ".join(read.problems))
        return settings


class _Reader:
    """Reads variables, and notes what is wrong with them; a wrong one counts as its default."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self._environ.get(PREFIX + name, "").strip() or default

    def listed(self, name: str) -> tuple[str, ...]:
        """The parts of a comma list, each once."""
        return tuple(sorted({part.strip() for part in self.text(name, "").split(",")} - {""}))

    def words(self, name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        given = self.listed(name)
        unknown = [word for word in given if word not in allowed]
        if unknown:
            self.problems.append(f"{PREFIX}{name} lists {', '.join(unknown)}: use {', '.join(allowed)}")
        return tuple(word for word in given if word in allowed)

    def one_of(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        given = self.text(name, default)
        match = next((choice for choice in allowed if choice.lower() == given.lower()), None)
        if match is None:
            self.problems.append(f"{PREFIX}{name}={given!r}: use one of {', '.join(allowed)}")
        return match or default

    def seconds(self, name: str, default: int) -> int:
        given = self.text(name, str(default))
        if given.isdecimal() and 1 <= int(given) <= MAX_SECONDS:
            return int(given)
        self.problems.append(f"{PREFIX}{name}={given!r}: use whole seconds between 1 and {MAX_SECONDS}")
        return default

    def port(self, name: str, default: int) -> int:
        given = self.text(name, str(default))
        if given.isdecimal() and int(given) <= 65535:
            return int(given)
        self.problems.append(f"{PREFIX}{name}={given!r}: use a port between 0 and 65535")
        return default
