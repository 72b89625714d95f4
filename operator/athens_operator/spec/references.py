"""Which Secrets and ConfigMaps the pods of a spec take values and files from. Pure.

Rendering mounts and sets what is listed here, and the operator looks up exactly the same, so that what a pod needs is
never missing from the status.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from athens_operator.spec.fields import ProxySpec
from athens_operator.spec.origins import Credential, CredentialType
from athens_operator.spec.replicas import Index, SingleFlight
from athens_operator.spec.storage import Storage
from athens_operator.spec.values import FileReference, KeyReference

BASIC_AUTH_SECRET = "spec.auth.basic.secretRef"  # noqa: S105 - the path of a field
TLS_FOLDER = "/etc/athens/tls"
CREDENTIALS_FOLDER = "/etc/athens/credentials"
TRUSTED_FOLDER = "/etc/athens/ca"
CLIENTS_FOLDER = "/etc/athens/auth"
CREDENTIAL_FILES = {
    CredentialType.NETRC: ("netrc",),
    CredentialType.GIT_CONFIG: ("gitconfig",),
    CredentialType.HGRC: ("hgrc",),
    CredentialType.BASIC: ("username", "password"),
    CredentialType.TOKEN: ("token",),
    CredentialType.SSH: ("ssh-privatekey",),
    CredentialType.GITHUB_APP: ("private-key.pem",),
}
"""File names of a credential, which are also the keys that are read without another."""
KNOWN_HOSTS = "known_hosts"
HOME_PAGE_FOLDER = "/etc/athens/home"
HOME_PAGE = "home.html"
EGRESS_NO_PROXY = "EGRESS_NO_PROXY"
"""What a Secret says of NO_PROXY, for the variable that adds the cluster's own names to it."""
EGRESS_KEYS = {
    "HTTP_PROXY": "httpProxy",
    "http_proxy": "httpProxy",
    "HTTPS_PROXY": "httpsProxy",
    "https_proxy": "httpsProxy",
    EGRESS_NO_PROXY: "noProxy",
}


@dataclass(frozen=True, slots=True)
class SecretVariable:
    """A variable of the container that takes its value from a Secret.

    Args:
        name: of the variable.
        secret: name of the Secret.
        key: the key in it.
        path: the field that names the Secret, for messages.
    """

    name: str
    secret: str
    key: str
    path: str


@dataclass(frozen=True, slots=True)
class MountedFiles:
    """Keys of a Secret or ConfigMap that become files of a folder.

    Args:
        volume: name of the volume; several of one name are one volume with the files of all of them.
        folder: where it is mounted.
        kind: Secret or ConfigMap.
        name: of that object.
        files: file name by key; empty for all keys under their own names.
        path: the field that names the object, for messages.
        hot: the process reads a changed file at its next use, so that nothing has to restart.
    """

    volume: str
    folder: str
    kind: str
    name: str
    files: tuple[tuple[str, str], ...]
    path: str
    hot: bool = False


def secret_variables(spec: ProxySpec) -> Iterator[SecretVariable]:
    """Every variable from a Secret but those of `extraEnv`, in a fixed order."""
    login = spec.auth.basic.secret_ref if spec.auth.basic else None
    if login is not None:
        yield SecretVariable("BASIC_AUTH_USER", login.name, login.username_key, BASIC_AUTH_SECRET)
        yield SecretVariable("BASIC_AUTH_PASS", login.name, login.password_key, BASIC_AUTH_SECRET)
    yield from _of_storage(spec.storage)
    yield from _of_lock(spec.single_flight)
    yield from _of_index(spec.index)
    egress = spec.egress_proxy.secret_ref if spec.egress_proxy else None
    if egress is not None:
        for name, key in EGRESS_KEYS.items():
            yield SecretVariable(name, egress.name, key, "spec.egressProxy.secretRef")


def mounted_files(spec: ProxySpec) -> Iterator[MountedFiles]:
    """Every folder of files that the container itself reads, in a fixed order."""
    storage = spec.storage
    if storage.gcs and storage.gcs.credentials_secret_ref:
        key = storage.gcs.credentials_secret_ref
        files = ((key.key or "key.json", "key.json"),)
        yield MountedFiles("gcs", "/etc/athens/gcs", "Secret", key.name, files, "spec.storage.gcs.credentialsSecretRef")
    if storage.mongo and storage.mongo.ca_ref:
        yield from _certificate("mongo-ca", "/etc/athens/mongo", storage.mongo.ca_ref, "spec.storage.mongo.caRef")
    if spec.tls:
        pair = (("tls.crt", "tls.crt"), ("tls.key", "tls.key"))
        yield MountedFiles("tls", TLS_FOLDER, "Secret", spec.tls.secret_ref.name, pair, "spec.tls.secretRef", hot=True)
    for credential in spec.credentials:
        yield from _of_credential(credential)
    if spec.server.home_page:
        page = spec.server.home_page.config_map_ref
        files, path = ((page.key or HOME_PAGE, HOME_PAGE),), "spec.server.homePage.configMapRef"
        yield MountedFiles("home-page", HOME_PAGE_FOLDER, "ConfigMap", page.name, files, path, hot=True)
    for client in spec.auth.clients:
        folder, path = f"{CLIENTS_FOLDER}/{client.name}", f"spec.auth.clients[{client.name}].secretRef"
        yield MountedFiles(f"client-{client.name}", folder, "Secret", client.secret_ref.name, (), path, hot=True)


