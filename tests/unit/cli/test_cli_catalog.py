"""The catalogue of a proxy that wants a login, in front of a kubectl that answers from files and forwards a port."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

Run = Callable[..., Any]
SCRIPT = """\
#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/asked"
case "$*" in
*"get secret"*)
  [ ! -e "$here/lesser" ] || { echo 'Error from server (Forbidden): secrets is forbidden' >&2; exit 1; }
  [ ! -e "$here/secret.json" ] || cat "$here/secret.json"
  [ -e "$here/secret.json" ] || echo '{}' ;;
*port-forward*)
  [ -e "$here/port" ] || { echo 'error: unable to forward port because pod is not running' >&2; exit 1; }
  echo 'Warning: this kubectl is old' >&2
  echo "Forwarding from 127.0.0.1:$(cat "$here/port") -> 3000"; exec sleep 60 ;;
*--raw*) echo 'error: You must be logged in to the server (Unauthorized)' >&2; exit 1 ;;
*) cat "$here/proxy.json" ;;
esac
"""


@dataclass
class Served:
    """A proxy that lets in ada alone."""

    asked: list[str] = field(default_factory=list)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    seen = Served()
    expected = "Basic " + base64.b64encode(b"ada:lovelace").decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.asked.append(self.path)
            is_let_in = self.headers.get("Authorization") == expected
            token = parse_qs(urlsplit(self.path).query).get("token")
            page = {"modules": [{"module": f"example.com/{'b' if token else 'a'}", "version": "v1.0.0"}]}
            body = (json.dumps(page if token else {**page, "next": "two"}) if is_let_in else "who are you?\n").encode()
            self.send_response(200 if is_let_in else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Nothing on standard error, which tests read."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        (tmp_path / "port").write_text(str(server.server_address[1]))
        yield seen
        server.shutdown()
        thread.join()


@pytest.fixture
def kubectl(tmp_path: Path) -> Path:
    script = tmp_path / "kubectl"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    return script


def proxy_with(kubectl: Path, **spec: object) -> None:
    body = {"kind": "AthensProxy", "metadata": {"name": "go", "namespace": "team-a"}, "spec": spec}
    (kubectl.parent / "proxy.json").write_text(json.dumps(body))


def secret_with(kubectl: Path, **values: str) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    (kubectl.parent / "secret.json").write_text(json.dumps({"kind": "Secret", "data": data}))


@pytest.mark.parametrize(
    ("auth", "secret"),
    [
        ({"basic": {"secretRef": {"name": "login", "usernameKey": "u", "passwordKey": "p"}}}, "login"),
        ({"basic": {"generate": True}}, "go-auth"),
        ({"clients": [{"name": "ci", "secretRef": {"name": "lines"}}]}, "go-operator-login"),
    ],
    ids=["named", "generated", "of the operator"],
)
def test_a_proxy_with_a_login_is_asked_with_the_secret_that_it_names(
    run: Run, kubectl: Path, served: Served, auth: dict[str, Any], secret: str
) -> None:
    proxy_with(kubectl, auth=auth, service={"port": 8080}, server={"pathPrefix": "/mods"})
    secret_with(kubectl, u="ada", p="lovelace", username="ada", password="lovelace")

    done = run("--kubectl", str(kubectl), "catalog", "team-a/go", "-o", "json")

    asked = (kubectl.parent / "asked").read_text()
    assert [row["module"] for row in json.loads(done.out)] == ["example.com/a", "example.com/b"]
    assert served.asked == ["/mods/catalog?pagesize=1000", "/mods/catalog?pagesize=1000&token=two"]
    assert f"--namespace=team-a get secret {secret} " in asked
    assert "--namespace=team-a port-forward --address=127.0.0.1 service/go :8080" in asked
    assert "lovelace" not in asked


def test_a_login_of_ones_own_needs_no_secret(
    run: Run, kubectl: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy_with(kubectl)
    monkeypatch.setenv("ATHENS_PASSWORD", "lovelace")

    done = run("--kubectl", str(kubectl), "catalog", "go", "--user", "ada", "--limit", "1")

    assert "example.com/a" in done.out
    assert served.asked == ["/catalog?pagesize=1000"]
    assert "get secret" not in (kubectl.parent / "asked").read_text()


def test_a_login_that_is_not_valid_is_named_and_not_shown(run: Run, kubectl: Path, served: Served) -> None:
    proxy_with(kubectl, auth={"basic": {"secretRef": {"name": "login"}}})
    secret_with(kubectl, username="ada", password="of-yesterday")

    done = run("--kubectl", str(kubectl), "catalog", "go")

    assert (done.code, done.out) == (2, "")
    assert "401 Unauthorized: who are you?; the login of Secret team-a/login is not valid there" in done.err
    assert "of-yesterday" not in done.err


def test_each_obstacle_to_a_login_is_one_line_with_what_to_do(
    run: Run, kubectl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ATHENS_PASSWORD", raising=False)
    asked = ("--kubectl", str(kubectl), "catalog", "go")
    proxy_with(kubectl)
    lines = {"a login that spec.auth does not name": run(*asked).err}
    lines["no password"] = run(*asked, "--user", "ada").err
    proxy_with(kubectl, auth={"basic": {"secretRef": {"name": "login"}}})
    lines["no Secret"] = run(*asked).err
    secret_with(kubectl, username="ada")
    lines["no key"] = run(*asked).err
    secret_with(kubectl, username="ada", password="lovelace")
    lines["no pod"] = run(*asked).err
    (kubectl.parent / "lesser").touch()
    lines["no right"] = run(*asked).err

    said = {
        "a login that spec.auth does not name": "name one with --user",
        "no password": "put it into the variable ATHENS_PASSWORD",
        "no Secret": "Secret team-a/login with the login of the proxy does not exist; name one with --user",
        "no key": "has no username and password; name one with --user",
        "no pod": "pod is not running; check that a pod is ready, and that you may create pods/portforward",
        "no right": "or name one with --user, and its password in ATHENS_PASSWORD",
    }
    assert {name: text in lines[name] and lines[name].count("\n") == 1 for name, text in said.items()} == dict.fromkeys(
        said, True
    ), lines
