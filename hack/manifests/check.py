"""The chart and the manifests, judged without a cluster.

kubeconform needs JSON schemas of the built-in kinds, which are fetched from a site that a build machine need not reach.
So structure is checked here by rules of our own, and the schemas by the API server itself in the control-plane tier.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import yaml

from manifests.derive import AS_OF, CHART, ROOT, derived, helm, outdated, rendered

Manifest = Mapping[str, Any]

# What a user may choose together; each must lint and render.
VARIANTS: Final = (
    (),
    ("rbac.scope=Namespaced", "rbac.userRoles=false", "crds.enabled=false"),
    ("rbac.scope=Namespaced", "watch.namespaces={team-a,team-b}"),
    ("secretAccess=None", "readback=Off", "metrics.service=true", "replicas=2", "optionalChildren.httpRoutes=false"),
    ("tenancy=Restricted", "tenants.images={registry.example.com/mine}", "tenants.loadBalancerNamespaces={team-a}"),
    ("metrics.serviceMonitor.enabled=true", "metrics.rules.enabled=true", "metrics.dashboard.enabled=true"),
    ("features.generatedSecrets=true", "serviceRanges={10.96.0.0/12,fd00::/108}"),
    ("serviceAccount.create=false", "serviceAccount.name=mine", "rbac.create=false"),
    ("image.digest=sha256:" + "0" * 64, "imagePullSecrets[0].name=pull", "scheduling.priorityClassName=high"),
)
_CLUSTER_SCOPED: Final = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}


def objects(stream: str) -> list[Manifest]:
    """The manifests of a YAML stream, empty documents left out."""
    return [document for document in yaml.load_all(stream, yaml.CSafeLoader) if document]


def problems_of(manifests: list[Manifest]) -> list[str]:
    """What is wrong with one rendering: structure, identity, rights, pod security."""
    rules: tuple[Callable[[Manifest], Iterator[str]], ...] = (_identity, _rights, _restricted)
    found = [f"{_name(manifest)}: {problem}" for manifest in manifests for rule in rules for problem in rule(manifest)]
    names = [_name(manifest) for manifest in manifests]
    return found + [f"{name}: rendered twice" for name in sorted({name for name in names if names.count(name) > 1})]


def _name(manifest: Manifest) -> str:
    metadata = manifest.get("metadata") or {}
    return f"{manifest.get('kind')} {metadata.get('namespace', '-')}/{metadata.get('name')}"


def _identity(manifest: Manifest) -> Iterator[str]:
    for field in ("apiVersion", "kind", "metadata"):
        if not manifest.get(field):
            yield f"{field} is missing"
    namespaced = manifest.get("kind") not in _CLUSTER_SCOPED
    if namespaced != ("namespace" in (manifest.get("metadata") or {})):
        yield "metadata.namespace is missing" if namespaced else "metadata.namespace on a cluster-scoped object"


def _rights(manifest: Manifest) -> Iterator[str]:
    if manifest.get("kind") not in {"Role", "ClusterRole"}:
        return
    for rule in manifest["rules"]:
        if "*" in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]:
            yield f"enumerate instead of '*': {rule}"
        if "secrets" in rule["resources"] and set(rule["verbs"]) & {"list", "watch", "delete"}:
            yield "Secrets are fetched by name, never listed, watched or deleted"
        if "persistentvolumeclaims" in rule["resources"] and "delete" in rule["verbs"]:
            yield "volume claims are never deleted"


def _restricted(manifest: Manifest) -> Iterator[str]:
    """The restricted Pod Security profile, a read-only root and a bounded container."""
    if manifest.get("kind") != "Deployment":
        return
    pod = manifest["spec"]["template"]["spec"]
    if pod["securityContext"].get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not set"
    if pod["securityContext"].get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccompProfile is not RuntimeDefault"
    for container in pod["containers"]:
        security = container["securityContext"]
        if security.get("allowPrivilegeEscalation") is not False or security.get("capabilities") != {"drop": ["ALL"]}:
            yield f"container {container['name']} is not restricted"
        if security.get("readOnlyRootFilesystem") is not True:
            yield f"container {container['name']} can write its root"
        if "memory" not in container["resources"].get("limits", {}):
            yield f"container {container['name']} has no memory limit"


def main() -> int:
    """Lint and render every variant, check what comes out and what is derived; name all problems."""
    found = [f"{path.relative_to(ROOT)} is out of date: run hack/install-yaml" for path in outdated(derived())]
    helm("lint", "--strict", "--quiet", *AS_OF, str(CHART))
    for variant in VARIANTS:
        found += [
            f"{problem} (with {', '.join(variant) or 'defaults'})"
            for problem in problems_of(objects(rendered(*variant)))
        ]
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
