"""The Deployment: one container under the restricted Pod Security profile.

`enableServiceLinks` is false because a Service called `athens` would inject `ATHENS_PORT=tcp://…`, which the proxy
would have to read as its port.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from athens_operator.desired.configuration import CONFIG_HASH
from athens_operator.desired.container import CONTAINER, PRE_STOP_S, bundle_container, container
from athens_operator.desired.inputs import Inputs
from athens_operator.desired.mounts import volumes
from athens_operator.desired.names import labels, metadata, selector, service_account_name
from athens_operator.desired.security import pod_identity
from athens_operator.desired.volume import on_one_node
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import ANNOTATION_PREFIX, RESTARTED_AT_ANNOTATION, AthensProxy
from athens_operator.spec.workload import RolloutStrategy

__all__ = ["CONTAINER", "INPUTS_HASH", "deployment", "recreates"]

INPUTS_HASH = ANNOTATION_PREFIX + "inputs-hash"
KILL_MARGIN_S = 10
SPREAD_OVER = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")


def deployment(proxy: AthensProxy, config: Manifest, inputs: Inputs) -> Manifest:
    """The Deployment that runs the proxy.

    Args:
        proxy: whose.
        config: the config ConfigMap; its name and hash reach the pod template.
        inputs: the operator's settings and the cluster facts that reach children.
    """
    rollout = proxy.spec.rollout
    held = inputs.held_replicas if proxy.spec.autoscaling else None
    version = {"resourceVersion": held.resource_version} if held else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata(proxy, inputs, name=proxy.name), **version},
        "spec": {
            **_replicas(proxy, inputs),
            "selector": {"matchLabels": selector(proxy)},
            "strategy": _strategy(proxy, inputs),
            "minReadySeconds": rollout.min_ready_seconds,
            "progressDeadlineSeconds": rollout.progress_deadline_seconds,
            "revisionHistoryLimit": rollout.revision_history_limit,
            "template": {"metadata": _pod_metadata(proxy, config, inputs), "spec": _pod(proxy, config, inputs)},
        },
    }


def _replicas(proxy: AthensProxy, inputs: Inputs) -> Manifest:
    """The number of pods; with an autoscaler it is that one's, once it has taken it over."""
    if proxy.spec.autoscaling is None:
        return {"replicas": proxy.spec.replicas}
    return {"replicas": inputs.held_replicas.count} if inputs.held_replicas else {}


def recreates(proxy: AthensProxy, inputs: Inputs) -> bool:
    """Whether a change stops the old pod before the new one starts."""
    strategy = proxy.spec.rollout.strategy
    return strategy is RolloutStrategy.RECREATE or (strategy is RolloutStrategy.AUTO and on_one_node(proxy, inputs))


def _strategy(proxy: AthensProxy, inputs: Inputs) -> Manifest:
    if recreates(proxy, inputs):
        return {"type": "Recreate"}
    rollout = proxy.spec.rollout
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": rollout.max_surge, "maxUnavailable": rollout.max_unavailable},
    }


def _pod_metadata(proxy: AthensProxy, config: Manifest, inputs: Inputs) -> Manifest:
    restarted_at = proxy.identity.annotations.get(RESTARTED_AT_ANNOTATION)
    return {
        "labels": {**proxy.spec.pod_metadata.labels, **labels(proxy, inputs)},
        "annotations": {
            **proxy.spec.pod_metadata.annotations,
            CONFIG_HASH: config["metadata"]["annotations"][CONFIG_HASH],
            **({INPUTS_HASH: inputs.secrets_hash} if inputs.secrets_hash else {}),
            **({RESTARTED_AT_ANNOTATION: restarted_at} if restarted_at else {}),
        },
    }


def _pod(proxy: AthensProxy, config: Manifest, inputs: Inputs) -> Manifest:
    spec = proxy.spec
    pod: Manifest = {
        "serviceAccountName": service_account_name(proxy),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": PRE_STOP_S + spec.server.timeouts.shutdown_s + KILL_MARGIN_S,
        "securityContext": pod_identity(proxy),
        "containers": [container(proxy, inputs)],
        "volumes": volumes(proxy, config),
    }
    optional = {
        "initContainers": [bundle_container(proxy, inputs)] if spec.trusted_ca else [],
        "imagePullSecrets": [{"name": secret.name} for secret in spec.image_pull_secrets],
        "nodeSelector": dict(spec.scheduling.node_selector),
        "tolerations": [dict(toleration) for toleration in spec.scheduling.tolerations],
        "priorityClassName": spec.scheduling.priority_class_name,
        "runtimeClassName": spec.scheduling.runtime_class_name,
        "affinity": _affinity(proxy, inputs),
        "topologySpreadConstraints": _spread(proxy),
    }
    return pod | {key: value for key, value in optional.items() if value}


def _affinity(proxy: AthensProxy, inputs: Inputs) -> Manifest:
    """The user's, and for a rolling update on a claim that only one node can mount: the new pod beside the old one."""
    wanted: dict[str, Any] = deepcopy(dict(proxy.spec.scheduling.affinity))
    if recreates(proxy, inputs) or not on_one_node(proxy, inputs):
        return wanted
    beside = {"labelSelector": {"matchLabels": selector(proxy)}, "topologyKey": "kubernetes.io/hostname"}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    pods: Mapping[str, Any] = wanted.get("podAffinity") or {}
    return {**wanted, "podAffinity": {**pods, required: [*(pods.get(required) or ()), beside]}}


def _spread(proxy: AthensProxy) -> list[Manifest]:
    """The user's constraints, also if there are none; else several pods are spread over nodes and zones."""
    wanted = proxy.spec.scheduling.topology_spread_constraints
    if wanted is not None:
        return [deepcopy(dict(constraint)) for constraint in wanted]
    if proxy.spec.most_replicas < 2:
        return []
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector(proxy)},
            "matchLabelKeys": ["pod-template-hash"],
        }
        for key in SPREAD_OVER
    ]
