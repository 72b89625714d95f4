"""Specs that the schema of AthensProxy refuses, with the place and the whole text of the refusal."""

from __future__ import annotations

from typing import Any

Refusal = tuple[dict[str, Any], str, str]
NAME = "use the name of an object; lower case letters, digits, dashes and dots"
KEY = "a key consists of letters, digits, dashes, underscores and dots, after a domain and a slash where it has one"
TRAVERSAL = "../../victim/secrets/prize"
STORES: dict[str, dict[str, Any]] = {
    "s3": {"bucket": "b", "region": "eu"},
    "minio": {"endpoint": "minio:9000", "bucket": "b", "credentialsSecretRef": {"name": "a"}},
    "gcs": {"bucket": "b"},
    "azureBlob": {"accountName": "acc", "containerName": "con"},
    "mongo": {"connectionSecretRef": {"name": "a"}},
    "external": {"url": "https://store.example.com"},
}
ONE_SOURCE = "set exactly one of configMapRef and secretRef"
PREFIX = "write names of letters, digits, dots, dashes and underscores with slashes between them"
DATABASE = "use the name of a database; letters, digits, dashes and underscores"
USER = "use letters, digits, dashes, underscores, dots and @"
HOST = "write a host name in lower case letters, such as goproxy.example.com"


def store(kind: str, **changes: Any) -> dict[str, Any]:
    return {"storage": {"type": kind, kind: {**STORES[kind], **changes}}}


def redis(**changes: Any) -> dict[str, Any]:
    return {"singleFlight": {"type": "redis", "redis": changes}}


def sentinel(**changes: Any) -> dict[str, Any]:
    member = {"endpoints": ["a:1"], "masterName": "main", **changes}
    return {"singleFlight": {"type": "redisSentinel", "redisSentinel": member}}


def index(kind: str, **changes: Any) -> dict[str, Any]:
    return {"index": {"type": kind, kind: {"host": "db", "user": "me", **changes}}}


def ingress(**changes: Any) -> dict[str, Any]:
    return {"ingress": {"hosts": ["a.example.com"], **changes}}


def mounted(path: str) -> dict[str, Any]:
    return {
        "extraVolumes": [{"name": "a", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "a", "mountPath": path}],
    }


SHARED = store("external")


def ephemeral() -> dict[str, Any]:
    return {"storage": {"type": "disk", "disk": {"ephemeral": {}}}}


