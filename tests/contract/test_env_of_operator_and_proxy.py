"""What the operator writes is what the proxy reads: names, values, and nothing that the proxy would warn about."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import pytest
from yarl import URL

from athens_operator.desired.configuration import config_map
from athens_operator.desired.workload import deployment
from athens_operator.manifests import Manifest
from athens_operator.spec import AthensProxy
from athens_proxy.config.client_section import ClientSection
from athens_proxy.config.credential_section import CredentialSection
from athens_proxy.config.event_section import EventSection
from athens_proxy.config.load import ConfigFile, load
from athens_proxy.config.object_section import ObjectSection
from athens_proxy.config.remote_section import RemoteSection
from athens_proxy.config.replica_section import IndexSection, LockSection
from athens_proxy.config.retention_section import RetentionSection
from athens_proxy.config.sections import (
    Config,
    Key,
    LogSection,
    PolicySection,
    Section,
    ServerSection,
    StorageSection,
    UpstreamSection,
)
from athens_proxy.config.sources import prefixed_env
from athens_proxy.config.trace_section import TraceSection
from athens_proxy.upstream.outbound import OutboundProxies
from support.crd_schema import nodes, schema
from support.operator_values import INPUTS, MEMORY, proxy_value

SECTIONS: tuple[type[Section], ...] = (
    ServerSection,
    LogSection,
    StorageSection,
    UpstreamSection,
    PolicySection,
    ObjectSection,
    RemoteSection,
    LockSection,
    IndexSection,
    CredentialSection,
    ClientSection,
    EventSection,
    RetentionSection,
    TraceSection,
)
KEYS = [
    item
    for section in SECTIONS
    for field in section.model_fields.values()
    for item in field.metadata
    if isinstance(item, Key)
]
# Keys that no field of AthensProxy reaches yet; users set them by `extraEnv`.
OPEN = {
    "RobotsFile",
    "RetractionCheckInterval",
    "ValidatorHook",
    "CloudRuntime",
    "GoBinary",
    "GoGetMaxBytes",
    "MaxPendingFetches",
    "Storage.Serve",
    "Storage.S3.CredentialsEndpoint",
    "Storage.S3.AwsContainerCredentialsRelativeURI",
    "Storage.GCP.JSONKey",
    "Storage.AzureBlob.Endpoint",
    "SingleFlight.Redis.LockConfig.TTL",
    "SingleFlight.Redis.LockConfig.Timeout",
    "SingleFlight.Redis.LockConfig.MaxRetries",
    "SingleFlight.RedisSentinel.LockConfig.TTL",
    "SingleFlight.RedisSentinel.LockConfig.Timeout",
    "SingleFlight.RedisSentinel.LockConfig.MaxRetries",
    "SingleFlight.GCP.StaleThreshold",
    "GithubToken",
}


def environment(proxy: AthensProxy) -> list[Manifest]:
    workload = deployment(proxy, config_map(proxy, INPUTS), INPUTS)
    variables: list[Manifest] = workload["spec"]["template"]["spec"]["containers"][0]["env"]
    return variables


def loaded(proxy: AthensProxy) -> Config:
    """The proxy's own reading of what the operator wrote; values from Secrets are stand-ins."""
    environ = {entry["name"]: entry.get("value", "from-a-secret") for entry in environment(proxy)}
    text = config_map(proxy, INPUTS)["data"]["config.toml"]
    return load(["-config_file=/config.toml"], environ, lambda _: ConfigFile(text, 0o444))


def test_the_proxy_starts_with_every_default_and_warns_about_nothing() -> None:
    config = loaded(proxy_value())

    assert config.warnings == ()
    assert (config.storage.type, config.storage.disk_root) == ("disk", "/var/lib/athens")
    assert (config.log.level, config.log.format, config.log.go_env) == ("info", "json", "production")
    assert (config.server.address.port, config.server.shutdown_timeout_s) == (3000, 60)
    assert config.policy.download_mode == "file:/etc/athens/policy/download.hcl"


def test_the_defaults_that_users_read_about_are_the_proxys_own() -> None:
    """An `AthensProxy` without a field behaves like a proxy without the setting, but for format and environment."""
    assert loaded(proxy_value()).upstream.model_copy(update={"go_get_dir": ""}) == UpstreamSection()


