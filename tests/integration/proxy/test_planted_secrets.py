"""Distinct secrets in every place of a credentials file, and a search for them everywhere a stranger could look."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import Any

from aiohttp import web

from athens_proxy.clients.lines import token_line
from support.authority import Authority
from support.event_reader import reading
from support.exchange import basic_auth
from support.forge import HOST, OTHER_HOST, Forge, serving
from support.git_origin import GitOrigin
from support.github_app import GitHubApp
from support.proxy_process import Settings, running
from support.trace_receivers import otlp_over_http

USER, PASSWORD, TOKEN, COMMAND = "pl4nted-user", "pl4nted-password", "pl4nted-token", "pl4nted-command"
NETRC, CHAIN = "pl4nted-netrc", "pl4nted-chain"
CLIENT, ONE_USER, COLLECTOR = "pl4nted-client-0123456789", "pl4nted-one-user", "pl4nted-collector"
UPSTREAM_LIST = "/nothing/public.example.com/m/@v/list"
PAGES = (
    "/-/config",
    "/-/policy",
    "/-/ui",
    "/-/modules",
    "/-/summary",
    "/-/top",
    f"/-/versions?module={HOST}/a/m",
    "/metrics",
    "/index",
    "/catalog",
    "/",
    "/readyz",
)


def children(pid: int) -> list[int]:
    """Every process below one."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children(int(child))]
    return found


