"""Looks up the Secrets and ConfigMaps that a proxy refers to: by name, never by listing, only to know that they exist.

Values are hashed with a random key of the operator's own (Secret `athens-operator-state`), so that a change rolls the
pods while the hash on the pod template tells nobody a weak password. The proxy's own login also opens `/-/policy` of
its pods. Nothing else is done with them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from athens_operator.cluster import Cluster, Conflict, Forbidden, Invalid, NotFound
from athens_operator.manifests import Manifest
from athens_operator.resources import CONFIG_MAPS, SECRETS
from athens_operator.spec import AthensProxy, SecretReference
from athens_operator.spec.references import BASIC_AUTH_SECRET
from athens_operator.status_observed import MissingSecret

logger = logging.getLogger(__name__)

STATE_NAME = "athens-operator-state"
STATE_KEY = "inputs-hash-key"


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """What is known about the Secrets of one proxy.

    Args:
        missing: Secrets and keys that do not exist.
        readable: false when the operator may not read Secrets, so that nothing is known.
        hash: keyed hash over the referenced keys; empty when there are none or not all could be read.
        login: user name and password of the proxy's clients, to ask its pods with; None when there are none.
    """

    missing: tuple[MissingSecret, ...] = ()
    readable: bool = True
    hash: str = ""
    login: tuple[str, str] | None = field(default=None, repr=False)


class SecretReader:
    """Reads Secrets by name.

    Args:
        cluster: where from.
        namespace: the operator's own, where its state Secret lives.
        allowed: false when the installation forbids reading Secrets.
    """

    def __init__(self, cluster: Cluster, *, namespace: str, allowed: bool) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._allowed = allowed
        self._hash_key = b""

    async def facts(self, proxy: AthensProxy) -> SecretFacts:
        """What exists and what is missing.

        Raises:
            ClusterError: the API server could not be asked; a missing right is an answer, not an error.
        """
        references = proxy.secret_references
        if not references:
            return SecretFacts()
        if not self._allowed:
            return SecretFacts(readable=False)
        try:
            return await self._look(proxy.namespace, references)
        except Forbidden as error:
            logger.warning("Secrets cannot be read, their absence will not be noticed: %s", error)
            return SecretFacts(readable=False)

    async def _look(self, namespace: str, references: tuple[SecretReference, ...]) -> SecretFacts:
        missing: list[MissingSecret] = []
        login: tuple[str, str] | None = None
        key_of_hash = await self._key()
        seal = hmac.new(key_of_hash, digestmod=hashlib.sha256)
        for reference in references:
            try:
                resource = CONFIG_MAPS if reference.kind == CONFIG_MAPS.kind else SECRETS
                data = (await self._cluster.get(resource.ref(namespace, reference.name))).get("data") or {}
            except NotFound:
                missing.append(MissingSecret(reference))
                continue
            missing += [MissingSecret(reference, key) for key in reference.keys if key not in data]
            if reference.path == BASIC_AUTH_SECRET:
                login = _login(data, reference)
            for key in () if reference.hot else reference.keys or sorted(data):
                seal.update(f"{reference.name}\0{key}\0{data.get(key, '')}\0".encode())
        known = key_of_hash and not any(found.reference.holds_pods for found in missing)
        return SecretFacts(tuple(missing), hash=seal.hexdigest()[:32] if known else "", login=login)

    async def _key(self) -> bytes:
        """The key of the hash; empty without the right to keep one, which would otherwise change at every start."""
        if not self._hash_key:
            try:
                self._hash_key = await self._stored_key() or await self._create_key()
            except (Forbidden, Invalid) as error:
                logger.warning(
                    "changed Secrets will not roll pods, grant get, create and patch on Secret %s/%s, or delete it: %s",
                    self._namespace,
                    STATE_NAME,
                    error,
                )
        return self._hash_key

    async def _stored_key(self) -> bytes:
        try:
            state = await self._cluster.get(SECRETS.ref(self._namespace, STATE_NAME))
        except NotFound:
            return b""
        try:
            return base64.b64decode((state.get("data") or {}).get(STATE_KEY, ""), validate=True)
        except binascii.Error:
            return b""

    async def _create_key(self) -> bytes:
        key = os.urandom(32)
        try:
            await self._cluster.create(self._state(key))
        except Conflict:  # another replica was faster, or the Secret exists without a usable key
            return await self._stored_key() or await self._replace_key(key)
        return key

    async def _replace_key(self, key: bytes) -> bytes:
        await self._cluster.apply(self._state(key))
        return key

    def _state(self, key: bytes) -> Manifest:
        return {
            "apiVersion": SECRETS.api_version,
            "kind": SECRETS.kind,
            "metadata": {"namespace": self._namespace, "name": STATE_NAME},
            "type": "Opaque",
            "data": {STATE_KEY: base64.b64encode(key).decode()},
        }


def _login(data: Mapping[str, str], reference: SecretReference) -> tuple[str, str] | None:
    """User name and password, None while one of them is missing or cannot be sent."""
    try:
        user, password = (base64.b64decode(data[key], validate=True).decode() for key in reference.keys)
    except (KeyError, ValueError):
        return None
    return None if ":" in user else (user, password)