def test_the_proxy_reads_every_field_as_it_was_meant() -> None:
    config = loaded(
        proxy_value(
            {
                "storage": MEMORY,
                "privateModules": ["git.corp.example/*"],
                "checksumDB": {"urls": [], "noSumPatterns": ["example.com/x"]},
                "upstream": {"goproxy": "https://goproxy.example.com|direct", "goEnv": {"GOFLAGS": "-mod=mod"}},
                "upstreamErrors": "notfound",
                "network": {"mode": "offline"},
                "workers": {"fetch": 3, "protocol": 7},
                "server": {
                    "logLevel": "warn",
                    "timeouts": {"network": "1m", "stash": "1h", "shutdown": "0s"},
                    "pathPrefix": "/go",
                },
                "auth": {"basic": {"secretRef": {"name": "users"}}},
                "metrics": {"enabled": False},
            }
        )
    )

    assert config.warnings == ()
    assert config.storage.type == "memory"
    assert [str(item.name) for item in config.upstream.go_env_vars] == ["GOPROXY", "GOPRIVATE", "GOFLAGS"]
    assert (config.upstream.sum_dbs, config.upstream.no_sum_patterns) == ((), ("git.corp.example/*", "example.com/x"))
    assert (config.upstream.fetch_workers, config.upstream.protocol_workers) == (3, 7)
    assert (config.upstream.timeout_s, config.upstream.stash_timeout_s) == (60, 3600)
    assert (config.server.shutdown_timeout_s, config.server.path_prefix) == (0, "/go")
    assert (config.server.upstream_errors, config.upstream.network_mode) == ("notfound", "offline")
    assert (config.log.level, config.log.stats_exporter) == ("warn", "")
    assert config.server.basic_auth_user == "from-a-secret"


CREDENTIALS = {"name": "key", "sessionTokenKey": "token"}
REFERENCE = {"name": "a-secret"}
BUCKET = {"bucket": "modules", "prefix": "team-a"}
# member of storage -> its settings, and what the proxy must make of them
STORES: dict[str, tuple[dict[str, Any], str, dict[str, object]]] = {
    "s3": (
        {**BUCKET, "region": "eu", "endpoint": "https://s3.example.com", "credentialsSecretRef": CREDENTIALS},
        "s3",
        {"s3_bucket": "modules", "s3_prefix": "team-a", "s3_region": "eu", "s3_key": "from-a-secret"},
    ),
    "minio": (
        {**BUCKET, "endpoint": "minio:9000", "credentialsSecretRef": REFERENCE},
        "minio",
        {"minio_bucket": "modules", "minio_endpoint": "minio:9000", "minio_tls": True, "minio_key": "from-a-secret"},
    ),
    "gcs": (
        {**BUCKET, "projectID": "p", "credentialsSecretRef": REFERENCE},
        "gcp",
        {"gcs_bucket": "modules", "gcs_project": "p", "gcs_prefix": "team-a"},
    ),
    "azureBlob": (
        {
            "accountName": "acc",
            "containerName": "modules",
            "managedIdentity": {"resourceID": "/subscriptions/x"},
        },
        "azureblob",
        {"azure_account": "acc", "azure_container": "modules", "azure_identity": "/subscriptions/x"},
    ),
    "mongo": (
        {"connectionSecretRef": REFERENCE, "database": "d", "collection": "c", "caRef": {"secretRef": REFERENCE}},
        "mongo",
        {"mongo_database": "d", "mongo_collection": "c", "mongo_ca_file": "/etc/athens/mongo/ca.crt"},
    ),
    "external": ({"url": "https://store.example.com"}, "external", {}),
}


@pytest.mark.parametrize("kind", STORES)
def test_the_proxy_reads_every_store_as_it_was_meant(kind: str) -> None:
    member, name, meant = STORES[kind]
    config = loaded(proxy_value({"storage": {"type": kind, kind: member}}))
    read = {**config.objects.model_dump(), **config.remotes.model_dump()}

    assert config.warnings == ()
    assert config.storage.type == name
    assert {key: read[key] for key in meant} == meant


def test_without_credentials_a_bucket_asks_the_default_chain_and_no_key_is_sent() -> None:
    proxy = proxy_value({"storage": {"type": "s3", "s3": {"bucket": "modules", "region": "eu"}}})

    assert loaded(proxy).objects.s3_default_chain is True
    assert [entry["name"] for entry in environment(proxy) if entry["name"].startswith("AWS_")] == []