class Watch:
    """What the processes of a fetch show to others: arguments and environment, looked at again and again."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self.shown: set[bytes] = set()
        self._thread = threading.Thread(target=self._look, name="watch")

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join(30)
        # A child that has not become another program yet shows what the proxy was given itself.
        self.shown -= {Path(f"/proc/{self._pid}/{name}").read_bytes() for name in ("cmdline", "environ")}

    def _look(self) -> None:
        while not self._over.wait(0.002):
            try:
                for pid in children(self._pid):
                    for name in ("cmdline", "environ"):
                        self.shown.add(Path(f"/proc/{pid}/{name}").read_bytes())
            except OSError:
                continue  # it has ended


OWNERS = {"a": PASSWORD, "b": TOKEN, "c": COMMAND}


class Planted:
    """A forge that knows each planted secret, and the files of a credentials file that holds them all."""

    def __init__(self, folder: Path, forge: Forge) -> None:
        self.app = GitHubApp()
        forge.accepts = self.accepts
        forge.instead[f"{HOST}/api/v3{self.app.path}"] = self.app.answer
        for path in ("a/m", "b/m", "c/m", "d/m", "e/m", "n/m"):
            self._repository(folder, forge, path)
        self.file = folder / "credentials.json"
        self._write(folder)

    def accepts(self, user: str, password: str, path: str) -> bool:
        """Whether the owner of a path is shown its own secret; `e` has a page for it, and no more."""
        owner = path.partition("/")[0]
        if owner == "d":
            return self.app.accepts(password)
        return password == {**OWNERS, "n": NETRC, "e": CHAIN}.get(owner)

    @property
    def secrets(self) -> list[bytes]:
        """What must be nowhere, in the forms that it is sent in."""
        plain = [USER, PASSWORD, TOKEN, COMMAND, NETRC, CHAIN, CLIENT, ONE_USER, COLLECTOR, *self.app.ends]
        plain += ["".join(self.app.private_key.splitlines()[1:3])[:40]]
        users = ("x-access-token", USER, "robot", "me", "client", "one")
        sent = [base64.b64encode(f"{user}:{text}".encode())[:-4] for user in users for text in plain]
        return [*(text.encode() for text in plain), *sent]

    def _repository(self, folder: Path, forge: Forge, path: str) -> None:
        host = OTHER_HOST if path == "n/m" else HOST
        origin = GitOrigin(folder / "repositories" / path, "tree")
        origin.commit({"go.mod": f"module {host}/{path}\n\ngo 1.21\n", "m.go": "package m\n"}, tag="v1.0.0")
        forge.repositories[path] = folder / "repositories" / path / "tree"

    def _write(self, folder: Path) -> None:
        header = base64.b64encode(f"robot:{COMMAND}".encode()).decode()
        script = folder / "mint"
        script.write_text(f'#!/bin/sh\nprintf "https://{HOST}\\n\\nAuthorization: Basic {header}\\n\\n"\n')
        script.chmod(0o755)
        app = {"appID": 1234, "installationID": 77}
        entries: list[tuple[dict[str, Any], dict[str, str]]] = [
            ({"type": "basic", "match": f"{HOST}/a"}, {"username": USER, "password": PASSWORD}),
            ({"type": "token", "match": f"{HOST}/b"}, {"token": TOKEN}),
            ({"type": "command", "match": f"{HOST}/c", "command": [str(script)]}, {}),
            ({"type": "githubApp", "match": f"{HOST}/d", **app}, {"private-key.pem": self.app.private_key}),
            ({"type": "token", "match": f"{HOST}/e"}, {"token": CHAIN}),
            ({"type": "netrc"}, {"netrc": f"machine {OTHER_HOST} login me password {NETRC}\n"}),
        ]
        listed = [{"name": f"e{number}", **entry} for number, (entry, _) in enumerate(entries)]
        for item, (_, files) in zip(listed, entries, strict=True):
            secrets = folder / "credentials" / str(item["name"])
            secrets.mkdir(parents=True)
            for name, text in files.items():
                (secrets / name).write_text(text)
        self.file.write_text(json.dumps({"credentials": listed}))


async def quoting(request: web.BaseRequest) -> web.StreamResponse:
    """A server that refuses whatever it is shown, and says what that was."""
    header = request.headers.get("Authorization", "")
    if not header:
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="forge"'})
    login = base64.b64decode(header.partition(" ")[2]).decode()
    return web.Response(status=403, text=f"access denied: quoted {header} which is {login}\n")


def test_no_secret_is_anywhere_but_where_it_was_put(tmp_path: Path) -> None:
    authority = Authority.made(tmp_path, HOST, OTHER_HOST)
    (tmp_path / "clients" / "team").mkdir(parents=True)
    (tmp_path / "clients" / "team" / "tokens").write_text(token_line("client", CLIENT))
    client = {"Authorization": f"Bearer {CLIENT}", "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    with serving(Forge(), authority.serving()) as forge, otlp_over_http() as collector:
        planted = Planted(tmp_path, forge)
        forge.instead |= dict.fromkeys((f"{HOST}/e/m.git/info/refs", f"{HOST}{UPSTREAM_LIST}"), quoting)
        env = {
            "ATHENS_CREDENTIALS_FILE": str(planted.file),
            "ATHENS_SUM_DBS": "",
            "ATHENS_LOG_LEVEL": "debug",
            "ATHENS_INDEX_TYPE": "memory",
            "ATHENS_PAGE": "true",
            "ATHENS_AUTH_CLIENTS_DIR": str(tmp_path / "clients"),
            "BASIC_AUTH_USER": "one",
            "BASIC_AUTH_PASS": ONE_USER,
            "ATHENS_TRACE_EXPORTER": "otlp",
            "ATHENS_TRACE_EXPORTER_URL": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={COLLECTOR}",
            **forge.environment(authority.ca_file),
        }
        chain = f"https://me:{CHAIN}@{HOST}/nothing,direct"
        private = ("GOSUMDB=off", f"GOPRIVATE={HOST},{OTHER_HOST}")
        settings = Settings(chain, go_env=private, env=env, own_image=True)  # with arguments and environment of its own
        with running(tmp_path / "proxy", settings) as proxy:
            with Watch(proxy.process.pid) as watch:
                modules = [f"{HOST}/{owner}/m" for owner in "abcde"] + [f"{OTHER_HOST}/n/m"]
                answers = [proxy.ask(f"/{module}/@v/v1.0.0.info", headers=client) for module in modules]
                more = (UPSTREAM_LIST.removeprefix("/nothing"), f"/{modules[1]}/@v/list")
                answers += [proxy.ask(target, headers=client) for target in more]
                answers += [proxy.ask(more[1], headers=basic_auth("client", wrong)) for wrong in (ONE_USER, PASSWORD)]
            pages = [proxy.ask(target, headers=client) for target in PAGES]
            with reading(proxy.url, headers=client) as events:
                heard = events.until(lambda found: len(found) >= 5)
            spans = collector.wait_for(lambda spans: any("public.example.com" in str(span) for span in spans))
            told = repr([heard, spans, [answer.headers for answer in (*answers, *pages)]]).encode()
            shown = b"".join(answer.body for answer in (*answers, *pages)) + b"".join(watch.shown) + told
        log = proxy.process.log.read_bytes()
        stored = b"".join(path.read_bytes() for path in proxy.store.rglob("*") if path.is_file())
        left = list((tmp_path / "proxy" / "tmp").iterdir())

    assert [answer.status for answer in answers[:6]] == [200, 200, 200, 200, 502, 200], answers[5].text
    assert ["quoted" in answers[4].text, "quoted" in answers[6].text] == [True, True], answers[6].text
    assert {page.status for page in pages} == {200}
    assert {refused.status for refused in answers[-2:]} == {401}
    assert collector.headers["x-key"] == COLLECTOR
    assert any(seen.path.startswith("/nothing/public.example.com/m") for seen in forge.seen)
    assert any(b"git-remote-https" in text for text in watch.shown)
    assert [secret for secret in planted.secrets if secret in shown + log + stored] == []
    assert left == []
