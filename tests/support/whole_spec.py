"""A spec of AthensProxy in which every field stands, and what cannot stand in it beside the others.

All of them are valid, so that a test can change one field and know what the change did.
"""

from __future__ import annotations

from typing import Any

from support.operator_values import rule

SPEC: dict[str, Any] = {
    "version": "v0.3.0",
    "imagePullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "replicas": 3,
    "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}},
    "scratch": {"sizeLimit": "8Gi", "medium": "Memory"},
    "scheduling": {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [
            {"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute", "tolerationSeconds": 60}
        ],
        "priorityClassName": "high",
        "runtimeClassName": "sandboxed",
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    },
    "security": {"profile": "Restricted"},
    "serviceAccount": {"create": True, "name": "modules", "labels": {"a": "b"}, "annotations": {"a": "b"}},
    "podMetadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}},
    "inheritedMetadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}},
    "extraEnv": [{"name": "A", "value": "1"}],
    "extraEnvFrom": [{"prefix": "A_", "secretRef": {"name": "more", "optional": False}}],
    "extraVolumes": [{"name": "extra", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "extra", "mountPath": "/srv/extra"}],
    "suspend": False,
    "deletionPolicy": {"storage": "Delete"},
    "storage": {
        "type": "disk",
        "allowSharing": False,
        "disk": {
            "path": "/srv/modules",
            "persistentVolumeClaim": {"size": "5Gi", "storageClassName": "x", "accessModes": ["ReadWriteMany"]},
        },
    },
    "singleFlight": {
        "type": "redis",
        "redis": {
            "endpoint": "redis.infra.svc:6379",
            "cluster": False,
            "passwordSecretRef": {"name": "redis", "key": "pw"},
        },
    },
    "index": {
        "type": "postgres",
        "postgres": {
            "host": "db",
            "port": 5433,
            "user": "athens",
            "database": "modules",
            "params": {"sslmode": "require"},
            "passwordSecretRef": {"name": "db", "key": "pw"},
        },
    },
    "download": {
        "defaultMode": "redirect",
        "downloadURL": "https://goproxy.example.com",
        "rules": [
            rule("inline", "example.com/inline", versions=">=v1.0.0", reason="why"),
        ],
    },
    "policyRefs": [{"kind": "DownloadPolicy", "name": "shared", "namespace": "platform"}],
    "acceptSelectedPolicies": True,
    "privateModules": ["git.corp.example"],
    "checksumDB": {"urls": ["https://sum.example.com"], "noSumPatterns": ["example.com/unsummed"]},
    "upstream": {"goproxy": "https://goproxy.example.com", "goEnv": {"GOFLAGS": "-v"}},
    "upstreamErrors": "strict",
    "network": {"mode": "strict"},
    "workers": {"fetch": 1, "protocol": 2},
    "processes": 2,
    "retention": {"maxBytes": "20Gi", "maxIdle": "720h", "keep": ["example.com/kept"], "dryRun": True},
    "purge": [{"module": "example.com/evil", "version": "v1.0.0", "reason": "SEC-1"}],
    "prefetch": {
        "goSumConfigMapRef": {"name": "build", "key": "sums"},
        "modules": ["example.com/x@v1.0.0"],
    },
    "follow": {"url": "https://goproxy.example.com", "action": "Drop"},
    "onError": "KeepLast",
    "tracing": {"exporter": "otlp", "endpoint": "http://collector:4317", "samplingFraction": "0.5"},
    "server": {
        "logLevel": "debug",
        "logFormat": "plain",
        "timeouts": {"network": "60s", "stash": "60s", "shutdown": "60s"},
        "pathPrefix": "/go",
        "forceSSL": False,
        "page": False,
        "homePage": {"configMapRef": {"name": "pages", "key": "go.html"}},
    },
    "credentials": [
        {
            "name": "login",
            "type": "ssh",
            "match": "git.corp.example/team",
            "secretRef": {"name": "ssh", "key": "file"},
            "username": "code",
            "port": 2222,
            "insteadOf": ["https://git.corp.example/team/"],
            "knownHosts": {"inline": "git.corp.example ssh-ed25519 AAAA"},
        }
    ],
    "egressProxy": {
        "httpProxy": "http://proxy.corp.example:3128",
        "httpsProxy": "http://proxy.corp.example:3129",
        "noProxy": [".corp.example"],
    },
    "trustedCA": [{"configMapRef": {"name": "ca", "key": "ca.pem"}}],
    "tls": {"secretRef": {"name": "certificate"}},
    "auth": {
        "basic": {"secretRef": {"name": "users", "usernameKey": "u", "passwordKey": "p"}},
        "clients": [{"name": "builds", "secretRef": {"name": "builds"}}],
    },
    "service": {
        "name": "modules",
        "type": "NodePort",
        "port": 8080,
        "nodePort": 30080,
        "labels": {"a": "b"},
        "annotations": {"a": "b"},
    },
    "ingress": {
        "className": "nginx",
        "hosts": ["goproxy.example.com"],
        "path": "/go",
        "pathType": "Prefix",
        "annotations": {"a": "b"},
        "tls": {"secretName": "certificate"},
    },
    "httpRoute": {
        "parentRefs": [{"name": "gateway"}],
        "hostnames": ["goproxy.example.com"],
        "annotations": {"a": "b"},
        "timeout": "60s",
    },
    "networkPolicy": {
        "enabled": True,
        "allowFrom": [{"podSelector": {}}],
        "allowMetricsFrom": [{"namespaceSelector": {}}],
        "egress": "Restricted",
        "egressTo": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
    },
    "podDisruptionBudget": {"disabled": False},
    "rollout": {
        "strategy": "RollingUpdate",
        "maxSurge": 2,
        "maxUnavailable": 2,
        "minReadySeconds": 1,
        "progressDeadlineSeconds": 60,
        "revisionHistoryLimit": 2,
        "secretChange": "Restart",
    },
    "metrics": {
        "enabled": True,
        "serviceMonitor": {"enabled": True, "interval": "60s", "labels": {"a": "b"}},
        "rules": {"enabled": True, "labels": {"a": "b"}},
        "dashboard": {"enabled": True, "labels": {"a": "b"}, "folder": "Go"},
    },
}
CREDENTIALS = {"name": "key", "accessKeyIDKey": "id", "secretAccessKeyKey": "secret"}


