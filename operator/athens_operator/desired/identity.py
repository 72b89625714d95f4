"""The ServiceAccount of the pods."""

from __future__ import annotations

from athens_operator.desired.inputs import Inputs
from athens_operator.desired.names import metadata, service_account_name
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy


def service_account(proxy: AthensProxy, inputs: Inputs) -> Manifest | None:
    """The account, or None where the user brings one; it has no rights and its token is not mounted."""
    wanted = proxy.spec.service_account
    if not wanted.create:
        return None
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(
            proxy,
            inputs,
            name=service_account_name(proxy),
            extra_labels=wanted.labels,
            annotations=wanted.annotations,
        ),
        "automountServiceAccountToken": False,
    }
