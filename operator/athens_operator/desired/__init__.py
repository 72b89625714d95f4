"""The children of one AthensProxy: a table of contents. Pure; golden files pin the result.

Every builder returns new dicts, logs nothing and reads no clock, so equal input gives equal bytes.
"""

from __future__ import annotations

from athens_operator.desired.configuration import config_map, policy_config_map
from athens_operator.desired.identity import service_account
from athens_operator.desired.inputs import Inputs
from athens_operator.desired.monitoring import service_monitor
from athens_operator.desired.monitoring_children import dashboard_config_map, prometheus_rule
from athens_operator.desired.network import http_route, ingress, service
from athens_operator.desired.network_policy import network_policy
from athens_operator.desired.prefetch import prefetch_job, prefetch_list
from athens_operator.desired.scaling import horizontal_pod_autoscaler, pod_disruption_budget
from athens_operator.desired.volume import persistent_volume_claim
from athens_operator.desired.workload import deployment
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy

__all__ = ["Inputs", "desired_objects"]


def desired_objects(
    proxy: AthensProxy, policy_text: str | None, inputs: Inputs, *, start_pods: bool = True
) -> tuple[Manifest, ...]:
    """The manifests of all children, in the order in which they are to be applied.

    Args:
        proxy: whose children.
        policy_text: the rendered download file; None when there is none yet and no last good one. Then its ConfigMap
            and the Deployment are left out: no pod starts without a policy.
        inputs: the operator's settings and the cluster facts that reach children.
        start_pods: false while something that pods need does not exist, such as a Secret; leaves the Deployment out,
            and what runs stays as it is.
    """
    config = config_map(proxy, inputs)
    children = [
        service_account(proxy, inputs),
        config,
        policy_config_map(proxy, policy_text, inputs) if policy_text is not None else None,
        persistent_volume_claim(proxy, inputs),
        deployment(proxy, config, inputs) if policy_text is not None and start_pods else None,
        service(proxy, inputs),
        horizontal_pod_autoscaler(proxy, inputs),
        pod_disruption_budget(proxy, inputs),
        ingress(proxy, inputs),
        http_route(proxy, inputs),
        network_policy(proxy, inputs),
        service_monitor(proxy, inputs),
        prometheus_rule(proxy, inputs),
        dashboard_config_map(proxy, inputs),
        prefetch_list(proxy, inputs),
        prefetch_job(proxy, inputs) if policy_text is not None and start_pods else None,
    ]
    return tuple(child for child in children if child is not None)
