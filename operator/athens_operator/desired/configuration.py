"""The two ConfigMaps: what the proxy reads once at start, and the download file that it watches.

Everything that is no secret goes into `config.toml`, so that a diff of a ConfigMap says what changed. The keys have
Athens' spelling; the contract test in `tests/contract` holds them against those that the proxy knows.
"""

from __future__ import annotations

import hashlib
import json

from athens_operator.desired import toml
from athens_operator.desired.credentials import credential_data, credential_keys, file_of
from athens_operator.desired.inputs import Inputs
from athens_operator.desired.names import metadata, policy_name
from athens_operator.desired.operation import PURGE_FILE, operation_keys, purge_data, retention_table
from athens_operator.desired.sharing import sharing_tables
from athens_operator.desired.stores import storage_table, storage_type
from athens_operator.manifests import Manifest
from athens_operator.spec.origins import CredentialType
from athens_operator.spec.proxy import ANNOTATION_PREFIX, AthensProxy
from athens_operator.spec.references import CLIENTS_FOLDER, TLS_FOLDER

CONFIG_HASH = ANNOTATION_PREFIX + "config-hash"
CONFIG_FOLDER = "/etc/athens/config"
POLICY_FOLDER = "/etc/athens/policy"
DOWNLOAD_MODE = f"file:{POLICY_FOLDER}/download.hcl"
PORT = 3000
SCRATCH_FOLDER = "/scratch"
BUNDLE_FILE = "/run/ca/bundle.pem"
DEFAULT_GOPROXY = "https://proxy.golang.org,direct"
DEFAULT_CHECKSUM_DATABASES = ("https://sum.golang.org",)


def config_map(proxy: AthensProxy, inputs: Inputs) -> Manifest:
    """The immutable ConfigMap with `config.toml` and what belongs to it.

    A hash of the content ends its name, so a change rolls the pods.
    """
    data = {"config.toml": toml.dumps(configuration(proxy)), **credential_data(proxy.spec)}
    digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(
            proxy, inputs, name=f"{proxy.name}-config-{digest[:8]}", annotations={CONFIG_HASH: f"sha256:{digest}"}
        ),
        "immutable": True,
        "data": data,
    }


def policy_config_map(proxy: AthensProxy, text: str, inputs: Inputs) -> Manifest:
    """The mutable ConfigMap with the download file and the purged versions.

    Its change never touches the pod template.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(proxy, inputs, name=policy_name(proxy)),
        "data": {"download.hcl": text, **purge_data(proxy.spec)},
    }


def configuration(proxy: AthensProxy) -> toml.Table:
    """The proxy's configuration in Athens' spelling, with every default written out."""
    spec = proxy.spec
    timeouts = spec.server.timeouts
    return {
        "GoEnv": "production",
        "GoBinaryEnvVars": go_environment(proxy),
        "GoGetWorkers": spec.workers.fetch,
        "GoGetDir": SCRATCH_FOLDER,
        "ProtocolWorkers": spec.workers.protocol,
        "LogLevel": spec.server.log_level,
        "LogFormat": spec.server.log_format,
        "Timeout": timeouts.network_s,
        "StashTimeout": timeouts.stash_s,
        "ShutdownTimeout": timeouts.shutdown_s,
        "Port": f":{PORT}",
        **_server(proxy),
        "StatsExporter": "prometheus" if spec.metrics.enabled else "",
        "SumDBs": list(DEFAULT_CHECKSUM_DATABASES if spec.checksum_db.urls is None else spec.checksum_db.urls),
        "NoSumPatterns": no_sum_patterns(proxy),
        "DownloadMode": DOWNLOAD_MODE,
        "NetworkMode": spec.network.mode,
        "UpstreamErrors": spec.upstream_errors,
        "PurgeFile": f"{POLICY_FOLDER}/{PURGE_FILE}",
        **operation_keys(spec),
        "StorageType": storage_type(spec.storage),
        **sharing_tables(spec),
        **retention_table(spec),
        "Storage": {"Owner": f"{proxy.namespace}/{proxy.name}", **storage_table(spec.storage)},
    }


def go_environment(proxy: AthensProxy) -> list[str]:
    """The whole environment of the `go` command as `NAME=value`; it replaces the proxy's built-in list."""
    private = proxy.spec.private_modules
    git_config = file_of(proxy.spec, CredentialType.GIT_CONFIG)
    return [
        f"GOPROXY={proxy.spec.upstream.goproxy or DEFAULT_GOPROXY}",
        *([f"GOPRIVATE={','.join(private)}"] if private else []),
        *(f"{name}={BUNDLE_FILE}" for name in ("SSL_CERT_FILE", "GIT_SSL_CAINFO") if proxy.spec.trusted_ca),
        *([f"GIT_CONFIG_GLOBAL={git_config}"] if git_config else []),
        *(f"{name}={value}" for name, value in sorted(proxy.spec.upstream.go_env.items())),
    ]


def no_sum_patterns(proxy: AthensProxy) -> list[str]:
    """Patterns of modules that no checksum database is asked about, each once, in the order of the spec."""
    return list(dict.fromkeys((*proxy.spec.private_modules, *proxy.spec.checksum_db.no_sum_patterns)))


def _server(proxy: AthensProxy) -> toml.Table:
    """What the server needs only where it is asked for."""
    spec = proxy.spec
    return {
        **({"PathPrefix": spec.server.path_prefix} if spec.server.path_prefix else {}),
        **({"ForceSSL": True} if spec.server.force_ssl else {}),
        **({"TLSCertFile": f"{TLS_FOLDER}/tls.crt", "TLSKeyFile": f"{TLS_FOLDER}/tls.key"} if spec.tls else {}),
        **({"AuthClientsDir": CLIENTS_FOLDER} if spec.auth.clients else {}),
        **credential_keys(spec, CONFIG_FOLDER),
    }