def store(kind: str, **member: Any) -> dict[str, Any]:
    """A spec with one store."""
    return {"storage": {"type": kind, kind: member}}


def redis_sentinel() -> dict[str, Any]:
    reference = {"name": "redis", "key": "pw"}
    return {
        "endpoints": ["sentinel:26379"],
        "masterName": "main",
        "db": 1,
        "username": "athens",
        "passwordSecretRef": reference,
        "sentinelPasswordSecretRef": reference,
    }


def ssh(**changes: Any) -> dict[str, Any]:
    """A spec with one ssh key."""
    entry = {"name": "login", "type": "ssh", "match": "git.corp.example", "secretRef": {"name": "ssh"}, **changes}
    return {"credentials": [entry]}


GITHUB_APP: dict[str, Any] = {
    "credentials": [
        {
            "name": "app",
            "type": "githubApp",
            "match": "github.com/example",
            "secretRef": {"name": "app"},
            "appID": 1,
            "installationID": 2,
        }
    ]
}
# What cannot stand in the same spec as the above.
ELSEWHERE: dict[str, dict[str, Any]] = {
    "image": {"image": "registry.example.com/mine:v1"},
    "storage.type": {"replicas": 1, "processes": 1, "storage": {"type": "memory", "memory": {}}},
    "storage.memory": {"replicas": 1, "processes": 1, "storage": {"type": "memory", "memory": {}}},
    "storage.disk.ephemeral": {
        "replicas": 1,
        "storage": {"type": "disk", "disk": {"ephemeral": {"sizeLimit": "1Gi", "medium": "Memory"}}},
    },
    "storage.disk.existingClaim": {"storage": {"type": "disk", "disk": {"existingClaim": "theirs"}}},
    "autoscaling": {"autoscaling": {"minReplicas": 2, "maxReplicas": 4, "targetCPU": 50, "targetMemory": 60}},
    "podDisruptionBudget.minAvailable": {"podDisruptionBudget": {"minAvailable": 1}},
    "podDisruptionBudget.maxUnavailable": {"podDisruptionBudget": {"maxUnavailable": 2}},
    "ingress.tls.clusterIssuer": {"ingress": {"hosts": ["a.example.com"], "tls": {"clusterIssuer": "public"}}},
    "ingress.tls.issuer": {"ingress": {"hosts": ["a.example.com"], "tls": {"issuer": "public"}}},
    "extraEnvFrom[].configMapRef": {"extraEnvFrom": [{"configMapRef": {"name": "more", "optional": False}}]},
    "credentials[].knownHosts.configMapRef": ssh(knownHosts={"configMapRef": {"name": "hosts", "key": "file"}}),
    "credentials[].knownHosts.secretRef": ssh(knownHosts={"secretRef": {"name": "hosts", "key": "file"}}),
    "credentials[].insecureIgnoreHostKey": ssh(insecureIgnoreHostKey=True),
    "credentials[].appID": GITHUB_APP,
    "credentials[].installationID": GITHUB_APP,
    "egressProxy.secretRef": {"egressProxy": {"secretRef": {"name": "proxy"}}},
    "trustedCA[].secretRef": {"trustedCA": [{"secretRef": {"name": "ca", "key": "ca.pem"}}]},
    "storage.s3": store(
        "s3",
        bucket="modules",
        region="eu-central-1",
        prefix="team-a",
        endpoint="https://s3.example.com",
        forcePathStyle=False,
        credentialsSecretRef={**CREDENTIALS, "sessionTokenKey": "token"},
    ),
    "storage.minio": store(
        "minio",
        endpoint="minio:9000",
        bucket="modules",
        prefix="team-a",
        region="x",
        tls=True,
        credentialsSecretRef=CREDENTIALS,
    ),
    "storage.gcs": store(
        "gcs", bucket="modules", projectID="p", prefix="a", credentialsSecretRef={"name": "key", "key": "file"}
    ),
    "storage.azureBlob.managedIdentity": store(
        "azureBlob",
        accountName="modules",
        containerName="modules",
        managedIdentity={"resourceID": "/subscriptions/x", "scope": "https://storage.example.com"},
    ),
    "storage.azureBlob": store(
        "azureBlob",
        accountName="modules",
        containerName="modules",
        prefix="a",
        accountKeySecretRef={"name": "key", "key": "file"},
    ),
    "storage.mongo.caRef.configMapRef": store(
        "mongo", connectionSecretRef={"name": "db"}, caRef={"configMapRef": {"name": "ca", "key": "pem"}}
    ),
    "storage.mongo": store(
        "mongo",
        connectionSecretRef={"name": "db", "key": "dsn"},
        database="a",
        collection="b",
        caRef={"secretRef": {"name": "ca", "key": "pem"}},
        insecureSkipVerify=False,
    ),
    "storage.external": store("external", url="https://store.example.com"),
    "singleFlight.etcd": {"singleFlight": {"type": "etcd", "etcd": {"endpoints": ["etcd:2379"]}}},
    "singleFlight.redisSentinel": {"singleFlight": {"type": "redisSentinel", "redisSentinel": redis_sentinel()}},
    "index.mysql": {
        "index": {
            "type": "mysql",
            "mysql": {
                "host": "db",
                "port": 3307,
                "user": "athens",
                "database": "modules",
                "params": {"timeout": "5s"},
                "passwordSecretRef": {"name": "db", "key": "pw"},
            },
        }
    },
    "download.rules[].downloadURL": {
        "download": {"rules": [rule("away", mode="redirect", downloadURL="https://other.example.com")]}
    },
    **{
        f"download.rules[].{field}": {
            "download": {
                "rules": [{**rule("aged", mode="sync", minAge="72h", upstream="https://u.example.com"), "audit": False}]
            }
        }
        for field in ("minAge", "upstream", "audit")
    },
    "extraEnv[].valueFrom": {
        "extraEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b", "optional": False}}}]
    },
}
# A discriminator changes together with its member.
TOGETHER: dict[str, dict[str, Any]] = {
    "storage.type": ELSEWHERE["storage.type"],
    "singleFlight.type": ELSEWHERE["singleFlight.etcd"],
    "index.type": ELSEWHERE["index.mysql"],
    "auth.basic.generate": {"auth": {"basic": {"generate": True}}},
}


def spec_with(path: str) -> dict[str, Any]:
    """A valid spec in which the field of that path has a value."""
    for prefix, part in ELSEWHERE.items():
        if path.startswith(prefix) and path not in TOGETHER:
            return {**SPEC, **part}
    return SPEC
