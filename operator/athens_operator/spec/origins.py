"""The parts of `AthensProxy.spec` that say how the pods reach origins: credentials and a proxy of the network."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from athens_operator.spec.values import KeyReference, NamedReference, ObjectName, Spec


class CredentialType(StrEnum):
    """What a credential is: a login for one match, or a whole file that git, hg or the go command reads."""

    NETRC = "netrc"
    GIT_CONFIG = "gitConfig"
    HGRC = "hgrc"
    BASIC = "basic"
    TOKEN = "token"  # noqa: S105 - a word of the schema
    SSH = "ssh"
    GITHUB_APP = "githubApp"


class KnownHosts(Spec):
    """The keys of an ssh server: in a ConfigMap, in a Secret or written out, exactly one of them."""

    config_map_ref: KeyReference | None = None
    secret_ref: KeyReference | None = None
    inline: str = ""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(map(bool, (self.config_map_ref, self.secret_ref, self.inline))) != 1:
            raise ValueError("set exactly one of configMapRef, secretRef and inline")
        return self


class Credential(Spec):
    """What is shown to origins and upstream proxies below `match`; the file types name their hosts themselves."""

    name: ObjectName
    type: CredentialType
    match: str = ""
    secret_ref: KeyReference
    username: str = ""
    port: int | None = None
    instead_of: tuple[str, ...] | None = None
    known_hosts: KnownHosts | None = None
    insecure_ignore_host_key: bool = False
    app_id: int | None = Field(default=None, alias="appID")
    installation_id: int | None = Field(default=None, alias="installationID")


class EgressProxy(Spec):
    """The HTTP proxy between the pods and the network: its addresses, or a Secret with them."""

    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: tuple[str, ...] = ()
    secret_ref: NamedReference | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.secret_ref is None) is not bool(self.http_proxy or self.https_proxy):
            raise ValueError("set httpProxy, httpsProxy or both, or secretRef, whose Secret holds them")
        return self
