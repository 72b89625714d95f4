"""Lines of clients: what they mean, what is refused and how, and that nothing of them is ever told."""

from __future__ import annotations

import asyncio
import io
import sys
import time
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.clients.authorization import BearerToken, NamedSecret, shown
from athens_proxy.clients.folder import MAX_FILE_BYTES, MAX_PROBLEMS, marks, read
from athens_proxy.clients.known import MAX_WAITING, Comparisons, KnownClients
from athens_proxy.clients.lines import (
    Password,
    Token,
    UnusableLine,
    is_password,
    parse,
    parsed,
    password_line,
    token_line,
)
from athens_proxy.commands import hash_password
from athens_proxy.errors import Overloaded
from support.exchange import basic_auth

SALT = b"$2b$04$abcdefghijklmnopqrstuu"  # a fixed one, so that the ids of tests are the same each time
CHEAP = bcrypt.hashpw(b"open sesame", SALT).decode()
TOKEN = "0123456789abcdefghij"


def problem(line: str) -> str:
    with pytest.raises(UnusableLine) as refused:
        parse(line)
    return str(refused.value)


@pytest.mark.parametrize("kind", ["$2a$", "$2b$", "$2y$"])
def test_a_line_of_htpasswd_admits_its_password_and_no_other(kind: str) -> None:
    line = parse(f"ann:{kind}{CHEAP[4:]}")

    assert isinstance(line, Password)
    assert (line.name, line.cost) == ("ann", 4)
    assert is_password(b"open sesame", line.hashed)
    assert not is_password(b"open sesam", line.hashed)
    assert not is_password(b"open sesame" * 10, line.hashed)
    assert not is_password(b"", line.hashed)


def test_the_line_that_is_made_for_a_password_is_read_again() -> None:
    line = parse(password_line("ann", "pässword"))

    assert isinstance(line, Password)
    assert is_password("pässword".encode(), line.hashed)


def test_the_line_that_is_made_for_a_token_is_read_again_and_is_salted() -> None:
    first, second = token_line("ci", TOKEN), token_line("ci", TOKEN)
    line = parse(first)

    assert first != second
    assert isinstance(line, Token)
    assert line.is_token(TOKEN.encode())
    assert not line.is_token(TOKEN.encode() + b"k")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("hunter2", "is not NAME:HASH"),
        ("ann:hunter2", "no hash that is known"),
        ("ann:$apr1$x$hunter2", "a hash of the kind apr1"),
        ("ann:{SHA}hunter2", "a hash of the kind SHA"),
        (f"ann:$2y$31${CHEAP[7:]}", "cost 31"),
        (f"ann:$2y$03${CHEAP[7:]}", "cost 3"),
        (f"ann:{CHEAP}x", "a hash of the kind 2b"),
        (f":{CHEAP}", "a name that is empty"),
        (f"{'a' * 256}:{CHEAP}", "too long"),
        (f"a\x07b:{CHEAP}", "not printable"),
        ("ci:$sha256$00$" + "0" * 64, "a hash of the kind sha256"),
    ],
)
def test_a_line_that_cannot_be_used_says_why_and_not_what(line: str, why: str) -> None:
    message = problem(line)

    assert why in message
    assert "hunter2" not in message
    assert CHEAP[7:] not in message


@pytest.mark.parametrize("password", ["", "x" * 73])
def test_passwords_that_bcrypt_would_cut_or_leave_open_are_refused(password: str) -> None:
    with pytest.raises(UnusableLine):
        password_line("ann", password)


@pytest.mark.parametrize("token", ["short", "with spaces in the middle", "ümlaute-in-einem-token"])
def test_tokens_that_could_be_guessed_or_not_be_sent_are_refused(token: str) -> None:
    with pytest.raises(UnusableLine):
        token_line("ci", token)


def test_representations_show_neither_hashes_nor_secrets() -> None:
    texts = [
        repr(parse(f"ann:{CHEAP}")),
        repr(parse(token_line("ci", TOKEN))),
        repr(NamedSecret("ann", b"hunter2")),
        repr(BearerToken(b"hunter2")),
    ]

    assert not any(secret in text for text in texts for secret in ("hunter2", CHEAP, "salt", "digest"))


@given(st.text(max_size=200))
def test_any_text_is_a_line_or_a_reason(text: str) -> None:
    for _, line in parsed(text):
        assert line.name if isinstance(line, Password | Token) else str(line).isprintable()


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: "Basic " + data.decode("latin-1")))
def test_any_header_shows_something_or_nothing(authorization: str) -> None:
    assert shown(authorization) is None or isinstance(shown(authorization), NamedSecret | BearerToken)


def test_headers_are_read_as_clients_write_them() -> None:
    assert shown("Basic YW5uOmE6Yg==") == NamedSecret("ann", b"a:b")
    assert shown("bearer  abc ") == BearerToken(b"abc")
    assert shown("Basic YW5u") is None
    assert shown("Basic !!!") is None
    assert shown("Digest abc") is None
    assert shown("Bearer ") is None