def trusted_certificates(spec: ProxySpec) -> Iterator[MountedFiles]:
    """Every folder with a certificate that is to be trusted, for the container that makes one bundle of them."""
    for number, reference in enumerate(spec.trusted_ca):
        folder = f"{TRUSTED_FOLDER}/{number}"
        yield from _certificate(f"trusted-ca-{number}", folder, reference, f"spec.trustedCA[{number}]")


def credential_volume(credential: Credential) -> str:
    """The volume with the files of one credential."""
    return f"credential-{credential.name}"


def _of_credential(credential: Credential) -> Iterator[MountedFiles]:
    """What the login consists of, and the keys of the server it is shown to where another object holds them."""
    volume, folder = credential_volume(credential), f"{CREDENTIALS_FOLDER}/{credential.name}"
    secret, path = credential.secret_ref, f"spec.credentials[{credential.name}]"
    names = CREDENTIAL_FILES[credential.type]
    files = ((secret.key or names[0], names[0]),) if len(names) == 1 else tuple((name, name) for name in names)
    yield MountedFiles(volume, folder, "Secret", secret.name, files, f"{path}.secretRef", hot=True)
    known = credential.known_hosts
    sources = (
        ("configMapRef", "ConfigMap", known.config_map_ref if known else None),
        ("secretRef", "Secret", known.secret_ref if known else None),
    )
    for member, kind, found in sources:
        if found is not None:
            hosts = ((found.key or KNOWN_HOSTS, KNOWN_HOSTS),)
            yield MountedFiles(volume, folder, kind, found.name, hosts, f"{path}.knownHosts.{member}", hot=True)


def _certificate(volume: str, folder: str, reference: FileReference, path: str) -> Iterator[MountedFiles]:
    sources = (
        ("configMapRef", "ConfigMap", reference.config_map_ref),
        ("secretRef", "Secret", reference.secret_ref),
    )
    for member, kind, found in sources:
        if found is not None:
            files = ((found.key or "ca.crt", "ca.crt"),)
            yield MountedFiles(volume, folder, kind, found.name, files, f"{path}.{member}")


def _of_storage(storage: Storage) -> Iterator[SecretVariable]:
    if storage.s3 and storage.s3.credentials_secret_ref:
        s3, path = storage.s3.credentials_secret_ref, "spec.storage.s3.credentialsSecretRef"
        yield SecretVariable("AWS_ACCESS_KEY_ID", s3.name, s3.access_key_id_key, path)
        yield SecretVariable("AWS_SECRET_ACCESS_KEY", s3.name, s3.secret_access_key_key, path)
        if s3.session_token_key:
            yield SecretVariable("AWS_SESSION_TOKEN", s3.name, s3.session_token_key, path)
    if storage.minio:
        minio, path = storage.minio.credentials_secret_ref, "spec.storage.minio.credentialsSecretRef"
        yield SecretVariable("ATHENS_MINIO_ACCESS_KEY_ID", minio.name, minio.access_key_id_key, path)
        yield SecretVariable("ATHENS_MINIO_SECRET_ACCESS_KEY", minio.name, minio.secret_access_key_key, path)
    if storage.azure_blob:
        path = "spec.storage.azureBlob.accountKeySecretRef"
        yield from _variable("ATHENS_AZURE_ACCOUNT_KEY", storage.azure_blob.account_key_secret_ref, "accountKey", path)
    if storage.mongo:
        path = "spec.storage.mongo.connectionSecretRef"
        yield from _variable("ATHENS_MONGO_STORAGE_URL", storage.mongo.connection_secret_ref, "url", path)


def _of_lock(lock: SingleFlight) -> Iterator[SecretVariable]:
    if lock.redis:
        path = "spec.singleFlight.redis.passwordSecretRef"
        yield from _variable("ATHENS_REDIS_PASSWORD", lock.redis.password_secret_ref, "password", path)
    if lock.redis_sentinel:
        path = "spec.singleFlight.redisSentinel"
        master, sentinels = lock.redis_sentinel.password_secret_ref, lock.redis_sentinel.sentinel_password_secret_ref
        yield from _variable("ATHENS_REDIS_PASSWORD", master, "password", f"{path}.passwordSecretRef")
        yield from _variable(
            "ATHENS_REDIS_SENTINEL_PASSWORD", sentinels, "password", f"{path}.sentinelPasswordSecretRef"
        )


def _of_index(index: Index) -> Iterator[SecretVariable]:
    if index.mysql:
        path = "spec.index.mysql.passwordSecretRef"
        yield from _variable("ATHENS_INDEX_MYSQL_PASSWORD", index.mysql.password_secret_ref, "password", path)
    if index.postgres:
        path = "spec.index.postgres.passwordSecretRef"
        yield from _variable("ATHENS_INDEX_POSTGRES_PASSWORD", index.postgres.password_secret_ref, "password", path)


def _variable(name: str, reference: KeyReference | None, key: str, path: str) -> Iterator[SecretVariable]:
    if reference is not None:
        yield SecretVariable(name, reference.name, reference.key or key, path)
