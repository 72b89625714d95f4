"""Two teams with a proxy each, one bucket and two prefixes: team B's proxy has nothing of team A's module.

The names of the prefixes are neighbours, and team B asks with its own valid credential for whatever it may guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from athens_proxy.clients.lines import token_line
from support import object_servers
from support.company import GIT, SSH, Company
from support.event_reader import reading
from support.exchange import Answer
from support.living_folder import files_below
from support.object_servers import ObjectServer, make_s3_bucket, new_name, versitygw
from support.proxy_process import ModuleProxy, Settings, running
from support.store_settings import s3_settings

StartWith = Callable[[Callable[[Path], Settings]], ModuleProxy]
TEAMS = {"team": "b-token-0123456789-0123456789", "team-a": "a-token-0123456789-0123456789"}
MODULE = f"{GIT}/team/plain"
ABSENT = f"{GIT}/team/never"  # there is no such repository
OPEN = f"{SSH}/team/locked.git"  # both teams have the key
FILES = ("@v/list", "@latest", "@v/v1.0.0.info", "@v/v1.0.0.mod", "@v/v1.0.0.zip", "@v/main.info")


@dataclass(frozen=True)
class Team:
    """A team's proxy and its valid credential."""

    proxy: ModuleProxy
    token: str

    def ask(self, target: str) -> Answer:
        return self.proxy.ask(target, headers={"Authorization": f"Bearer {self.token}"})


@dataclass(frozen=True)
class Teams:
    """Team A, whose proxy has the module stored, and team B, whose proxy has neither the module nor the login."""

    a: Team
    b: Team
    server: ObjectServer
    bucket: str


@pytest.fixture(scope="module")
def teams(company: Company, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teams]:
    folder = tmp_path_factory.mktemp("teams")
    with ExitStack() as stack:
        server = stack.enter_context(versitygw(folder / "server"))
        bucket = make_s3_bucket(server, new_name())
        made: dict[str, Team] = {}
        for prefix, token in TEAMS.items():
            own = folder / prefix
            (own / "clients").mkdir(parents=True)
            (own / "clients" / "members").write_text(token_line("member", token))
            plain = company.settings(
                own,
                logins="" if prefix == "team" else None,
                ATHENS_STORAGE_S3_PREFIX=prefix,
                ATHENS_AUTH_CLIENTS_DIR=str(own / "clients"),
                ATHENS_INDEX_TYPE="memory",
                ATHENS_PAGE="true",
                NO_PROXY="127.0.0.1",
            )
            settings = replace(plain, env={**plain.env, **s3_settings(server, bucket)})
            made[prefix] = Team(stack.enter_context(running(own, settings)), token)
        a, b = made["team-a"], made["team"]
        assert a.ask(f"/{MODULE}/@v/v1.0.0.zip").status == 200
        yield Teams(a, b, server, bucket)


def alike(answer: Answer, path: str) -> tuple[int, str, dict[str, str]]:
    """An answer without what any two answers differ in, and without the path that was asked for."""
    text = answer.text.replace(path, "PATH").replace(path.partition("/")[2], "REST")
    headers = {k: v for k, v in answer.headers.items() if k not in ("date", "athens-request-id", "content-length")}
    return answer.status, re.sub(r"[0-9a-f-]{36}", "ID", text), headers


@pytest.mark.parametrize("file", FILES)
def test_file_of_the_other_team_is_answered_like_one_that_does_not_exist(teams: Teams, file: str) -> None:
    """Neither status nor header nor text tells that it exists; no 403 stands where absence has 404."""
    private, absent = teams.b.ask(f"/{MODULE}/{file}"), teams.b.ask(f"/{ABSENT}/{file}")

    assert private.status == absent.status == 404
    assert alike(private, MODULE)[2] == alike(absent, ABSENT)[2]
    assert b"package m" not in private.body


@pytest.mark.parametrize("file", FILES)
def test_cached_only_paths_show_nothing_of_the_other_team(teams: Teams, file: str) -> None:
    private, absent = teams.b.ask(f"/cached-only/{MODULE}/{file}"), teams.b.ask(f"/cached-only/{ABSENT}/{file}")

    assert alike(private, MODULE) == alike(absent, ABSENT)