STORE_RULES: list[Refusal] = [
    *(
        (
            {"storage": {"type": kind}},
            f"spec.storage.{kind}",
            f"set storage.{kind} exactly when storage.type is {kind}; remove the members of other types",
        )
        for kind in ("s3", "minio", "gcs", "azureBlob", "mongo", "external")
    ),
    (
        store("azureBlob", accountKeySecretRef={"name": "a"}, managedIdentity={"resourceID": "/x"}),
        "spec.storage.azureBlob",
        "set accountKeySecretRef or managedIdentity, not both",
    ),
    (store("mongo", caRef={}), "spec.storage.mongo.caRef", ONE_SOURCE),
    (
        store("s3", bucket="a b"),
        "spec.storage.s3.bucket",
        "use the name of a bucket; letters, digits, dashes, underscores and dots",
    ),
    (store("s3", region="a b"), "spec.storage.s3.region", "write a region such as eu-central-1"),
    (store("s3", prefix="a/../b"), "spec.storage.s3.prefix", PREFIX),
    (store("gcs", prefix="/a"), "spec.storage.gcs.prefix", PREFIX),
    (
        store("s3", endpoint="https://key:secret@s3.example.com"),
        "spec.storage.s3.endpoint",
        "write an http or https URL without user name, quotes, spaces and braces",
    ),
    (
        store("minio", endpoint="http://minio:9000"),
        "spec.storage.minio.endpoint",
        "write host and port without a scheme, such as minio.infra.svc:9000",
    ),
    (
        store("gcs", projectID="A b"),
        "spec.storage.gcs.projectID",
        "write the id of a project; lower case letters, digits and dashes",
    ),
    (
        store("azureBlob", accountName="A-b"),
        "spec.storage.azureBlob.accountName",
        "use the name of a storage account; lower case letters and digits",
    ),
    (
        store("azureBlob", containerName="a--b"),
        "spec.storage.azureBlob.containerName",
        "use the name of a container; lower case letters, digits and single dashes",
    ),
    (
        store("azureBlob", managedIdentity={"resourceID": "a b"}),
        "spec.storage.azureBlob.managedIdentity.resourceID",
        "write the resource id of a managed identity, such as /subscriptions/...",
    ),
    (store("mongo", database="a b"), "spec.storage.mongo.database", DATABASE),
    (
        store("mongo", collection="a b"),
        "spec.storage.mongo.collection",
        "use the name of a collection; letters, digits, dashes, underscores and dots",
    ),
]
SHARING_RULES: list[Refusal] = [
    *(
        (
            {"singleFlight": {"type": kind}},
            f"spec.singleFlight.{kind}",
            f"set singleFlight.{kind} exactly when singleFlight.type is {kind}; remove the members of other types",
        )
        for kind in ("etcd", "redis", "redisSentinel")
    ),
    *(
        (
            {"index": {"type": kind}},
            f"spec.index.{kind}",
            f"set index.{kind} exactly when index.type is {kind}; remove the members of other types",
        )
        for kind in ("mysql", "postgres")
    ),
    *(
        (
            {"singleFlight": {"type": kind}},
            "spec.singleFlight.type",
            f"a lock of type {kind} lives in the bucket of the store; set storage.type to {kind} or choose another "
            "lock",
        )
        for kind in ("gcs", "azureBlob")
    ),
    (
        redis(endpoint="redis://user:password@redis:6379"),
        "spec.singleFlight.redis.endpoint",
        "write host and port, or a redis or rediss URL without user name; several of a cluster between commas",
    ),
    (
        redis(endpoint="a:1,b:2"),
        "spec.singleFlight.redis.endpoint",
        "several endpoints are a cluster; set cluster to true or write one",
    ),
    (
        sentinel(masterName="a b"),
        "spec.singleFlight.redisSentinel.masterName",
        "use the name of a master; letters, digits, dashes, underscores and dots",
    ),
    (sentinel(username="a b"), "spec.singleFlight.redisSentinel.username", USER),
    (index("mysql", host="a b"), "spec.index.mysql.host", "write a host name or an address"),
    (index("postgres", user="a b"), "spec.index.postgres.user", USER),
    (index("postgres", database="a b"), "spec.index.postgres.database", DATABASE),
    (
        index("mysql", params={"a b": "x"}),
        "spec.index.mysql.params",
        "names are letters, digits, dashes and underscores, at most 64",
    ),
    (
        index("postgres", params={"a": "'x'"}),
        "spec.index.postgres.params[a]",
        "use letters, digits, spaces and - _ . : , / @ +",
    ),
]
WORKLOAD_RULES: list[Refusal] = [
    (
        {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}, **SHARED},
        "spec.autoscaling.minReplicas",
        "minReplicas must not be larger than maxReplicas",
    ),
    (
        {"autoscaling": {"maxReplicas": 2}},
        "spec.replicas",
        "memory storage is not shared between pods; use one replica, or disk storage with ReadWriteMany",
    ),
    (
        {"extraVolumeMounts": [{"name": "a", "mountPath": "/srv/a"}]},
        "spec.extraVolumeMounts",
        "a mount names a volume that extraVolumes lacks; add the volume or remove the mount",
    ),
    (
        {**mounted("/var/lib/athens/x"), **ephemeral()},
        "spec.extraVolumeMounts",
        "a mount lies inside the folder of the store; mount the volume elsewhere",
    ),
    (mounted("srv"), "spec.extraVolumeMounts[0].mountPath", "write an absolute path such as /srv/extra"),
    (mounted("/srv/../etc"), "spec.extraVolumeMounts[0].mountPath", "write an absolute path such as /srv/extra"),
    (
        mounted("/etc/athens/policy"),
        "spec.extraVolumeMounts[0].mountPath",
        "the proxy uses this folder itself; mount the volume elsewhere",
    ),
    *(
        (
            mounted(path),
            "spec.extraVolumeMounts[0].mountPath",
            "the proxy uses this folder itself; mount the volume elsewhere",
        )
        for path in ("/opt", "/opt/app/athens_policy", "/usr/local/go", "/bin", "/lib64/x")
    ),
    *(
        (
            {"extraEnv": [{"name": name, "value": "x"}]},
            "spec.extraEnv[0].name",
            "this variable could put another program in the proxy's place; build an image instead",
        )
        for name in ("PATH", "PYTHONPATH", "LD_PRELOAD", "OPENSSL_CONF")
    ),
    (
        {"extraVolumes": [{"name": "policy", "emptyDir": {}}]},
        "spec.extraVolumes[0].name",
        "the proxy has a volume of this name itself; use another",
    ),
    ({"extraVolumes": [{"name": "A b"}]}, "spec.extraVolumes[0].name", "use lower case letters, digits and dashes"),
    ({"extraEnvFrom": [{}]}, "spec.extraEnvFrom[0]", ONE_SOURCE),
    ({"trustedCA": [{}]}, "spec.trustedCA[0]", ONE_SOURCE),
    (
        {"trustedCA": [{"configMapRef": {"name": "a", "key": "a b"}}]},
        "spec.trustedCA[0].configMapRef.key",
        "use a key of the ConfigMap; letters, digits, dashes, underscores and dots",
    ),
    (
        {"credentials": [{"name": name, "type": "netrc", "secretRef": {"name": "a"}} for name in ("a", "b")]},
        "spec.credentials",
        "there can be one netrc, one gitConfig and one hgrc; join their contents in one Secret",
    ),
]
EXPOSURE_RULES: list[Refusal] = [
    (ingress(hosts=["A.example.com"]), "spec.ingress.hosts[0]", HOST),
    (ingress(path="go"), "spec.ingress.path", "write a path such as /go"),
    (ingress(tls={"issuer": "a", "clusterIssuer": "b"}), "spec.ingress.tls", "set clusterIssuer or issuer, not both"),
    (ingress(annotations={"a b": "x"}), "spec.ingress.annotations", KEY),
    ({"httpRoute": {"parentRefs": [{"name": "a"}], "hostnames": ["a_b"]}}, "spec.httpRoute.hostnames[0]", HOST),
    (
        {"httpRoute": {"parentRefs": [{"name": "a"}], "timeout": "0s"}},
        "spec.httpRoute.timeout",
        "write a duration from 1s to 24h, such as 90s or 1h30m",
    ),
    (
        {"networkPolicy": {"enabled": True, "egressTo": [{"podSelector": {}}]}},
        "spec.networkPolicy.egressTo",
        "egressTo needs egress Restricted; set it, or remove the peers",
    ),
    (
        {"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}},
        "spec.podDisruptionBudget",
        "set minAvailable or maxUnavailable, not both",
    ),
    (
        {"inheritedMetadata": {"labels": {"argocd.argoproj.io/instance": "x"}}},
        "spec.inheritedMetadata.labels",
        "keys under athensproxy.dev, app.kubernetes.io, argocd.argoproj.io, kustomize.toolkit.fluxcd.io and helm.sh "
        "are reserved; use another prefix",
    ),
    ({"metrics": {"serviceMonitor": {"labels": {"a b": "x"}}}}, "spec.metrics.serviceMonitor.labels", KEY),
    ({"tls": {"secretRef": {"name": TRAVERSAL}}}, "spec.tls.secretRef.name", NAME),
]
