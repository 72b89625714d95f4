"""The variables that lead the pods' requests through an HTTP proxy of the network.

Both cases of each name are set: Go and Python take either, curl and with it git read `http_proxy` in lower case only.
"""

from __future__ import annotations

from athens_operator.desired.inputs import Inputs
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy
from athens_operator.spec.references import EGRESS_NO_PROXY

ALWAYS_DIRECT = ("localhost", "127.0.0.1", "::1", ".svc")
METADATA_SERVERS = (
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "metadata.google.internal",
)
"""Where the platform gives a pod its identity, for the node it runs on alone: asked by every store without keys."""


def egress_variables(proxy: AthensProxy, inputs: Inputs) -> list[Manifest]:
    """The variables, to stand behind those from Secrets; what is inside the cluster is never asked of the proxy."""
    egress = proxy.spec.egress_proxy
    if egress is None:
        return []
    hosts = (f"$({EGRESS_NO_PROXY})",) if egress.secret_ref else egress.no_proxy
    direct = ",".join((*hosts, *ALWAYS_DIRECT, f".{inputs.cluster_domain}", *inputs.service_ranges, *METADATA_SERVERS))
    values = {"HTTP_PROXY": egress.http_proxy, "HTTPS_PROXY": egress.https_proxy, "NO_PROXY": direct}
    return [{"name": each, "value": value} for name, value in values.items() if value for each in (name, name.lower())]
