"""What the proxy is told about its credentials: `credentials.json` and the keys that name whole files.

Nothing here is secret: the file says which login belongs to which address, the logins themselves are mounted Secrets.
The format is the proxy's own, told in `docs/credentials-file.md`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from athens_operator.desired import toml
from athens_operator.spec.fields import ProxySpec
from athens_operator.spec.origins import Credential, CredentialType
from athens_operator.spec.references import CREDENTIAL_FILES, CREDENTIALS_FOLDER

CREDENTIALS_FILE = "credentials.json"


def credential_data(spec: ProxySpec) -> dict[str, str]:
    """Entries of the config ConfigMap: the file, and the keys of ssh servers that are written in the spec itself."""
    if not spec.credentials:
        return {}
    listed = {"dir": CREDENTIALS_FOLDER, "credentials": [_entry(credential) for credential in spec.credentials]}
    return {CREDENTIALS_FILE: json.dumps(listed, indent=2) + "\n", **inline_known_hosts(spec)}


def inline_known_hosts(spec: ProxySpec) -> dict[str, str]:
    """Lines of known hosts by the key of the config ConfigMap that holds them."""
    return {
        known_hosts_key(credential): credential.known_hosts.inline.rstrip("\n") + "\n"
        for credential in spec.credentials
        if credential.known_hosts and credential.known_hosts.inline
    }


def known_hosts_key(credential: Credential) -> str:
    """The key of the config ConfigMap with a credential's known hosts."""
    return f"known-hosts-{credential.name}"


def credential_keys(spec: ProxySpec, folder: str) -> toml.Table:
    """The keys of `config.toml`.

    Args:
        spec: whose.
        folder: where the config ConfigMap is mounted.
    """
    netrc, hgrc = (file_of(spec, wanted) for wanted in (CredentialType.NETRC, CredentialType.HGRC))
    return {
        **({"CredentialsFile": f"{folder}/{CREDENTIALS_FILE}"} if spec.credentials else {}),
        **({"NETRCPath": netrc} if netrc else {}),
        **({"HGRCPath": hgrc} if hgrc else {}),
    }


def file_of(spec: ProxySpec, wanted: CredentialType) -> str:
    """Where the one file of a type is mounted; empty where there is none."""
    found = (credential.name for credential in spec.credentials if credential.type is wanted)
    return next((f"{CREDENTIALS_FOLDER}/{name}/{CREDENTIAL_FILES[wanted][0]}" for name in found), "")


def _entry(credential: Credential) -> Mapping[str, Any]:
    """Only what the user wrote; the proxy has the defaults."""
    optional = {
        "match": credential.match or None,
        "username": credential.username or None,
        "port": credential.port,
        "insteadOf": None if credential.instead_of is None else list(credential.instead_of),
        "insecureIgnoreHostKey": credential.insecure_ignore_host_key or None,
        "appID": credential.app_id,
        "installationID": credential.installation_id,
    }
    return {
        "name": credential.name,
        "type": credential.type.value,
        **{key: value for key, value in optional.items() if value is not None},
    }
