"""Makes Secrets with logins: once, with a random password, and never writes into them again.

A user changes the password in the Secret, or deletes the Secret to get another one; both replace the pods. That of
`auth.basic.generate` follows the claim's rule: it outlives the proxy unless `deletionPolicy.storage` is Delete, and the
next proxy of the name goes on with it. A proxy with nothing but `auth.clients` gets one for the operator itself, which
could ask its pods nothing otherwise, and for the prefetch Job and the metrics; that one goes with the proxy.
"""

from __future__ import annotations

import base64
import logging
import secrets
from typing import Final

from athens_operator.cluster import Cluster, Conflict, Forbidden, NotFound
from athens_operator.desired.inputs import Inputs
from athens_operator.desired.names import metadata, owner_reference
from athens_operator.desired.volume import RETAINED_FROM
from athens_operator.manifests import PROXY_LABEL, Manifest
from athens_operator.resources import SECRETS
from athens_operator.spec import AthensProxy
from athens_operator.spec.fields import StorageDeletion
from athens_operator.spec.proxy import operators_login

logger = logging.getLogger(__name__)

PASSWORD_BYTES: Final = 24
KEYS: Final = ("username", "password")


class GeneratedLogins:
    """Makes logins that proxies ask for.

    Args:
        cluster: where to.
        allowed: false when the installation does not let the operator make Secrets.
        readable: false when the operator may read no Secret; then only a create tells whether there is one.
    """

    def __init__(self, cluster: Cluster, *, allowed: bool, readable: bool) -> None:
        self._cluster = cluster
        self._allowed = allowed
        self._readable = readable

    async def ensured(self, proxy: AthensProxy, inputs: Inputs) -> AthensProxy:
        """The proxy, with a login of the operator's where it lacks one and the operator may make and read it.

        Where that is not to be had the proxy stays as it is: no pod waits for a login that nobody asked for.

        Raises:
            ClusterError: the API server could not be asked.
        """
        if not (proxy.lacks_login and self._allowed and self._readable):
            await self.ensure(proxy, inputs)
            return proxy
        own = proxy.with_login
        await self.ensure(own, inputs)
        return own if await self._live(own) is not None else proxy

    async def ensure(self, proxy: AthensProxy, inputs: Inputs) -> None:
        """Have the Secret exist, and belong to the proxy exactly if it is to vanish with it.

        Raises:
            ClusterError: the API server could not be asked. A missing right is logged; the status names the Secret.
        """
        if not _is_ours_to_make(proxy) or not self._allowed or proxy.suspension is not None:
            return
        try:
            live = await self._live(proxy)
            if live is None:
                await self._create(proxy, inputs)
            else:
                await self._own(proxy, live)
        except Forbidden as error:
            logger.warning("cannot make Secret %s, set features.generatedSecrets: %s", _name(proxy), error)

    async def _live(self, proxy: AthensProxy) -> Manifest | None:
        if not self._readable:
            return None
        try:
            return await self._cluster.get(SECRETS.ref(proxy.namespace, _name(proxy)))
        except NotFound:
            return None

    async def _create(self, proxy: AthensProxy, inputs: Inputs) -> None:
        values = (proxy.name, secrets.token_urlsafe(PASSWORD_BYTES))
        described = metadata(proxy, inputs, name=_name(proxy), annotations={RETAINED_FROM: proxy.uid})
        if _outlives(proxy):
            del described["ownerReferences"]
        manifest: Manifest = {
            "apiVersion": SECRETS.api_version,
            "kind": SECRETS.kind,
            "metadata": described,
            "type": "kubernetes.io/basic-auth",
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in zip(KEYS, values, strict=True)},
        }
        try:
            await self._cluster.create(manifest)
            logger.info("made Secret %s/%s with a random login", proxy.namespace, _name(proxy))
        except Conflict:
            logger.debug("Secret %s/%s is there already", proxy.namespace, _name(proxy))

    async def _own(self, proxy: AthensProxy, live: Manifest) -> None:
        """Follow an edit of `deletionPolicy`; a Secret that is not of our making stays as it is."""
        described = live["metadata"]
        if (described.get("labels") or {}).get(PROXY_LABEL) != proxy.name:
            return
        wanted = [] if _outlives(proxy) else [owner_reference(proxy)]
        if (described.get("ownerReferences") or []) == wanted:
            return
        named = {"namespace": described["namespace"], "name": described["name"], "uid": described["uid"]}
        patch = {"apiVersion": SECRETS.api_version, "kind": SECRETS.kind}
        await self._cluster.merge({**patch, "metadata": {**named, "ownerReferences": wanted}})


def _name(proxy: AthensProxy) -> str:
    basic = proxy.spec.auth.basic
    return basic.secret_ref.name if basic and basic.secret_ref else ""


def _is_for_the_operator(proxy: AthensProxy) -> bool:
    return bool(proxy.spec.auth.clients) and _name(proxy) == operators_login(proxy.name)


def _is_ours_to_make(proxy: AthensProxy) -> bool:
    basic = proxy.spec.auth.basic
    return (basic is not None and basic.generate) or _is_for_the_operator(proxy)


def _outlives(proxy: AthensProxy) -> bool:
    return proxy.spec.deletion_policy.storage is StorageDeletion.RETAIN and not _is_for_the_operator(proxy)