@pytest.mark.parametrize(
    "target",
    [
        "/catalog",
        "/catalog?pagesize=100000",
        f"/catalog?token={MODULE}@v0.0.0",
        "/catalog?token=..%2Fteam-a%2F",
        "/index",
        "/index?since=2000-01-01T00:00:00Z&limit=2000",
        "/",
        "/metrics",
        "/-/policy",
        "/-/config",
        "/-/modules",
        "/-/modules?q=plain",
        "/-/summary",
        "/-/ui",
        f"/sumdb/sum.golang.org/lookup/{MODULE}@v1.0.0",
        "/sumdb/sum.golang.org/latest",
        f"/-/store/{MODULE}/v1.0.0.info",
        f"/-/events/{MODULE}",
        f"/-/versions?module={MODULE}",
    ],
)
def test_what_lists_things_lists_nothing_of_the_other_team(teams: Teams, target: str) -> None:
    text = teams.b.ask(target).text

    assert "team/plain" not in text.replace(MODULE if MODULE in target else "\0", "")
    assert TEAMS["team-a"] not in text


def test_the_events_of_a_proxy_are_those_of_its_own_store(teams: Teams) -> None:
    """Team A's module was stored first; the first that team B hears of is a module of its own."""
    assert teams.b.ask(f"/{OPEN}/@v/v1.0.0.zip").status == 200

    def first(team: Team) -> list[str]:
        with reading(team.proxy.url, headers={"Authorization": f"Bearer {team.token}"}) as events:
            return events.versions(1)

    assert first(teams.a) == [f"stored {MODULE}@v1.0.0"]
    assert first(teams.b) == [f"stored {OPEN}@v1.0.0"]


def test_statistics_tell_only_what_the_team_asked_for_itself(teams: Teams) -> None:
    for path in (MODULE, ABSENT):
        teams.b.ask(f"/{path}/@v/v1.0.0.zip")

    missed = {row["module"] for row in json.loads(teams.b.ask("/-/top").text)["missed"]}

    assert {MODULE, ABSENT} <= missed, "both are misses of this team, and nothing tells one from the other"


def test_the_other_team_does_see_it_in_its_own_lists(teams: Teams) -> None:
    """Guards the others."""
    assert MODULE in teams.a.ask("/catalog").text
    assert MODULE in teams.a.ask("/index").text


@pytest.mark.parametrize(
    "target",
    [
        f"/../team-a/{MODULE}/@v/v1.0.0.info",
        f"/%2e%2e/team-a/{MODULE}/@v/v1.0.0.info",
        f"/..%2fteam-a/{MODULE}/@v/v1.0.0.info",
        f"//team-a/{MODULE}/@v/v1.0.0.info",
        f"/-a/{MODULE}/@v/v1.0.0.info",
        f"/{MODULE}/@v/../@v/v1.0.0.info",
        f"/x/@v/..%2f..%2f..%2fteam-a/{MODULE}/@v/v1.0.0.zip",
        f"/-/store/../team-a/{MODULE}/v1.0.0.zip",
    ],
)
def test_paths_that_climb_reach_no_other_prefix(teams: Teams, target: str) -> None:
    answer = teams.b.ask(target)

    assert answer.status in (400, 404), answer.text
    assert b'v1.0.0","Time' not in answer.body


@pytest.mark.parametrize("holder", ["a", "b"])
def test_credentials_of_one_team_open_nothing_at_the_other(teams: Teams, holder: str) -> None:
    asked, other = (teams.a, teams.b) if holder == "b" else (teams.b, teams.a)

    for target in (f"/{MODULE}/@v/v1.0.0.info", "/catalog", "/-/config"):
        answer = asked.proxy.ask(target, headers={"Authorization": f"Bearer {other.token}"})
        assert (answer.status, "plain" in answer.text) == (401, False)


def test_each_team_keeps_its_modules_below_its_own_prefix(teams: Teams) -> None:
    stored = {path.relative_to(teams.server.data / teams.bucket).parts[0] for path in _files(teams)}

    assert any(MODULE in path.as_posix() for path in _files(teams))
    assert stored <= set(TEAMS)
    assert not [
        path
        for path in _files(teams)
        if path.relative_to(teams.server.data / teams.bucket).parts[0] == "team" and "plain" in path.as_posix()
    ]


def test_what_each_proxy_shows_of_its_settings_has_no_secret(teams: Teams) -> None:
    for team in (teams.a, teams.b):
        text = team.ask("/-/config").text + team.ask("/metrics").text + team.proxy.process.logged()
        assert json.loads(team.ask("/-/config").text)["settings"]
        for secret in (*TEAMS.values(), object_servers.SECRET_KEY, "first-Secret"):
            assert secret not in text


def _files(teams: Teams) -> list[Path]:
    return files_below(teams.server.data / teams.bucket)
