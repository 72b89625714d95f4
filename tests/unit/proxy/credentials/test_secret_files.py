"""Secrets in files: what is read, what cannot be used, and when a token ends."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.credentials.entries import Entry, parse_entries
from athens_proxy.credentials.secret_files import MAX_BYTES, Unusable, expiry_of, fingerprint, private_key, read_line


def entry(folder: Path, kind: str) -> Entry:
    item = {"name": "e", "type": kind, "match": "h.example.com"}
    (folder / "credentials" / "e").mkdir(parents=True, exist_ok=True)
    return parse_entries(json.dumps({"credentials": [item]}), folder=folder)[0]


def test_line_ends_at_the_end_of_a_secret_do_not_count(tmp_path: Path) -> None:
    token = entry(tmp_path, "token")
    token.files["token"].write_bytes(b"s3cret \r\n\n")

    assert read_line(token, "token") == "s3cret "


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"one\ntwo\n", "has several lines"),
        (b"a\x00b", "control characters"),
        (b"\xff\xfe", "no UTF-8"),
        (b"x" * (MAX_BYTES + 1), "more than"),
    ],
)
def test_what_is_no_secret_of_one_line_is_said_without_showing_it(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    token = entry(tmp_path, "token")
    if content is not None:
        token.files["token"].write_bytes(content)

    with pytest.raises(Unusable, match=told) as caught:
        read_line(token, "token")

    assert str(caught.value).startswith('credential "e": its file token ')


def test_a_new_secret_has_another_fingerprint_which_does_not_show_it(tmp_path: Path) -> None:
    token = entry(tmp_path, "token")
    absent = fingerprint(token)
    token.files["token"].write_text("one")
    one = fingerprint(token)
    token.files["token"].write_text("two")

    assert len({absent, one, fingerprint(token)}) == 3
    assert "one" not in one


@pytest.mark.parametrize(
    ("kind", "form"), [("ed25519", "RFC4716"), ("ecdsa", "PEM"), ("ecdsa", "PKCS8"), ("rsa", "PEM")]
)
@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_a_key_with_a_passphrase_is_recognised_in_every_form(
    tmp_path: Path, kind: str, form: str, passphrase: str
) -> None:
    ssh = entry(tmp_path, "ssh")
    path = ssh.files["ssh-privatekey"]
    argv = ["ssh-keygen", "-q", "-t", kind, "-m", form, "-N", passphrase, "-f", str(path)]
    subprocess.run([*argv, *(["-b", "1024"] if kind == "rsa" else [])], check=True, capture_output=True)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n").rstrip())

    if passphrase:
        with pytest.raises(Unusable, match="has a passphrase"):
            private_key(ssh)
    else:
        assert private_key(ssh).endswith(b"PRIVATE KEY-----\n")
        assert b"\r" not in private_key(ssh)


def test_a_json_web_token_says_when_it_ends() -> None:
    moment = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
    token = jwt.encode({"exp": int(moment.timestamp())}, "k" * 32, algorithm="HS256")

    assert expiry_of(token) == moment


@given(st.text(max_size=60) | st.text("ab.=-_ey", max_size=60))
def test_any_other_text_says_nothing(token: str) -> None:
    assert expiry_of(token) is None


@pytest.mark.parametrize("expires", ["true", '"soon"', "-1", "1e300", "null", "[1]", "NaN"])
def test_an_impossible_end_is_none(expires: str) -> None:
    claims = base64.urlsafe_b64encode(f'{{"exp": {expires}}}'.encode()).decode().rstrip("=")

    assert expiry_of(f"e30.{claims}.x") is None
