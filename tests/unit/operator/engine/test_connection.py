"""How the operator reaches the API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from athens_operator.connection import NoCluster, connect

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "https://api.example.com"}}]
users: [{name: me, user: {token: t}}]
"""


@pytest.mark.parametrize(("proxy", "looks_for_one"), [("", False), ("http://proxy.example.com:3128", True)])
async def test_requests_look_for_an_http_proxy_only_where_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str, looks_for_one: bool
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    if proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    (tmp_path / "config").write_text(KUBECONFIG)

    configuration = await connect({"KUBECONFIG": str(tmp_path / "config")})

    chosen = getattr(configuration, "client_session_kwargs", None) or {}
    assert chosen.get("trust_env", True) is looks_for_one


@pytest.mark.parametrize("text", ["", "not: [yaml", "- a list", "current-context: 5", "\0"])
async def test_a_file_that_is_no_kubeconfig_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)

    with pytest.raises(NoCluster) as told:
        await connect({"KUBECONFIG": str(file)})

    assert "\n" not in str(told.value)
    assert "set KUBECONFIG to a kubeconfig file with a current context" in str(told.value)