def test_a_secret_as_the_kubelet_mounts_it_is_one_entry(tmp_path: Path) -> None:
    """`..data` points to a folder of files, and every key is a link through it."""
    entry = tmp_path / "team-a"
    (entry / "..2026_1").mkdir(parents=True)
    (entry / "..2026_1" / "htpasswd").write_text(f"# people\n\nann:{CHEAP}\r\n")
    (entry / "..2026_1" / "tokens").write_text(token_line("ci", TOKEN))
    (entry / "..data").symlink_to("..2026_1")
    for key in ("htpasswd", "tokens"):
        (entry / key).symlink_to(f"..data/{key}")
    (tmp_path / "solo").write_text(f"bob:{CHEAP}\nbob:{CHEAP}\n")

    solo, team = read(tmp_path).entries

    assert (team.name, team.passwords, team.tokens, team.problems) == ("team-a", 1, 1, ())
    assert (solo.name, solo.passwords, solo.tokens, solo.problems) == ("solo", 2, 0, ())


def test_swapping_the_link_of_a_mount_is_seen(tmp_path: Path) -> None:
    entry = tmp_path / "team-a"
    for version in ("..1", "..2"):
        (entry / version).mkdir(parents=True)
        (entry / version / "htpasswd").write_text(f"ann:{CHEAP}\n")
    (entry / "..data").symlink_to("..1")
    (entry / "htpasswd").symlink_to("..data/htpasswd")
    before = marks(tmp_path)

    (entry / "..next").symlink_to("..2")
    (entry / "..next").rename(entry / "..data")

    assert marks(tmp_path) != before


def test_what_cannot_be_used_is_named_with_its_place_and_the_rest_is_kept(tmp_path: Path) -> None:
    entry = tmp_path / "team-a"
    entry.mkdir()
    (entry / "binary").write_bytes(b"\xff\xfe")
    (entry / "endless").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    (entry / "gone").symlink_to("nowhere")
    (entry / "htpasswd").write_text(f"ann:{CHEAP}\nhunter2\n")
    (entry / "nested").mkdir()

    found = read(tmp_path)

    assert found.problems == (
        "team-a: binary cannot be used: it is not UTF-8 text",
        f"team-a: endless cannot be used: it is larger than {MAX_FILE_BYTES} bytes",
        "team-a: gone cannot be used: No such file or directory",
        "team-a: htpasswd line 2 is not NAME:HASH; make one with athens-proxy hash-password",
        "team-a: nested cannot be used: it is not a file",
    )
    assert found.entries[0].passwords == 1


def test_problems_of_one_entry_are_told_up_to_a_number(tmp_path: Path) -> None:
    (tmp_path / "noise").write_text("x\n" * 1000)

    (entry,) = read(tmp_path).entries

    assert len(entry.problems) == MAX_PROBLEMS + 1
    assert entry.problems[-1] == f"and {1000 - MAX_PROBLEMS} more"


def test_a_folder_that_is_gone_names_nobody(tmp_path: Path) -> None:
    found = read(tmp_path / "gone")

    assert not found.entries
    assert "cannot be read" in found.problem


def run_command(monkeypatch: pytest.MonkeyPatch, given_input: bytes, *argv: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given_input)))
    return hash_password.main(["--user", "ann", *argv])


def test_the_command_prints_the_line_of_the_password_on_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_command(monkeypatch, b"open sesame\r\n")
    line = parse(capsys.readouterr().out.strip())

    assert code == 0
    assert isinstance(line, Password)
    assert is_password(b"open sesame", line.hashed)


def test_a_new_token_is_told_beside_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_command(monkeypatch, b"", "--new")
    told = capsys.readouterr()
    line = parse(told.out.strip())

    assert code == 0
    assert isinstance(line, Token)
    assert line.is_token(told.err.rpartition(": ")[2].strip().encode())


@pytest.mark.parametrize("given_input", [b"", b"\xff\xfe\n", b"x" * 100 + b"\n"])
def test_the_command_refuses_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given_input: bytes
) -> None:
    code = run_command(monkeypatch, given_input)
    told = capsys.readouterr()

    assert (code, told.out, told.err.count("\n")) == (1, "", 1)


async def test_a_name_that_nobody_has_costs_a_comparison_as_well() -> None:
    """Else the time of a refusal would tell which names exist; what is shown often is compared once."""
    comparisons = CountedComparisons()
    dear = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(8)).decode()
    clients = KnownClients([parse(f"ann:{dear}"), parse(token_line("ci", TOKEN))], comparisons)

    def cpu_s(name: str) -> float:
        before = time.thread_time()
        assert not clients.compare(basic_auth(name, "guess")["Authorization"])
        return time.thread_time() - before

    known, unknown = (min(cpu_s(name) for _ in range(3)) for name in ("ann", "bob"))
    shown_often = [clients.admits(basic_auth("ann", "open sesame")["Authorization"]) for _ in range(50)]

    assert unknown > known / 2
    assert await asyncio.gather(*shown_often) == [True] * 50
    assert comparisons.count == 1
    comparisons.close()


async def test_too_many_new_credentials_at_once_are_put_off_and_known_ones_are_not() -> None:
    comparisons = Comparisons()
    clients = KnownClients([parse(f"ann:{CHEAP}")], comparisons)
    good = basic_auth("ann", "open sesame")["Authorization"]
    assert await clients.admits(good)

    guesses = [clients.admits(basic_auth("ann", str(n))["Authorization"]) for n in range(MAX_WAITING + 50)]
    done = await asyncio.gather(*guesses, clients.admits(good), return_exceptions=True)

    assert done[-1] is True
    assert sum(isinstance(result, Overloaded) for result in done) == 50
    assert True not in done[:-1]
    comparisons.close()


class CountedComparisons(Comparisons):
    """Comparisons, and how many there were."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def found(self, clients: KnownClients, authorization: str) -> bool:
        self.count += 1
        return await super().found(clients, authorization)
