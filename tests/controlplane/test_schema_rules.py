"""Every rule in the hand-written schemas, fired once by a real API server: place and text are what users will read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from athens_operator.manifests import Manifest, ref_of
from athens_operator.resources import API_VERSION, CLUSTER_POLICIES, JOBS, OPTIONAL_CHILDREN
from support.crd_schema import FILES, messages, nodes, schema
from support.kube_api import RESOURCES, KubeApi, Refused
from support.proxies import policy, proxy
from support.refused_operation import OPERATION_RULES
from support.refused_origins import ORIGIN_RULES
from support.refused_specs import (
    EXPOSURE_RULES,
    SHARED,
    SHARING_RULES,
    STORE_RULES,
    STORES,
    WORKLOAD_RULES,
    ingress,
    mounted,
    redis,
    store,
)
from support.tree import ROOT

OPTIONAL_KINDS = {resource.kind for resource in OPTIONAL_CHILDREN if resource is not JOBS}
GOLDEN: Path = ROOT / "tests" / "unit" / "operator" / "golden"
RULE = {"name": "a", "patterns": ["example.com/x"], "mode": "sync"}


def disk(**member: Any) -> dict[str, Any]:
    return {"storage": {"type": "disk", "disk": member}}


def inline(**changes: Any) -> dict[str, Any]:
    return {"download": {"rules": [{**RULE, **changes}]}}


def timeouts(**changes: str) -> dict[str, Any]:
    return {"server": {"timeouts": changes}}


CLAIM = {"size": "1Gi"}
WIDE = [{**RULE, "name": f"r{n}", "patterns": [f"x{m}.example" for m in range(32)]} for n in range(63)]
REDIRECT = {"mode": "redirect"}
FIRST_RULE = "spec.download.rules[0]"

NAME = "use the name of an object; lower case letters, digits, dashes and dots"
SECRET_KEY = "use a key of the Secret; letters, digits, dashes, underscores and dots"
KEY = "a key consists of letters, digits, dashes, underscores and dots, after a domain and a slash where it has one"
LABEL = (
    "a label value consists of letters, digits, dashes, underscores and dots, and starts and ends with a letter or "
    "digit"
)


def toleration(**changes: Any) -> dict[str, Any]:
    return {"scheduling": {"tolerations": [changes]}}


def basic(**changes: str) -> dict[str, Any]:
    return {"auth": {"basic": {"secretRef": {"name": "login", **changes}}}}


def from_secret(**reference: Any) -> dict[str, Any]:
    return {"extraEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b", **reference}}}]}


TRAVERSAL = "../../victim/secrets/prize"
FIRST_TOLERATION = "spec.scheduling.tolerations[0]"
# spec of an AthensProxy, the place, the whole text
PROXY_RULES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"replicas": 2},
        "spec.replicas",
        "memory storage is not shared between pods; use one replica, or disk storage with ReadWriteMany",
    ),
    (
        {"replicas": 2, **disk(ephemeral={})},
        "spec.replicas",
        "ephemeral disk storage is not shared between pods; use one replica, or a claim with ReadWriteMany",
    ),
    (
        {"replicas": 2, **disk(persistentVolumeClaim=CLAIM)},
        "spec.replicas",
        "the claim can be mounted on one node only; use ReadWriteMany or one replica",
    ),
    ({"version": "1.2"}, "spec.version", "write a release such as v0.3.0"),
    (
        {"image": "a b"},
        "spec.image",
        "write an image reference such as registry.example.com/athens/proxy:v0.3.0",
    ),
    (
        {"serviceAccount": {"create": False}},
        "spec.serviceAccount.name",
        "name the ServiceAccount to use, or let create be true",
    ),
    (
        {"podMetadata": {"labels": {"app.kubernetes.io/name": "x"}}},
        "spec.podMetadata.labels",
        "keys under athensproxy.dev, app.kubernetes.io, argocd.argoproj.io, kustomize.toolkit.fluxcd.io and helm.sh "
        "are reserved; use another prefix",
    ),
    (
        {"podMetadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x"}}},
        "spec.podMetadata.annotations",
        "keys under athensproxy.dev, app.kubernetes.io, argocd.argoproj.io, kustomize.toolkit.fluxcd.io and helm.sh, "
        "and kubectl's last-applied-configuration, are reserved; use another key",
    ),
    (
        {"extraEnv": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        "spec.extraEnv[0]",
        "set value or valueFrom, not both",
    ),
    (
        {"extraEnv": [{"name": "9", "value": "1"}]},
        "spec.extraEnv[0].name",
        "use letters, digits and underscores, and do not start with a digit",
    ),
    (
        {"extraEnv": [{"name": "ATHENS_ATHENS_DOWNLOAD_MODE", "value": "none"}]},
        "spec.extraEnv[0].name",
        "this variable is set by the operator; use the field of that setting instead",
    ),
    (
        {"storage": {"type": "disk"}},
        "spec.storage.disk",
        "set storage.disk exactly when storage.type is disk; remove the members of other types",
    ),
    (
        {"storage": {"type": "memory"}},
        "spec.storage.memory",
        "set storage.memory exactly when storage.type is memory; remove the members of other types",
    ),
    (
        disk(ephemeral={}, existingClaim="x"),
        "spec.storage.disk",
        "set exactly one of ephemeral, existingClaim and persistentVolumeClaim",
    ),
    (
        disk(path="/../x", ephemeral={}),
        "spec.storage.disk.path",
        "write an absolute path such as /var/lib/athens",
    ),
    (
        disk(path="/etc/athens", ephemeral={}),
        "spec.storage.disk.path",
        "the container uses this folder itself; write another such as /var/lib/athens",
    ),
    (
        disk(persistentVolumeClaim={"size": "lots"}),
        "spec.storage.disk.persistentVolumeClaim.size",
        "write a size such as 20Gi",
    ),
    (
        {"download": {"defaultMode": "redirect"}},
        "spec.download.downloadURL",
        "the default mode redirects; set downloadURL to the proxy that clients are sent to",
    ),
    (
        inline(**REDIRECT),
        "spec.download.rules",
        "a rule redirects without a URL; set downloadURL on the rule or beside the rules",
    ),
    (
        inline(**REDIRECT, downloadURL="https://user:password@goproxy.example.com"),
        f"{FIRST_RULE}.downloadURL",
        "write an http or https URL without user name, quotes, spaces and braces",
    ),
    (
        {"download": {"rules": [RULE, RULE]}},
        "spec.download.rules",
        "two rules have the same name; rename one of them",
    ),
    (
        {"download": {"rules": WIDE}},
        "spec.download.rules",
        "at most 2000 patterns in all rules together; use wildcards or fewer rules",
    ),
    (inline(name="A b"), f"{FIRST_RULE}.name", "use lower case letters, digits and dashes"),
    (
        inline(patterns=['a"b']),
        f"{FIRST_RULE}.patterns[0]",
        "a pattern consists of letters, digits and . _ ~ - / with the wildcards * ? and [ ]; remove quotes, spaces and "
        "other characters",
    ),
    (
        inline(patterns=["a//b"]),
        f"{FIRST_RULE}.patterns[0]",
        "write the pattern without a slash at either end and without double slashes",
    ),
    (
        inline(patterns=["example.com/..."]),
        f"{FIRST_RULE}.patterns[0]",
        "write example.com/x instead of example.com/x/...; it covers everything below",
    ),
    (
        inline(versions=">=v1.0.0  <v2.0.0"),
        f"{FIRST_RULE}.versions",
        'write comparisons with full versions separated by one space, such as ">=v0.25.0 <v0.31.0"',
    ),
    *(
        (
            inline(mode="sync", minAge=age),
            f"{FIRST_RULE}.minAge",
            "write hours, minutes and seconds above zero, such as 72h or 1h30m",
        )
        for age in ("3d", "72", "0h0m", "72h ", "1.5h")
    ),
    (
        inline(mode="deny", minAge="72h"),
        f"{FIRST_RULE}.minAge",
        "a rule that serves nothing has no age to wait for; remove minAge or change the mode",
    ),
    *(
        (
            inline(mode="sync", upstream=chain),
            f"{FIRST_RULE}.upstream",
            "write direct, off, http, https or file URLs separated by commas or bars, without user names and spaces",
        )
        for chain in ("ftp://x.example", "https://user:word@x.example", "direct,", 'https://x.example"')
    ),
    (
        inline(mode="redirect", downloadURL="https://x.example", upstream="direct"),
        f"{FIRST_RULE}.upstream",
        "a rule with this mode fetches nothing; remove upstream or change the mode",
    ),
    (inline(reason="${x}"), f"{FIRST_RULE}.reason", "write one printable line without ${ and %{"),
    (
        {"policyRefs": [{"name": "a"}, {"name": "a"}]},
        "spec.policyRefs",
        "a policy is named twice; remove one of the references",
    ),
    (
        {"checksumDB": {"urls": ["http://sum.example.com"]}},
        "spec.checksumDB.urls[0]",
        "write an https URL without user name, quotes, spaces and braces",
    ),
    (
        {"upstream": {"goproxy": "https://user:password@goproxy.example.com,direct"}},
        "spec.upstream.goproxy",
        "write direct, off, http, https or file URLs separated by commas or bars, without user names and spaces",
    ),
    (
        {"upstream": {"goEnv": {"lower": "x"}}},
        "spec.upstream.goEnv",
        "names are upper case letters, digits and underscores",
    ),
    (
        {"upstream": {"goEnv": {"GOPROXY": "off"}}},
        "spec.upstream.goEnv",
        "the proxy sets GOPROXY, GOPRIVATE, GONOPROXY, GONOSUMDB, GOPATH, GOCACHE, GOMODCACHE, GO111MODULE, PATH and "
        "HOME itself; use upstream.goproxy, privateModules and checksumDB.noSumPatterns",
    ),
    (
        timeouts(stash="0s"),
        "spec.server.timeouts.stash",
        "write a duration from 1s to 24h, such as 90s or 1h30m",
    ),
    (timeouts(shutdown="25h"), "spec.server.timeouts.shutdown", "write a duration up to 24h, such as 90s or 2m"),
    (
        {"server": {"pathPrefix": "/go/"}},
        "spec.server.pathPrefix",
        "write a path such as /go, without a slash at the end",
    ),
    (
        {"service": {"nodePort": 30000}},
        "spec.service.nodePort",
        "a node port needs service.type NodePort or LoadBalancer",
    ),
    (
        {"service": {"name": "A"}},
        "spec.service.name",
        "use lower case letters, digits and dashes, and start with a letter",
    ),
    (
        {"rollout": {"maxSurge": "0%"}},
        "spec.rollout.maxSurge",
        "with no surge no pod could ever be replaced; allow maxUnavailable of at least 1",
    ),
    (
        {"rollout": {"minReadySeconds": 600}},
        "spec.rollout.progressDeadlineSeconds",
        "the progress deadline must be longer than minReadySeconds",
    ),
    (basic(name=TRAVERSAL), "spec.auth.basic.secretRef.name", NAME),
    (basic(name="a?dryRun=All"), "spec.auth.basic.secretRef.name", NAME),
    (basic(usernameKey="a b"), "spec.auth.basic.secretRef.usernameKey", SECRET_KEY),
    (basic(passwordKey="../x"), "spec.auth.basic.secretRef.passwordKey", SECRET_KEY),
    (from_secret(name=TRAVERSAL), "spec.extraEnv[0].valueFrom.secretKeyRef.name", NAME),
    (from_secret(key="a/b"), "spec.extraEnv[0].valueFrom.secretKeyRef.key", SECRET_KEY),
    (disk(existingClaim=TRAVERSAL), "spec.storage.disk.existingClaim", NAME),
    (
        disk(persistentVolumeClaim={**CLAIM, "storageClassName": "a b"}),
        "spec.storage.disk.persistentVolumeClaim.storageClassName",
        NAME,
    ),
    ({"imagePullSecrets": [{"name": "${x}"}]}, "spec.imagePullSecrets[0].name", NAME),
    ({"serviceAccount": {"name": TRAVERSAL}}, "spec.serviceAccount.name", NAME),
    ({"policyRefs": [{"name": "a\nb"}]}, "spec.policyRefs[0].name", NAME),
    ({"policyRefs": [{"name": "a", "namespace": "a/b"}]}, "spec.policyRefs[0].namespace", NAME),
    ({"scheduling": {"priorityClassName": "über"}}, "spec.scheduling.priorityClassName", NAME),
    ({"scheduling": {"nodeSelector": {"a b": "x"}}}, "spec.scheduling.nodeSelector", KEY),
    ({"scheduling": {"nodeSelector": {"a": "${x}"}}}, "spec.scheduling.nodeSelector[a]", LABEL),
    (toleration(key="a b"), f"{FIRST_TOLERATION}.key", KEY),
    (toleration(key="a", value="a b"), f"{FIRST_TOLERATION}.value", LABEL),
    (
        toleration(key="a", operator="Exists", value="b"),
        f"{FIRST_TOLERATION}.value",
        "operator Exists takes no value; remove the value or use Equal",
    ),
    (
        toleration(value="b"),
        FIRST_TOLERATION,
        "without a key the operator must be Exists, which tolerates every taint",
    ),
    (
        toleration(key="a", effect="NoSchedule", tolerationSeconds=3),
        f"{FIRST_TOLERATION}.tolerationSeconds",
        "only effect NoExecute takes tolerationSeconds; remove it or set the effect",
    ),
    ({"serviceAccount": {"labels": {"a/b/c": "x"}}}, "spec.serviceAccount.labels", KEY),
    ({"serviceAccount": {"labels": {"a": "-"}}}, "spec.serviceAccount.labels[a]", LABEL),
    ({"serviceAccount": {"annotations": {"a b": "x"}}}, "spec.serviceAccount.annotations", KEY),
    ({"podMetadata": {"labels": {"a b": "x"}}}, "spec.podMetadata.labels", KEY),
    ({"podMetadata": {"labels": {"a": "日本"}}}, "spec.podMetadata.labels[a]", LABEL),
    ({"podMetadata": {"annotations": {"/b": "x"}}}, "spec.podMetadata.annotations", KEY),
    ({"service": {"labels": {"a": "x\ny"}}}, "spec.service.labels[a]", LABEL),
    ({"service": {"labels": {"a" * 64: "x"}}}, "spec.service.labels", KEY),
    ({"service": {"annotations": {"a ": "x"}}}, "spec.service.annotations", KEY),
    (inline(reason="a\u2028b"), f"{FIRST_RULE}.reason", "write one printable line without ${ and %{"),
    *STORE_RULES,
    *SHARING_RULES,
    *WORKLOAD_RULES,
    *EXPOSURE_RULES,
    *ORIGIN_RULES,
    *OPERATION_RULES,
]
POLICY_RULES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"advisories": {"configMapRef": {"name": "osv"}, "waivers": [{"id": "a b", "until": "2027-01-01"}]}},
        "spec.advisories.waivers[0].id",
        "write the id of an advisory, such as GO-2024-0001",
    ),
    (
        {"shareWith": {"from": "All", "namespaceSelector": {}}},
        "spec.shareWith.namespaceSelector",
        "set namespaceSelector exactly when from is Selector",
    ),
    (
        {"proxySelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
        "spec.proxySelector.matchExpressions[0]",
        "In and NotIn need values; Exists and DoesNotExist take none",
    ),
    ({"proxySelector": {"matchLabels": {"a b": "x"}}}, "spec.proxySelector.matchLabels", KEY),
    ({"proxySelector": {"matchLabels": {"a": 'x"'}}}, "spec.proxySelector.matchLabels[a]", LABEL),
    (
        {"shareWith": {"from": "Selector", "namespaceSelector": {"matchLabels": {"a": "${x}"}}}},
        "spec.shareWith.namespaceSelector.matchLabels[a]",
        LABEL,
    ),
    (
        {"proxySelector": {"matchExpressions": [{"key": "a b", "operator": "Exists"}]}},
        "spec.proxySelector.matchExpressions[0].key",
        KEY,
    ),
    (
        {"proxySelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["a b"]}]}},
        "spec.proxySelector.matchExpressions[0].values[0]",
        LABEL,
    ),
]
POLICY_RULES += [
    ({"advisories": {"configMapRef": {"name": "a/b"}}}, "spec.advisories.configMapRef.name", NAME),
]
CLUSTER_POLICY_RULES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"configMapRef": {"name": "osv"}},
        "spec.advisories.configMapRef.namespace",
        "a cluster policy has no namespace of its own; name that of the ConfigMap",
    ),
    (
        {"configMapRef": {"name": "osv", "namespace": "a b"}},
        "spec.advisories.configMapRef.namespace",
        "use the name of a namespace; lower case letters, digits and dashes",
    ),
]
# the claim before and after an edit
CLAIM_EDITS: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"size": "2Gi"}, {"size": "1Gi"}, "size", "a claim can only grow; keep the size or write a larger one"),
    (
        {"storageClassName": "slow"},
        {"storageClassName": "fast"},
        "storageClassName",
        "the class of a claim cannot change; make a claim of the other class and name it in existingClaim",
    ),
    (
        {},
        {"accessModes": ["ReadWriteMany"]},
        "accessModes",
        "the access modes of a claim cannot change; make a claim with other modes and name it in existingClaim",
    ),
]
NAME_RULE = (
    "metadata.name becomes a Service name; use at most 50 lower case letters, digits and dashes, and start with a "
    "letter"
)
ACCEPTED: list[dict[str, Any]] = [
    {"replicas": 2, **disk(persistentVolumeClaim={"size": "1Gi", "accessModes": ["ReadWriteMany"]})},
    {"replicas": 2, **disk(existingClaim="theirs")},
    {"version": "v1.2.3-rc.1", "image": "registry.example.com:5000/a/b@sha256:abc"},
    {"extraEnv": [{"name": "ATHENS_AZURE_ENDPOINT", "value": "x"}]},
    *(store(kind) for kind in STORES),
    redis(endpoint="[2001:db8::1]:6379"),
    redis(endpoint="rediss://redis.infra.svc:6379/1"),
    redis(endpoint="a:1,b:2", cluster=True),
    {**store("gcs"), "singleFlight": {"type": "gcs"}, "replicas": 3},
    {"autoscaling": {"maxReplicas": 3}, **SHARED},
    {**mounted("/var/lib/other"), **disk(ephemeral={})},
    ingress(hosts=["*.example.com"]),
    disk(path="/srv/modules", ephemeral={"sizeLimit": "1Gi"}),
    disk(persistentVolumeClaim={"size": 1_000_000_000}),
    {"download": {"downloadURL": "https://goproxy.example.com/a", "rules": [{**RULE, **REDIRECT}]}},
    inline(versions="=v2.0.0-rc.1+incompatible", reason='say "hi", über 日本'),
    inline(mode="allow", minAge="1h30m", upstream="https://a.example:8443/x|direct", audit=True),
    {"policyRefs": [{"name": "a"}, {"name": "a", "namespace": "b"}]},
    {"privateModules": ["git.corp.example/*", "*.x/[a-z]?"], "checksumDB": {"urls": []}},
    {"upstream": {"goproxy": "https://a.example:8443/x|file:///srv/x,direct", "goEnv": {"GOFLAGS": "-mod=mod"}}},
    timeouts(network="1h30m", shutdown="0s"),
    {"service": {"type": "NodePort", "nodePort": 30080}, "rollout": {"maxSurge": 0, "maxUnavailable": "25%"}},
]


def refused(api: KubeApi, manifest: Manifest) -> str:
    with pytest.raises(Refused) as caught:
        api.create(manifest)
    assert caught.value.status == 422
    return str(caught.value)


@pytest.mark.parametrize(("spec", "path", "message"), PROXY_RULES, ids=lambda value: value if "." in value else "")
def test_a_proxy_is_refused_at_the_place_with_the_fix(
    api: KubeApi, namespace: str, spec: dict[str, Any], path: str, message: str
) -> None:
    said = refused(api, proxy(namespace, **spec))

    assert f"{path}: Invalid value" in said
    assert said.endswith(message)


@pytest.mark.parametrize(("spec", "path", "message"), POLICY_RULES)
def test_a_policy_is_refused_at_the_place_with_the_fix(
    api: KubeApi, namespace: str, spec: dict[str, Any], path: str, message: str
) -> None:
    said = refused(api, policy(namespace, "base", **spec))

    assert f"{path}: Invalid value" in said
    assert said.endswith(message)


def cluster_policy(advisories: dict[str, Any]) -> Manifest:
    spec = {"enforcement": "Default", "advisories": advisories}
    metadata = {"name": "with-advisories"}
    return {"apiVersion": API_VERSION, "kind": CLUSTER_POLICIES.kind, "metadata": metadata, "spec": spec}


@pytest.mark.parametrize(("advisories", "path", "message"), CLUSTER_POLICY_RULES)
def test_a_cluster_policy_is_refused_at_the_place_with_the_fix(
    api: KubeApi, advisories: dict[str, Any], path: str, message: str
) -> None:
    said = refused(api, cluster_policy(advisories))

    assert path in said
    assert said.endswith(message)


def test_advisories_with_waivers_are_accepted(api: KubeApi, namespace: str) -> None:
    wanted = {"configMapRef": {"name": "osv"}, "waivers": [{"id": "GO-2026-1", "until": "2026-03-01"}]}

    assert api.create(policy(namespace, "base", advisories=wanted))["spec"]["advisories"] == wanted


@pytest.mark.parametrize(("before", "after", "field", "message"), CLAIM_EDITS)
def test_an_edit_that_a_claim_cannot_follow_is_refused(
    api: KubeApi, namespace: str, before: dict[str, Any], after: dict[str, Any], field: str, message: str
) -> None:
    written = proxy(namespace, **disk(persistentVolumeClaim={**CLAIM, **before}))
    api.create(written)

    with pytest.raises(Refused) as caught:
        api.edit({**written, "spec": disk(persistentVolumeClaim=after)})

    assert f"spec.storage.disk.persistentVolumeClaim.{field}: Invalid value" in str(caught.value)
    assert str(caught.value).endswith(message)


def test_a_claim_may_grow(api: KubeApi, namespace: str) -> None:
    written = proxy(namespace, **disk(persistentVolumeClaim=CLAIM))
    api.create(written)

    grown = api.edit({**written, "spec": disk(persistentVolumeClaim={"size": "1500Mi"})})

    assert grown["spec"]["storage"]["disk"]["persistentVolumeClaim"]["size"] == "1500Mi"


@pytest.mark.parametrize("spec", ACCEPTED, ids=lambda spec: " ".join(spec))
def test_what_can_work_is_accepted(api: KubeApi, namespace: str, spec: dict[str, Any]) -> None:
    assert api.create(proxy(namespace, **spec))["metadata"]["uid"]


def test_no_rule_of_the_schemas_is_missing_here() -> None:
    known = {message for _, _, message in (*PROXY_RULES, *POLICY_RULES, *CLUSTER_POLICY_RULES)}
    known |= {message for *_, message in CLAIM_EDITS} | {NAME_RULE}
    written = {
        message
        for kind in FILES
        for node in nodes(schema(kind))
        for rule in node.schema.get("x-kubernetes-validations", ())
        for message in messages(rule)
    }

    assert written == known


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.yaml")))
def test_every_rendered_child_is_taken_word_by_word(api: KubeApi, namespace: str, name: str) -> None:
    """Strict validation refuses unknown and doubled fields, which a plain apply would drop or answer with a 500."""
    for child in yaml.safe_load_all((GOLDEN / name).read_text()):
        if child["kind"] in OPTIONAL_KINDS:
            continue  # served where somebody installed them; tried beside their definitions
        child["metadata"]["namespace"] = namespace
        ref = ref_of(child)
        path = RESOURCES[ref.api_version, ref.kind].path(namespace=namespace, name=ref.name)
        query = "?fieldManager=athens-operator&force=true&fieldValidation=Strict"

        taken = api.call(
            "PATCH", path + query, json.loads(json.dumps(child)), content_type="application/apply-patch+yaml"
        )

        assert taken["metadata"]["name"] == ref.name
