"""A whole proxy in front of Go's own test proxy and its checksum database: what may be stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from athens_proxy.storage import layout
from support.go_client import GoClient
from support.go_test_proxy import SUMDB_KEY, SUMDB_NAME, GoTestProxy
from support.living_folder import files_below
from support.modules_fixture import SampleModule, write_file_proxy
from support.proxy_process import Settings, running

QUOTE = "/rsc.io/quote/@v/v1.5.2"
EVIL = SampleModule("rsc.io/quote", "v1.5.2", {"quote.go": b"package quote // evil\n"})
UNKNOWN = SampleModule("example.com/unknown")
DATABASE = {"ATHENS_SUM_DBS": f"https://{SUMDB_NAME}"}


def behind(go_test_proxy: GoTestProxy, *first: str, go_env: str = "", **env: str) -> Settings:
    upstream = ",".join([*first, go_test_proxy.url])
    return Settings(upstream, (f"GOSUMDB={SUMDB_KEY}", *filter(None, [go_env])), env={**DATABASE, **env})


@pytest.fixture
def spoilt(tmp_path: Path) -> str:
    """A module proxy with changed bytes of a public module, and a module that no database knows."""
    return f"file://{write_file_proxy(tmp_path / 'spoilt', [EVIL, UNKNOWN])}"


def stored(store: Path) -> list[str]:
    """The zips of versions; what is being fetched or thrown away lies elsewhere."""
    found = (path.relative_to(store) for path in files_below(store) if path.suffix == ".zip")
    return [path.name for path in found if path.parts[0] != layout.RECORDS_DIR]


def test_what_the_database_vouches_for_is_stored_and_its_answers_are_kept(
    go_test_proxy: GoTestProxy, tmp_path: Path
) -> None:
    with running(tmp_path / "proxy", behind(go_test_proxy)) as proxy:
        client = GoClient(tmp_path / "client", proxy.url, gosumdb=SUMDB_KEY)
        client.run("mod", "download", "rsc.io/quote@v1.5.2").ok()
        kept = [path for path in files_below(proxy.store / ".athens" / "sumdb") if "quote@v1.5.2" in path.name]

        assert stored(proxy.store) == ["source.zip"]
    assert len(kept) == 1


def test_changed_bytes_are_a_502_with_both_sums_and_never_stored(
    go_test_proxy: GoTestProxy, spoilt: str, tmp_path: Path
) -> None:
    with running(tmp_path / "proxy", behind(go_test_proxy, spoilt)) as proxy:
        answers = [proxy.ask(f"{QUOTE}.{extension}") for extension in ("zip", "mod", "zip")]

        assert [answer.status for answer in answers] == [502, 502, 502]
        assert "checksum mismatch: upstream sent h1:" in answers[0].text
        assert f"{SUMDB_NAME} has h1:" in answers[0].text
        assert stored(proxy.store) == []


def test_a_module_that_the_database_does_not_know_says_how_to_allow_it(
    go_test_proxy: GoTestProxy, spoilt: str, tmp_path: Path
) -> None:
    with running(tmp_path / "proxy", behind(go_test_proxy, spoilt)) as proxy:
        answer = proxy.ask("/example.com/unknown/@v/v1.0.0.zip")

        assert answer.status == 502
        assert "list it in NoSumPatterns" in answer.text
        assert stored(proxy.store) == []


@pytest.mark.parametrize(
    ("go_env", "env"),
    [
        ("", {"ATHENS_GONOSUM_PATTERNS": "example.com/*,rsc.io"}),
        ("", {"ATHENS_GONOSUM_PATTERNS": "example.com/unknown@v1.0.0,rsc.io/quote@v1.*"}),
        ("GONOSUMDB=example.com,rsc.io", {}),
        ("", {"ATHENS_SUM_DBS": ""}),
        ("GOSUMDB=off", {}),
        ("GOSUMDB=sum.golang.org", {}),
    ],
    ids=["patterns", "patterns-with-versions", "GONOSUMDB", "no-databases", "off", "database-not-listed"],
)
def test_what_no_database_shall_see_is_stored_unverified(
    go_test_proxy: GoTestProxy, spoilt: str, tmp_path: Path, go_env: str, env: dict[str, str]
) -> None:
    with running(tmp_path / "proxy", behind(go_test_proxy, spoilt, go_env=go_env, **env)) as proxy:
        assert proxy.ask("/example.com/unknown/@v/v1.0.0.zip").body == UNKNOWN.zip
        assert proxy.ask(f"{QUOTE}.zip").body == EVIL.zip


def test_a_database_that_is_down_fails_what_is_new_and_nothing_that_is_stored(
    go_test_proxy: GoTestProxy, spoilt: str, tmp_path: Path
) -> None:
    with running(tmp_path / "proxy", behind(go_test_proxy)) as proxy:
        whole = proxy.ask(f"{QUOTE}.zip").body
    down = Settings(
        f"{spoilt},http://127.0.0.1:9", (f"GOSUMDB={SUMDB_KEY}",), env={**DATABASE, "ATHENS_NETWORK_MODE": "strict"}
    )
    with running(tmp_path / "proxy", down) as proxy:
        assert proxy.ask(f"{QUOTE}.zip").body == whole
        answer = proxy.ask("/example.com/unknown/@v/v1.0.0.mod")

        assert answer.status == 502
        assert f"because {SUMDB_NAME} cannot be asked" in answer.text
        assert "NoSumPatterns" in answer.text
        assert len(stored(proxy.store)) == 1
