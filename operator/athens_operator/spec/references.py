"""Which Secrets and ConfigMaps the pods of a spec take values and files from. Pure.

Rendering mounts and sets what is listed here, and the operator looks up exactly the same, so that what a pod needs is
never missing from the status.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from athens_operator.spec.fields import CredentialType, ProxySpec
from athens_operator.spec.replicas import Index, SingleFlight
from athens_operator.spec.storage import Storage
from athens_operator.spec.values import FileReference, KeyReference

BASIC_AUTH_SECRET = "spec.auth.basic.secretRef"  # noqa: S105 - the path of a field
TLS_FOLDER = "/etc/athens/tls"
CREDENTIALS_FOLDER = "/etc/athens/credentials"
TRUSTED_FOLDER = "/etc/athens/ca"
CREDENTIAL_FILES = {CredentialType.NETRC: ("netrc", False), CredentialType.GIT_CONFIG: ("gitconfig", True)}
"""File name of a credential, which is also the key that is read without another, and whether a change is hot."""


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
        volume: name of the volume.
        folder: where it is mounted.
        kind: Secret or ConfigMap.
        name: of that object.
        files: file name by key.
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
    if spec.auth.basic is not None:
        login = spec.auth.basic.secret_ref
        yield SecretVariable("BASIC_AUTH_USER", login.name, login.username_key, BASIC_AUTH_SECRET)
        yield SecretVariable("BASIC_AUTH_PASS", login.name, login.password_key, BASIC_AUTH_SECRET)
    yield from _of_storage(spec.storage)
    yield from _of_lock(spec.single_flight)
    yield from _of_index(spec.index)


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
        name, hot = CREDENTIAL_FILES[credential.type]
        secret, path = credential.secret_ref, f"spec.credentials[{credential.name}].secretRef"
        files = ((secret.key or name, name),)
        folder = f"{CREDENTIALS_FOLDER}/{credential.name}"
        yield MountedFiles(f"credential-{credential.name}", folder, "Secret", secret.name, files, path, hot)


def trusted_certificates(spec: ProxySpec) -> Iterator[MountedFiles]:
    """Every folder with a certificate that is to be trusted, for the container that makes one bundle of them."""
    for number, reference in enumerate(spec.trusted_ca):
        folder = f"{TRUSTED_FOLDER}/{number}"
        yield from _certificate(f"trusted-ca-{number}", folder, reference, f"spec.trustedCA[{number}]")


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
