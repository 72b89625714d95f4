"""What users get, as whole files: a difference in review shows what an operator upgrade will change.

The files are written anew by `UPDATE_GOLDEN=1 make unit`; read the difference before it is committed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from athens_operator.desired import desired_objects
from athens_operator.desired.configuration import DEFAULT_GOPROXY
from athens_operator.desired.inputs import Inputs
from athens_operator.manifests import Manifest
from athens_operator.spec import AthensProxy
from support.operator_values import INPUTS, MEMORY, proxy_value

GOLDEN = Path(__file__).parent / "golden"
POLICY = '# a download file\nmode = "sync"\ndownloadURL = ""\n'

FULL: dict[str, Any] = {
    "version": "v0.3.0",
    "imagePullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "replicas": 3,
    "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
    "scratch": {"sizeLimit": "8Gi", "medium": "Memory"},
    "inheritedMetadata": {"labels": {"cost": "shared"}, "annotations": {"example.com/owner": "platform"}},
    "scheduling": {
        "nodeSelector": {"disk": "fast"},
        "topologySpreadConstraints": [],
        "runtimeClassName": "sandboxed",
        "tolerations": [{"key": "builds", "operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "high",
    },
    "serviceAccount": {"labels": {"team": "a"}, "annotations": {"cloud.example.com/role": "modules"}},
    "podMetadata": {"labels": {"team": "a"}, "annotations": {"example.com/scrape": "yes"}},
    "extraEnv": [
        {"name": "GODEBUG", "value": "netdns=go"},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ],
    "deletionPolicy": {"storage": "Delete"},
    "storage": {
        "type": "disk",
        "disk": {
            "path": "/srv/modules",
            "persistentVolumeClaim": {
                "size": "50Gi",
                "storageClassName": "shared",
                "accessModes": ["ReadWriteMany"],
            },
        },
    },
    "privateModules": ["git.corp.example/*", "*.internal.example"],
    "checksumDB": {"urls": ["https://sum.example.com"], "noSumPatterns": ["example.com/unsummed"]},
    "upstream": {
        "goproxy": "https://goproxy.example.com|direct",
        "goEnv": {"GOFLAGS": "-modcacherw", "GOAUTH": "netrc"},
    },
    "upstreamErrors": "notfound",
    "network": {"mode": "fallback"},
    "workers": {"fetch": 4, "protocol": 8},
    "server": {
        "logLevel": "debug",
        "logFormat": "plain",
        "timeouts": {"network": "1m", "stash": "20m", "shutdown": "30s"},
        "pathPrefix": "/go",
    },
    "auth": {"basic": {"secretRef": {"name": "users"}}},
    "service": {
        "name": "goproxy",
        "type": "NodePort",
        "port": 8080,
        "nodePort": 30080,
        "labels": {"team": "a"},
        "annotations": {"example.com/lb": "internal"},
    },
    "rollout": {
        "strategy": "RollingUpdate",
        "maxSurge": "50%",
        "maxUnavailable": 1,
        "minReadySeconds": 10,
        "progressDeadlineSeconds": 300,
        "revisionHistoryLimit": 1,
    },
    "metrics": {"enabled": False},
}
EXPOSED: dict[str, Any] = {
    "storage": {
        "type": "s3",
        "s3": {
            "bucket": "go-modules",
            "region": "eu-central-1",
            "prefix": "team-a",
            "credentialsSecretRef": {"name": "s3"},
        },
    },
    "singleFlight": {
        "type": "redis",
        "redis": {"endpoint": "redis.infra.svc:6379", "passwordSecretRef": {"name": "redis"}},
    },
    "index": {
        "type": "postgres",
        "postgres": {
            "host": "db.infra.svc",
            "user": "athens",
            "params": {"sslmode": "require"},
            "passwordSecretRef": {"name": "db"},
        },
    },
    "autoscaling": {"maxReplicas": 6},
    "security": {"profile": "PlatformAssigned"},
    "extraEnvFrom": [{"configMapRef": {"name": "settings", "optional": True}}],
    "extraVolumes": [{"name": "extra", "configMap": {"name": "extra"}}],
    "extraVolumeMounts": [{"name": "extra", "mountPath": "/srv/extra", "readOnly": True}],
    "credentials": [
        {"name": "login", "type": "netrc", "secretRef": {"name": "origins"}},
        {"name": "git", "type": "token", "match": "git.corp.example", "secretRef": {"name": "git", "key": "pat"}},
        {
            "name": "keys",
            "type": "ssh",
            "match": "ssh.corp.example/team",
            "secretRef": {"name": "ssh"},
            "port": 2222,
            "knownHosts": {"inline": "[ssh.corp.example]:2222 ssh-ed25519 AAAA"},
        },
        {
            "name": "more-keys",
            "type": "ssh",
            "match": "git.example.com",
            "secretRef": {"name": "ssh"},
            "knownHosts": {"configMapRef": {"name": "known-hosts"}},
        },
    ],
    "egressProxy": {"httpsProxy": "http://proxy.corp.example:3128", "noProxy": [".corp.example"]},
    "trustedCA": [{"configMapRef": {"name": "corporate-ca"}}],
    "server": {"forceSSL": True, "pathPrefix": "/go"},
    "auth": {
        "basic": {"secretRef": {"name": "users"}},
        "clients": [{"name": "builds", "secretRef": {"name": "build-tokens"}}],
    },
    "tls": {"secretRef": {"name": "certificate"}},
    "ingress": {"className": "nginx", "hosts": ["goproxy.example.com"], "tls": {"clusterIssuer": "public"}},
    "httpRoute": {"parentRefs": [{"name": "edge", "namespace": "gateways"}], "timeout": "10m"},
    "networkPolicy": {
        "enabled": True,
        "allowMetricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "egress": "Restricted",
        "egressTo": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
    },
    "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
}
FOR_YEARS: dict[str, Any] = {
    "storage": {"type": "s3", "s3": {"bucket": "go-modules", "region": "eu-central-1"}},
    "privateModules": ["git.corp.example/*"],
    "processes": 2,
    "retention": {"maxBytes": "1.5Ti", "maxIdle": "2160h", "keep": ["example.com/kept"]},
    "purge": [{"module": "example.com/evil", "version": "v1.0.0", "reason": "SEC-112"}],
    "prefetch": {"goSumConfigMapRef": {"name": "build"}, "modules": ["example.com/x@v1.2.3"]},
    "follow": {"url": "https://central.example.com/go", "action": "Both"},
    "tracing": {"exporter": "otlp", "endpoint": "http://collector.monitoring.svc:4317", "samplingFraction": "0.05"},
    "server": {"page": True, "homePage": {"configMapRef": {"name": "pages"}}},
    "auth": {"basic": {"generate": True}},
    "credentials": [
        {"name": "rewrites", "type": "gitConfig", "secretRef": {"name": "files"}},
        {"name": "mercurial", "type": "hgrc", "secretRef": {"name": "files", "key": "hg"}},
        {"name": "forge", "type": "basic", "match": "forge.example.com:8443", "secretRef": {"name": "forge"}},
        {
            "name": "app",
            "type": "githubApp",
            "match": "github.com/example",
            "secretRef": {"name": "app"},
            "appID": 1234,
            "installationID": 5678,
        },
        {
            "name": "lab",
            "type": "ssh",
            "match": "lab.example.com",
            "secretRef": {"name": "lab"},
            "username": "code",
            "insteadOf": [],
            "insecureIgnoreHostKey": True,
        },
        {
            "name": "vault",
            "type": "ssh",
            "match": "vault.example.com",
            "secretRef": {"name": "vault"},
            "knownHosts": {"secretRef": {"name": "vault-hosts", "key": "lines"}},
        },
    ],
    "egressProxy": {"secretRef": {"name": "corporate-proxy"}},
    "trustedCA": [{"secretRef": {"name": "corporate-ca"}}],
    "networkPolicy": {"enabled": True, "allowFrom": [{"namespaceSelector": {}}]},
    "metrics": {
        "rules": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True, "folder": "Go"},
    },
}
SERVICES: dict[str, Any] = {
    "storage": {
        "type": "mongo",
        "mongo": {"connectionSecretRef": {"name": "db"}, "caRef": {"secretRef": {"name": "db-ca"}}},
    },
    "singleFlight": {
        "type": "redisSentinel",
        "redisSentinel": {
            "endpoints": ["a.infra.svc:26379", "b.infra.svc:26379"],
            "masterName": "main",
            "passwordSecretRef": {"name": "redis"},
        },
    },
    "index": {
        "type": "mysql",
        "mysql": {"host": "db.infra.svc", "user": "athens", "passwordSecretRef": {"name": "db"}},
    },
}
GOOGLE: dict[str, Any] = {
    "storage": {"type": "gcs", "gcs": {"bucket": "go-modules", "credentialsSecretRef": {"name": "gcs"}}},
    "replicas": 2,
}

CASES: dict[str, tuple[AthensProxy, str | None, Inputs]] = {
    "minimal": (proxy_value(), POLICY, INPUTS),
    "full": (
        proxy_value(FULL, annotations={"athensproxy.dev/restartedAt": "monday"}),
        POLICY,
        Inputs(
            default_image="registry.example.com:5000/athens/proxy:0.1.0",
            cluster_domain="cluster.example",
            secrets_hash="a1b2c3",
        ),
    ),
    "memory-before-its-policy": (proxy_value({"storage": MEMORY}), None, INPUTS),
    "s3-exposed": (
        proxy_value(EXPOSED),
        POLICY,
        Inputs(
            default_image="registry.example.com/athens/proxy:v0.1.0",
            operator_namespace="athens-operator",
            served=frozenset({"HTTPRoute", "ServiceMonitor"}),
            secrets_hash="a1b2c3",
        ),
    ),
    "for-years": (
        proxy_value(FOR_YEARS),
        POLICY,
        Inputs(
            default_image="registry.example.com/athens/proxy:v0.1.0",
            operator_namespace="athens-operator",
            service_ranges=("10.96.0.0/12",),
            served=frozenset({"PrometheusRule", "Job"}),
        ),
    ),
    "mongo-sentinel-mysql": (proxy_value(SERVICES), POLICY, INPUTS),
    "gcs-two-replicas": (proxy_value(GOOGLE), POLICY, INPUTS),
    "existing-claim-rolling": (
        proxy_value(
            {
                "storage": {"type": "disk", "disk": {"existingClaim": "athens-storage"}},
                "rollout": {"strategy": "RollingUpdate"},
                "serviceAccount": {"create": False, "name": "modules"},
            }
        ),
        POLICY,
        INPUTS,
    ),
}


class Readable(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


Readable.add_representer(str, text)


def _brief(child: Manifest) -> Manifest:
    """Without what has tests of its own and changes for reasons of its own: alerts and dashboard."""
    if child["kind"] == "PrometheusRule":
        return {**child, "spec": {"groups": [group["name"] for group in child["spec"]["groups"]]}}
    if child["metadata"]["name"].endswith("-dashboard"):
        return {**child, "data": dict.fromkeys(child["data"], "(the dashboard)")}
    return child


@pytest.mark.parametrize("name", CASES)
def test_children_are_rendered_byte_for_byte(name: str) -> None:
    proxy, policy_text, inputs = CASES[name]
    children = [_brief(child) for child in desired_objects(proxy, policy_text, inputs)]
    rendered = yaml.dump_all(children, Dumper=Readable, sort_keys=False, width=100)
    rendered = rendered.replace(DEFAULT_GOPROXY, "(the default chain)")
    golden = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(rendered)

    assert rendered == golden.read_text()
