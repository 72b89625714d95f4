"""A proxy behind everything at once, login, path, TLS and forced TLS: probed, scraped, read back, used, listed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

from athens_operator.manifests import Manifest
from demonstration.kubectl import holds_for
from support.authority import Authority
from support.exchange import ask
from support.team import EPHEMERAL, Team, login

MODULE = "github.com/google/uuid"
DENIED = {"name": "no", "patterns": [MODULE], "mode": "deny"}


def test_probes_scraping_and_read_back_work_behind_login_prefix_and_tls(team: Team, tmp_path: Path) -> None:
    authority = Authority.made(tmp_path, f"go.{team.namespace}.svc.cluster.local")
    pair = {"tls.crt": authority.cert_file.read_text(), "tls.key": authority.key_file.read_text()}
    metadata = {"name": "tls", "namespace": team.namespace}
    certificate: Manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls"}
    team.kubectl.apply(login(team.namespace), {**certificate, "stringData": pair})
    team.apply_proxy(
        storage=EPHEMERAL,
        auth={"basic": {"secretRef": {"name": "login"}}},
        server={"pathPrefix": "/go", "forceSSL": True},
        tls={"secretRef": {"name": "tls"}},
    )
    address = team.until_ready()["status"]["client"]["goproxy"]
    ours = {"Authorization": "Basic " + base64.b64encode(b"ada:lovelace").decode()}
    with team.kubectl.port_forward(team.namespace, "service/go", 443) as port:
        url, tls = f"https://localhost:{port}", authority.trusted()
        statuses = {
            "stranger": ask(url, f"/go/{MODULE}/@v/v1.6.0.info", tls=tls).status,
            "client": ask(url, f"/go/{MODULE}/@v/v1.6.0.info", headers=ours, tls=tls).status,
            "scraping": ask(url, "/go/metrics", headers=ours, tls=tls).status,
            "elsewhere": ask(url, f"/{MODULE}/@v/v1.6.0.info", headers=ours, tls=tls).status,
        }
        stored = catalog_of(team)
        team.apply_policy(DENIED)
        team.until_policy_programmed()
        denied = ask(url, f"/go/{MODULE}/@v/v1.6.0.info", headers=ours, tls=tls).status

    assert address == f"https://go.{team.namespace}.svc.cluster.local/go"
    assert statuses == {"stranger": 401, "client": 200, "scraping": 200, "elsewhere": 404}
    assert {"module": MODULE, "version": "v1.6.0"} in stored
    assert denied == 403
    team.until(holds_for("PolicyProgrammed"), "the pod's own answer is read")


def catalog_of(team: Team) -> list[dict[str, str]]:
    """What `kubectl athens catalog` shows of the team's proxy, which it logs in to."""
    argv = [str(Path(sys.executable).with_name("kubectl-athens")), "-n", team.namespace, "catalog", "go", "-o", "json"]
    env = {**os.environ, "KUBECONFIG": str(team.kubectl.kubeconfig), "KUBECTL": str(team.kubectl.binary)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, str]] = json.loads(done.stdout)
    return rows