def test_a_password_of_sentinels_that_nobody_set_is_empty() -> None:
    """Athens' default is a password of its own."""
    lock = {"type": "redisSentinel", "redisSentinel": {"endpoints": ["a:1", "b:2"], "masterName": "main"}}
    config = loaded(proxy_value({"singleFlight": lock}))

    assert config.warnings == ()
    assert (config.lock.type, config.lock.sentinel_endpoints) == ("redis-sentinel", ("a:1", "b:2"))
    assert not config.lock.sentinel_password


@pytest.mark.parametrize(
    ("storage", "asked", "lock"),
    [
        ({"type": "gcs", "gcs": {"bucket": "b"}}, None, "gcp"),
        ({"type": "azureBlob", "azureBlob": {"accountName": "acc", "containerName": "con"}}, None, "azureblob"),
        (MEMORY, None, "memory"),
        ({"type": "gcs", "gcs": {"bucket": "b"}}, {"type": "memory"}, "memory"),
        (MEMORY, {"type": "etcd", "etcd": {"endpoints": ["a:1", "b:2"]}}, "etcd"),
        (MEMORY, {"type": "redis", "redis": {"endpoint": "rediss://redis:6379"}}, "redis"),
    ],
)
def test_the_lock_is_the_one_asked_for_or_that_of_the_store(
    storage: dict[str, Any], asked: dict[str, Any] | None, lock: str
) -> None:
    config = loaded(proxy_value({"storage": storage, **({"singleFlight": asked} if asked else {})}))

    assert config.warnings == ()
    assert config.lock.type == lock


@pytest.mark.parametrize(("kind", "port"), [("mysql", 3306), ("postgres", 5432)])
def test_the_proxy_reads_the_index_as_it_was_meant(kind: str, port: int) -> None:
    database = {"host": "db", "user": "me", "params": {"timeout": "5s"}, "passwordSecretRef": REFERENCE}
    index = loaded(proxy_value({"index": {"type": kind, kind: database}})).index.model_dump()

    assert (index["type"], index[f"{kind}_host"], index[f"{kind}_port"]) == (kind, "db", port)
    assert index[f"{kind}_params"]["timeout"] == "5s"


def test_the_proxy_serves_https_and_shows_credentials_from_the_files_that_are_mounted() -> None:
    proxy = proxy_value(
        {
            "tls": {"secretRef": {"name": "certificate"}},
            "server": {"forceSSL": True},
            "credentials": [
                {"name": "login", "type": "netrc", "secretRef": REFERENCE},
                {"name": "git", "type": "gitConfig", "secretRef": REFERENCE},
            ],
            "trustedCA": [{"secretRef": REFERENCE}],
        }
    )
    config = loaded(proxy)
    folders = {
        mount["mountPath"]
        for mount in deployment(proxy, config_map(proxy, INPUTS), INPUTS)["spec"]["template"]["spec"]["containers"][0][
            "volumeMounts"
        ]
    }
    named = [config.server.tls_cert_file, config.server.tls_key_file, config.credentials.netrc_path]
    go = {str(item.name): item.value for item in config.upstream.go_env_vars}

    assert config.warnings == ()
    assert config.server.force_ssl
    assert {name.rpartition("/")[0] for name in [*named, go["GIT_CONFIG_GLOBAL"], go["GIT_SSL_CAINFO"]]} <= folders


def test_the_proxy_reads_what_keeps_it_going_as_it_was_meant() -> None:
    config = loaded(
        proxy_value(
            {
                "privateModules": ["git.corp.example/*"],
                "processes": 2,
                "retention": {"maxBytes": "1Gi", "maxIdle": "48h", "keep": ["example.com/kept"], "dryRun": True},
                "follow": {"url": "https://central.example.com/go", "action": "Both"},
                "tracing": {"exporter": "jaeger", "endpoint": "http://jaeger:4317", "samplingFraction": "0.05"},
                "server": {"page": True, "homePage": {"configMapRef": {"name": "pages"}}},
                "auth": {"clients": [{"name": "builds", "secretRef": {"name": "builds"}}]},
            }
        )
    )
    read = {
        **config.retention.model_dump(),
        **config.traces.model_dump(),
        **config.events.model_dump(),
        "clients": config.clients.folder,
    }
    meant: dict[str, object] = {
        "max_bytes": 2**30,
        "max_idle_s": 48 * 3600,
        "keep": ("example.com/kept", "git.corp.example/*"),
        "dry_run": True,
        "purge_file": "/etc/athens/policy/purge.json",
        "exporter": "jaeger",
        "url": "http://jaeger:4317",
        "fraction": 0.05,
        "page": True,
        "follow": "https://central.example.com/go",
        "follow_action": "both",
        "clients": "/etc/athens/auth",
    }

    assert config.warnings == ()
    assert {name: read[name] for name in meant} == meant
    assert (config.server.processes, config.server.home_template) == (2, "/etc/athens/home/home.html")


