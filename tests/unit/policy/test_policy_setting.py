"""The `DownloadMode` setting is read as Athens reads it, with Athens' texts for what cannot be read."""

import base64

import pytest

from athens_policy.model import DownloadFile, Mode
from athens_policy.parse import InvalidSetting, PolicySyntaxError, parse_setting

TOP = 'mode = "sync"\ndownloadURL = ""\n'


@pytest.mark.parametrize("word", ["sync", "async", "none", "redirect", "async_redirect"])
def test_a_mode_word_goes_with_the_url_setting(word: str) -> None:
    url = "https://goproxy.example.com"
    assert parse_setting(word, _unread, url) == DownloadFile(Mode(word), url)


def test_a_file_has_its_own_url() -> None:
    files = {"/etc/athens/download.hcl": TOP}
    expected = DownloadFile(Mode.SYNC, "")
    assert parse_setting("file:/etc/athens/download.hcl", files.__getitem__, "https://x.example") == expected


def test_a_custom_file_is_base64_with_line_breaks() -> None:
    encoded = base64.encodebytes(TOP.encode()).decode()
    assert parse_setting(f"custom:{encoded}", _unread, "") == DownloadFile(Mode.SYNC, "")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "download mode is not set"),
        ("bogus", "unrecognized download mode: bogus"),
        ("deny", "unrecognized download mode: deny"),
        ("sync ", "unrecognized download mode: sync "),
        ("SYNC", "unrecognized download mode: SYNC"),
        ("custom:bW9kZ", "illegal base64 data at input byte 4"),
        ("custom:bW9k\n!", "illegal base64 data at input byte 5"),
        ("custom:bW==x", "illegal base64 data at input byte 4"),
        ("custom:bW=", "illegal base64 data at input byte 3"),
        ("custom:b===", "illegal base64 data at input byte 1"),
        ("custom:/w==", "custom download mode: byte 0 is not UTF-8; encode a UTF-8 file"),
        ("file:/nowhere", "open /nowhere: no such file or directory"),
    ],
)
def test_a_value_that_cannot_be_read_is_reported_as_athens_does(value: str, message: str) -> None:
    with pytest.raises(InvalidSetting) as error:
        parse_setting(value, _absent, "")
    assert str(error.value) == message


def test_a_file_that_cannot_be_used_is_reported_with_its_place() -> None:
    with pytest.raises(PolicySyntaxError, match="line 1, column 8"):
        parse_setting("file:x", lambda _: "mode = 5", "")


def test_a_file_that_is_not_utf8_is_reported() -> None:
    with pytest.raises(InvalidSetting, match="byte 1 is not UTF-8"):
        parse_setting("file:x", lambda _: b"a\xff".decode(), "")


def _unread(path: str) -> str:
    raise AssertionError(path)


def _absent(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)
