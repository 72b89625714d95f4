"""The credentials file that the operator writes is the one that the proxy reads, with the secrets where it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from athens_operator.desired.configuration import config_map
from athens_operator.desired.workload import deployment
from athens_operator.spec.origins import CredentialType
from athens_operator.spec.references import CREDENTIAL_FILES, CREDENTIALS_FOLDER
from athens_proxy.credentials.entries import FILES, Kind, parse_entries
from support.operator_values import INPUTS, MEMORY, proxy_value

OF_TYPE: dict[str, dict[str, Any]] = {
    "basic": {"match": "git.example.com/a"},
    "token": {"match": "git.example.com", "username": "oauth2"},
    "ssh": {"match": "git.example.com/b", "port": 2222, "insteadOf": [], "knownHosts": {"inline": "h ssh-rsa AAAA"}},
    "githubApp": {"match": "github.com/example", "appID": 12, "installationID": 34},
    "netrc": {},
    "gitConfig": {},
    "hgrc": {},
}


def spec(kind: str) -> dict[str, Any]:
    return {**MEMORY, "credentials": [{"name": "e", "type": kind, "secretRef": {"name": "s"}, **OF_TYPE[kind]}]}


@pytest.mark.parametrize("kind", [str(kind) for kind in CredentialType])
def test_each_type_is_read_as_it_was_written_and_finds_its_files(kind: str) -> None:
    proxy = proxy_value(spec(kind))
    manifest = config_map(proxy, INPUTS)
    pods = deployment(proxy, manifest, INPUTS)["spec"]["template"]["spec"]

    (entry,) = parse_entries(manifest["data"]["credentials.json"], folder=Path("/etc/athens/config"))

    wanted = OF_TYPE[kind]
    assert (entry.name, str(entry.kind), str(entry.match or "")) == ("e", kind, wanted.get("match", ""))
    assert (entry.app_id, entry.installation_id) == (
        str(wanted.get("appID", "")),
        str(wanted.get("installationID", "")),
    )
    assert (entry.port, entry.username) == (wanted.get("port", 22), wanted.get("username", ""))
    mounts = [mount["mountPath"] for mount in pods["containers"][0]["volumeMounts"]]
    assert {path.parent for path in entry.files.values()} == {Path(CREDENTIALS_FOLDER, "e")}
    assert f"{CREDENTIALS_FOLDER}/e" in mounts


def test_operator_and_proxy_name_the_files_of_a_type_alike() -> None:
    for kind in CredentialType:
        names = set(CREDENTIAL_FILES[kind]) | ({"known_hosts"} if kind is CredentialType.SSH else set())
        assert names == set(FILES[Kind(str(kind))])
