"""Makes the Secret of `auth.basic.generate`: once, with a random password, and never writes into it again.

A user changes the password in the Secret, or deletes the Secret to get another one; both replace the pods. The Secret
follows the claim's rule: it outlives the proxy unless `deletionPolicy.storage` is Delete, and the next proxy of the
name goes on with it.
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
from athens_operator.spec.proxy import generated_login

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

    async def ensure(self, proxy: AthensProxy, inputs: Inputs) -> None:
        """Have the Secret exist, and belong to the proxy exactly if it is to vanish with it.

        Raises:
            ClusterError: the API server could not be asked. A missing right is logged; the status names the Secret.
        """
        basic = proxy.spec.auth.basic
        if basic is None or not basic.generate or not self._allowed or proxy.suspension is not None:
            return
        try:
            live = await self._live(proxy)
            if live is None:
                await self._create(proxy, inputs)
            else:
                await self._own(proxy, live)
        except Forbidden as error:
            logger.warning(
                "cannot make the login of spec.auth.basic.generate, set features.generatedSecrets: %s", error
            )

    async def _live(self, proxy: AthensProxy) -> Manifest | None:
        if not self._readable:
            return None
        try:
            return await self._cluster.get(SECRETS.ref(proxy.namespace, generated_login(proxy.name)))
        except NotFound:
            return None

    async def _create(self, proxy: AthensProxy, inputs: Inputs) -> None:
        values = (proxy.name, secrets.token_urlsafe(PASSWORD_BYTES))
        described = metadata(proxy, inputs, name=generated_login(proxy.name), annotations={RETAINED_FROM: proxy.uid})
        if proxy.spec.deletion_policy.storage is StorageDeletion.RETAIN:
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
            logger.info("made Secret %s/%s with a random login", proxy.namespace, generated_login(proxy.name))
        except Conflict:
            logger.debug("Secret %s/%s is there already", proxy.namespace, generated_login(proxy.name))

    async def _own(self, proxy: AthensProxy, live: Manifest) -> None:
        """Follow an edit of `deletionPolicy`; a Secret that is not of our making stays as it is."""
        described = live["metadata"]
        if (described.get("labels") or {}).get(PROXY_LABEL) != proxy.name:
            return
        kept = proxy.spec.deletion_policy.storage is StorageDeletion.RETAIN
        wanted = [] if kept else [owner_reference(proxy)]
        if (described.get("ownerReferences") or []) == wanted:
            return
        named = {"namespace": described["namespace"], "name": described["name"], "uid": described["uid"]}
        patch = {"apiVersion": SECRETS.api_version, "kind": SECRETS.kind}
        await self._cluster.merge({**patch, "metadata": {**named, "ownerReferences": wanted}})