@pytest.mark.parametrize(
    ("url", "is_proxied"),
    [
        ("https://git.example.com", True),
        ("http://origin.example.com", True),
        ("https://git.corp.example", False),
        ("http://minio.infra.svc:9000", False),
        ("http://collector.monitoring.svc.cluster.local:4317", False),
        ("https://10.96.0.7", False),
        ("http://169.254.169.254/latest/meta-data", False),
        ("http://[fd00:ec2::254]/latest/meta-data", False),
        ("http://metadata.google.internal", False),
    ],
)
@pytest.mark.parametrize("from_secret", [False, True])
def test_the_proxy_goes_out_as_the_spec_says_and_never_inside_the_cluster(
    url: str, is_proxied: bool, from_secret: bool
) -> None:
    written = {"httpProxy": "http://proxy:3128", "httpsProxy": "http://proxy:3128", "noProxy": [".corp.example"]}
    in_secret = {"httpProxy": "http://proxy:3128", "httpsProxy": "http://proxy:3128", "noProxy": ".corp.example"}
    proxy = proxy_value({"egressProxy": {"secretRef": {"name": "a"}} if from_secret else written})
    inputs = replace(INPUTS, service_ranges=("10.96.0.0/12",))
    environ: dict[str, str] = {}
    for entry in deployment(proxy, config_map(proxy, inputs), inputs)["spec"]["template"]["spec"]["containers"][0][
        "env"
    ]:
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        value = in_secret[reference["key"]] if reference else entry["value"]
        environ[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda name: environ[name[1]], value)

    assert environ["NO_PROXY"] == environ["no_proxy"]
    assert (OutboundProxies.of(environ).for_url(URL(url)) is not None) is is_proxied


def words(path: str) -> list[Any]:
    found: list[Any] = next(node.schema["enum"] for node in nodes(schema("AthensProxy", "spec")) if node.path == path)
    return found


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (path, word)
        for path in ("upstreamErrors", "network.mode", "server.logLevel", "server.logFormat")
        for word in words(path)
    ],
)
def test_every_word_of_the_schema_is_one_that_the_proxy_takes(path: str, word: str) -> None:
    spec: Any = word
    for name in reversed(path.split(".")):
        spec = {name: spec}

    assert loaded(proxy_value(spec)).warnings == ()


@pytest.mark.parametrize(
    "name",
    sorted(
        set(
            itertools.chain.from_iterable(
                (prefixed_env(key.toml, key.env), key.env) for key in KEYS if key.toml not in OPEN
            )
        )
        | {"PORT", "HOME", "TMPDIR", "ATHENS_FILTER_FILE", "ATHENS_ATHENS_FILTER_FILE", "ATHENS_GLOBAL_ENDPOINT"}
    ),
)
def test_extra_env_cannot_reach_a_setting_that_has_a_field(name: str) -> None:
    """In plain and in doubled form, which beats everything else."""
    rule = refusing_rule()
    listed = re.search(r"self in \[([^]]*)\]", rule)
    assert listed is not None

    refused = name in re.findall(r"'([^']*)'", listed.group(1)) or any(
        re.fullmatch(pattern.strip("^$"), name) for pattern in re.findall(r"self\.matches\('([^']*)'\)", rule)
    )

    assert refused


def refusing_rule() -> str:
    name = next(node for node in nodes(schema("AthensProxy", "spec")) if node.path == "extraEnv[].name")
    rules = [
        rule["rule"] for rule in name.schema["x-kubernetes-validations"] if "set by the operator" in rule["message"]
    ]
    return str(rules[0])
