"""From a token in a Secret to a private module in a developer's cache, over https from end to end."""

from __future__ import annotations

import os
from pathlib import Path

from demonstration.go_client import go_client
from demonstration.kubectl import Manifest, condition
from support.authority import Authority
from support.in_pods import run_script, service_of
from support.team import EPHEMERAL, Team

GIT, TOKEN = "git-over-https", "p1anted-t0ken"


def secret(team: Team, name: str, kind: str = "Opaque", **texts: str) -> Manifest:
    metadata = {"name": name, "namespace": team.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "stringData": texts}


def is_accepted(proxy: Manifest) -> bool:
    return condition(proxy, "CredentialsReady").get("status") == "True"


def test_a_private_module_comes_from_a_git_server_that_wants_a_token_to_a_client_that_verifies_the_proxy(
    team: Team, tmp_path: Path
) -> None:
    host = f"git.{team.namespace}.svc.cluster.local"
    authority = Authority.made(tmp_path, host, f"go.{team.namespace}.svc.cluster.local")
    pair = {"tls.crt": authority.cert_file.read_text(), "tls.key": authority.key_file.read_text()}
    trusted = {"metadata": {"name": "authority", "namespace": team.namespace}}
    team.kubectl.apply(
        secret(team, "tls", "kubernetes.io/tls", **pair),
        secret(team, "token", token=TOKEN),
        {"apiVersion": "v1", "kind": "ConfigMap", **trusted, "data": {"ca.crt": authority.ca_file.read_text()}},
        service_of(team, GIT, service="git", port=443, target=8443),
    )
    run_script(team, GIT, host, "/etc/tls", "/etc/token/token", "/scratch/git", secrets=("tls", "token"))
    team.apply_proxy(
        storage=EPHEMERAL,
        privateModules=[host],
        credentials=[{"name": "git", "type": "token", "match": host, "secretRef": {"name": "token"}}],
        trustedCA=[{"configMapRef": {"name": "authority"}}],
        tls={"secretRef": {"name": "tls"}},
    )
    proxy = team.until_ready()

    with (
        team.kubectl.port_forward(team.namespace, "service/go", 443) as port,
        go_client(
            f"https://localhost:{port}", os.environ, SSL_CERT_FILE=str(authority.ca_file), GONOSUMDB=host
        ) as client,
    ):
        private = client.run("mod", "download", "-json", f"{host}/team/lib.git@v1.0.0")
    judged = team.until(is_accepted, "the credential to be accepted")

    assert proxy["status"]["client"]["goproxy"] == f"https://go.{team.namespace}.svc.cluster.local"
    assert private.succeeded, private.output
    assert judged["status"]["credentials"] == [{"name": "git", "state": "Valid"}]
    logs = team.kubectl.run("logs", "deployment/go", "--namespace", team.namespace, "--tail=-1")
    assert TOKEN not in logs
