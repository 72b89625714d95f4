"""How many pods run and how many may be away: HorizontalPodAutoscaler and PodDisruptionBudget."""

from __future__ import annotations

from athens_operator.desired.inputs import Inputs
from athens_operator.desired.names import metadata, selector
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy

DEFAULT_CPU_PERCENT = 80
SCALE_DOWN_WINDOW_S = 300


def horizontal_pod_autoscaler(proxy: AthensProxy, inputs: Inputs) -> Manifest | None:
    """The autoscaler, or None for a fixed number of pods."""
    wanted = proxy.spec.autoscaling
    if wanted is None:
        return None
    targets = {"cpu": wanted.target_cpu, "memory": wanted.target_memory}
    if not any(targets.values()):
        targets["cpu"] = DEFAULT_CPU_PERCENT
    metrics = [
        {
            "type": "Resource",
            "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}},
        }
        for name, percent in targets.items()
        if percent
    ]
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(proxy, inputs, name=proxy.name),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": proxy.name},
            "minReplicas": wanted.least,
            "maxReplicas": wanted.max_replicas,
            "metrics": metrics,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": SCALE_DOWN_WINDOW_S}},
        },
    }


def pod_disruption_budget(proxy: AthensProxy, inputs: Inputs) -> Manifest | None:
    """The budget, or None where it is not wanted, or where one pod alone runs and would block every drain."""
    wanted = proxy.spec.pod_disruption_budget
    if wanted.disabled or proxy.spec.most_replicas < 2:
        return None
    if wanted.min_available is not None:
        bound: Manifest = {"minAvailable": wanted.min_available}
    else:
        bound = {"maxUnavailable": 1 if wanted.max_unavailable is None else wanted.max_unavailable}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(proxy, inputs, name=proxy.name),
        "spec": {
            **bound,
            "selector": {"matchLabels": selector(proxy)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
