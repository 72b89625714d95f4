"""Names come from users: none of them leads the operator's rights to an object of another namespace or kind."""

from __future__ import annotations

import pytest
from kubernetes.aio.client.configuration import Configuration

from athens_operator.cluster import Invalid, NotFound
from athens_operator.kube import KubeCluster
from athens_operator.metrics import Metrics
from athens_operator.resources import CLAIMS, SECRETS, SERVICE_ACCOUNTS

NOWHERE = "http://127.0.0.1:1"  # whoever is asked there gives another error
HOSTILE = ["../../victim/secrets/prize", "..", ".", "a/b", "..%2F..%2Fvictim%2Fsecrets%2Fprize"]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_name_that_is_a_path_names_no_object(name: str) -> None:
    cluster = KubeCluster(Configuration(host=NOWHERE), Metrics(), user_agent="test")
    try:
        for resource in (SECRETS, CLAIMS):
            with pytest.raises(NotFound, match="no object can have such a name"):
                await cluster.get(resource.ref("team-a", name))
        account = SERVICE_ACCOUNTS.ref("team-a", name)
        manifest = {"apiVersion": account.api_version, "kind": account.kind}
        with pytest.raises(Invalid, match="no object can have such a name"):
            await cluster.apply({**manifest, "metadata": {"namespace": "team-a", "name": name}})
        with pytest.raises(Invalid, match="no object can have such a name"):
            await cluster.delete(account, uid="1")
    finally:
        await cluster.close()
