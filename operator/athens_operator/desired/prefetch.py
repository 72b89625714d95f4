"""The Job that asks the proxy once for the modules of `spec.prefetch`, and the ConfigMap with their list.

It goes through the Service like any client, so it works with every store and obeys the policy. A hash of what the Job
runs ends its name, since a Job cannot be changed: another list, or another image, is another Job, and the old one is
surplus; what is stored by then costs a question each. What a Job achieved stands in the termination message of its pod.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from athens_operator.desired.configuration import BUNDLE_FILE
from athens_operator.desired.container import bundle_container
from athens_operator.desired.image import image_of
from athens_operator.desired.inputs import Inputs
from athens_operator.desired.mounts import bundle_volumes
from athens_operator.desired.names import COMPONENT_LABEL, metadata, service_account_name, service_url
from athens_operator.desired.security import pod_identity, unprivileged
from athens_operator.manifests import MANAGED_BY, MANAGED_BY_LABEL, PROXY_LABEL, Manifest
from athens_operator.spec.operation import Prefetch
from athens_operator.spec.proxy import GO_SUM, AthensProxy
from athens_operator.spec.references import BASIC_AUTH_SECRET, secret_variables

COMPONENT: Final = "prefetch"
FOLDER: Final = "/etc/athens/prefetch"
RETRY_FOR_S: Final = 600
"""The Job is made together with the pods, and these may have to wait for a volume or an image."""
ATTEMPTS: Final = 3
USELESS: Final = 2
"""Exit status for a list that cannot be read; trying again is of no use."""
RESOURCES: Final = {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}}


def prefetch_list(proxy: AthensProxy, inputs: Inputs) -> Manifest | None:
    """The ConfigMap with the modules that the spec lists; None where it lists none."""
    wanted = proxy.spec.prefetch
    if wanted is None or not wanted.modules or "Job" not in inputs.served:
        return None
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _described(proxy, inputs, wanted.modules),
        "data": {"modules": "".join(f"{module}\n" for module in wanted.modules)},
    }


def prefetch_job(proxy: AthensProxy, inputs: Inputs) -> Manifest | None:
    """The Job; None where none is asked for or the cluster gives us none."""
    wanted = proxy.spec.prefetch
    if wanted is None or "Job" not in inputs.served:
        return None
    template = {
        "metadata": {"labels": {PROXY_LABEL: proxy.name, COMPONENT_LABEL: COMPONENT, MANAGED_BY_LABEL: MANAGED_BY}},
        "spec": _pod(proxy, inputs, wanted),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _described(proxy, inputs, template),
        "spec": {
            "backoffLimit": ATTEMPTS,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": COMPONENT, "operator": "In", "values": [USELESS]},
                    }
                ]
            },
            "template": template,
        },
    }


def _described(proxy: AthensProxy, inputs: Inputs, content: object) -> Manifest:
    """The metadata of an object whose name ends in a hash of what it holds."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    described = metadata(proxy, inputs, name=f"{proxy.name}-pf-{digest[:8]}")
    described["labels"] = {**described["labels"], COMPONENT_LABEL: COMPONENT}
    return described


def _pod(proxy: AthensProxy, inputs: Inputs, wanted: Prefetch) -> Manifest:
    trusts = bool(proxy.spec.trusted_ca)
    pod: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": service_account_name(proxy),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_identity(proxy),
        "containers": [_container(proxy, inputs, wanted)],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            _inputs_volume(proxy, inputs, wanted),
            *(bundle_volumes(proxy) if trusts else []),
        ],
    }
    optional = {
        "initContainers": [bundle_container(proxy, inputs)] if trusts else [],
        "imagePullSecrets": [{"name": secret.name} for secret in proxy.spec.image_pull_secrets],
        "nodeSelector": dict(proxy.spec.scheduling.node_selector),
        "tolerations": [dict(toleration) for toleration in proxy.spec.scheduling.tolerations],
        "runtimeClassName": proxy.spec.scheduling.runtime_class_name,
    }
    return pod | {key: value for key, value in optional.items() if value}


def _container(proxy: AthensProxy, inputs: Inputs, wanted: Prefetch) -> Manifest:
    files = (("--go-sum", GO_SUM, wanted.go_sum_config_map_ref), ("--modules", "modules", wanted.modules))
    listed = [word for option, name, given in files if given for word in (option, f"{FOLDER}/{name}")]
    trust = [{"name": "SSL_CERT_FILE", "value": BUNDLE_FILE}] if proxy.spec.trusted_ca else []
    folders = [{"name": "ca-bundle", "mountPath": BUNDLE_FILE.rpartition("/")[0], "readOnly": True}] if trust else []
    return {
        "name": COMPONENT,
        "image": image_of(proxy, inputs),
        "imagePullPolicy": proxy.spec.image_pull_policy,
        "args": ["prefetch", "--url", service_url(proxy, inputs), "--retry-for", str(RETRY_FOR_S), *listed, "--json"],
        "env": [{"name": "HOME", "value": "/tmp"}, *trust, *_login(proxy)],  # noqa: S108 - an emptyDir of the pod
        "resources": dict(RESOURCES),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": unprivileged(),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod, not a shared folder
            {"name": COMPONENT, "mountPath": FOLDER, "readOnly": True},
            *folders,
        ],
    }


def _login(proxy: AthensProxy) -> list[Manifest]:
    """What the proxy asks of its clients."""
    return [
        {"name": variable.name, "valueFrom": {"secretKeyRef": {"name": variable.secret, "key": variable.key}}}
        for variable in secret_variables(proxy.spec)
        if variable.path == BASIC_AUTH_SECRET
    ]


def _inputs_volume(proxy: AthensProxy, inputs: Inputs, wanted: Prefetch) -> Manifest:
    sources: list[Manifest] = []
    if wanted.go_sum_config_map_ref is not None:
        given = wanted.go_sum_config_map_ref
        items = [{"key": given.key or GO_SUM, "path": GO_SUM}]
        sources.append({"configMap": {"name": given.name, "items": items}})
    if wanted.modules:
        name = _described(proxy, inputs, wanted.modules)["name"]
        sources.append({"configMap": {"name": name, "items": [{"key": "modules", "path": "modules"}]}})
    return {"name": COMPONENT, "projected": {"sources": sources, "defaultMode": 0o444}}
