"""The Deployment: one container under the restricted Pod Security profile.

`enableServiceLinks` is false because a Service called `athens` would inject `ATHENS_PORT=tcp://…`, which the proxy
would have to read as its port.
"""

from __future__ import annotations

from athens_operator.desired.configuration import (
    CONFIG_FOLDER,
    CONFIG_HASH,
    DOWNLOAD_MODE,
    POLICY_FOLDER,
    PORT,
    SCRATCH_FOLDER,
)
from athens_operator.desired.image import image_of
from athens_operator.desired.inputs import Inputs
from athens_operator.desired.names import claim_name, labels, metadata, policy_name, selector, service_account_name
from athens_operator.desired.volume import on_one_node
from athens_operator.manifests import Manifest
from athens_operator.spec.fields import EnvVar, RolloutStrategy
from athens_operator.spec.proxy import ANNOTATION_PREFIX, RESTARTED_AT_ANNOTATION, AthensProxy

INPUTS_HASH = ANNOTATION_PREFIX + "inputs-hash"
CONTAINER = "athens"
HOME_FOLDER = "/home/athens"
PRE_STOP_S = 5
KILL_MARGIN_S = 10
READ_BY_ALL = 0o444  # production mode refuses files that group or others may write
DEFAULT_RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}
DEFAULT_SCRATCH_SIZE = "4Gi"


def deployment(proxy: AthensProxy, config: Manifest, inputs: Inputs) -> Manifest:
    """The Deployment that runs the proxy.

    Args:
        proxy: whose.
        config: the config ConfigMap; its name and hash reach the pod template.
        inputs: the operator's settings and the cluster facts that reach children.
    """
    rollout = proxy.spec.rollout
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(proxy, inputs, name=proxy.name),
        "spec": {
            "replicas": proxy.spec.replicas,
            "selector": {"matchLabels": selector(proxy)},
            "strategy": _strategy(proxy, inputs),
            "minReadySeconds": rollout.min_ready_seconds,
            "progressDeadlineSeconds": rollout.progress_deadline_seconds,
            "revisionHistoryLimit": rollout.revision_history_limit,
            "template": {"metadata": _pod_metadata(proxy, config, inputs), "spec": _pod(proxy, config, inputs)},
        },
    }


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
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(proxy, inputs)],
        "volumes": _volumes(proxy, config),
    }
    optional = {
        "imagePullSecrets": [{"name": secret.name} for secret in spec.image_pull_secrets],
        "nodeSelector": dict(spec.scheduling.node_selector),
        "tolerations": [dict(toleration) for toleration in spec.scheduling.tolerations],
        "priorityClassName": spec.scheduling.priority_class_name,
        "affinity": _affinity(proxy, inputs),
    }
    return pod | {key: value for key, value in optional.items() if value}


def _affinity(proxy: AthensProxy, inputs: Inputs) -> Manifest:
    """A rolling update on a claim that only one node can mount starts the new pod beside the old one."""
    if recreates(proxy, inputs) or not on_one_node(proxy, inputs):
        return {}
    beside = {"labelSelector": {"matchLabels": selector(proxy)}, "topologyKey": "kubernetes.io/hostname"}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [beside]}}


def _container(proxy: AthensProxy, inputs: Inputs) -> Manifest:
    resources = proxy.spec.resources
    return {
        "name": CONTAINER,
        "image": image_of(proxy, inputs),
        "imagePullPolicy": proxy.spec.image_pull_policy,
        "args": [f"-config_file={CONFIG_FOLDER}/config.toml"],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "env": _environment(proxy),
        "resources": dict(DEFAULT_RESOURCES if resources is None else resources),
        "startupProbe": _probe("/healthz", periodSeconds=2, failureThreshold=60),
        "livenessProbe": _probe("/healthz", periodSeconds=10, timeoutSeconds=5, failureThreshold=3),
        "readinessProbe": _probe("/readyz", periodSeconds=5, timeoutSeconds=5, failureThreshold=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_S}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": _mounts(proxy),
    }


def _probe(path: str, **settings: int) -> Manifest:
    """Health endpoints answer at the root without credentials, also under a path prefix."""
    return {"httpGet": {"path": path, "port": "http", "scheme": "HTTP"}, **settings}


def _environment(proxy: AthensProxy) -> list[Manifest]:
    """Secrets, and the two pins in the form that beats every other, also what an image or `envFrom` sets."""
    basic = proxy.spec.auth.basic
    fixed: list[Manifest] = [
        {"name": "ATHENS_ATHENS_DOWNLOAD_MODE", "value": DOWNLOAD_MODE},
        {"name": "ATHENS_ATHENS_FILTER_FILE", "value": ""},
        {"name": "HOME", "value": HOME_FOLDER},
        {"name": "TMPDIR", "value": SCRATCH_FOLDER},
    ]
    if basic is not None:
        secret = basic.secret_ref
        fixed += [
            _from_secret("BASIC_AUTH_USER", secret.name, secret.username_key),
            _from_secret("BASIC_AUTH_PASS", secret.name, secret.password_key),
        ]
    return fixed + [_extra(variable) for variable in proxy.spec.extra_env]


def _from_secret(name: str, secret: str, key: str) -> Manifest:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _extra(variable: EnvVar) -> Manifest:
    if variable.value_from is None:
        return {"name": variable.name, "value": variable.value or ""}
    return {
        "name": variable.name,
        "valueFrom": variable.value_from.model_dump(by_alias=True, exclude_unset=True, exclude_none=True),
    }


def _mounts(proxy: AthensProxy) -> list[Manifest]:
    mounts: list[Manifest] = [
        {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
        {"name": "policy", "mountPath": POLICY_FOLDER, "readOnly": True},
        {"name": "scratch", "mountPath": SCRATCH_FOLDER},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod, not a shared folder
        {"name": "home", "mountPath": HOME_FOLDER},
    ]
    disk = proxy.spec.storage.disk
    return mounts + ([{"name": "data", "mountPath": disk.path}] if disk is not None else [])


def _volumes(proxy: AthensProxy, config: Manifest) -> list[Manifest]:
    scratch = proxy.spec.scratch
    volumes: list[Manifest] = [
        {"name": "config", "configMap": {"name": config["metadata"]["name"], "defaultMode": READ_BY_ALL}},
        {"name": "policy", "configMap": {"name": policy_name(proxy), "defaultMode": READ_BY_ALL}},
        {"name": "scratch", "emptyDir": _empty_dir(scratch.size_limit or DEFAULT_SCRATCH_SIZE, scratch.medium)},
        {"name": "tmp", "emptyDir": {}},
        {"name": "home", "emptyDir": {}},
    ]
    disk = proxy.spec.storage.disk
    if disk is None:
        return volumes
    if disk.ephemeral is not None:
        return [*volumes, {"name": "data", "emptyDir": _empty_dir(disk.ephemeral.size_limit, disk.ephemeral.medium)}]
    return [*volumes, {"name": "data", "persistentVolumeClaim": {"claimName": claim_name(proxy)}}]


def _empty_dir(size_limit: str | None, medium: str) -> Manifest:
    return {**({"sizeLimit": size_limit} if size_limit else {}), **({"medium": medium} if medium else {})}
