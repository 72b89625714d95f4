"""What `go` and git print decides the status: a corpus recorded from them, text by text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from athens_proxy import errors
from athens_proxy.upstream.go_errors import classified

CORPUS = json.loads(Path(__file__).with_name("go_errors_corpus.json").read_text())


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry["text"][:60])
def test_recorded_texts_have_their_kind(entry: dict[str, str]) -> None:
    error = classified(entry["text"], attempt="fetching it")

    assert type(error) is getattr(errors, entry["kind"])
    assert str(error).isprintable()


def test_only_not_found_is_said_to_be_not_found() -> None:
    for entry in CORPUS:
        error = classified(entry["text"], attempt="fetching it")
        assert str(error).startswith("not found: ") is isinstance(error, errors.ModuleNotFound)


def test_passwords_and_work_directories_are_not_shown() -> None:
    text = (
        "git ls-remote https://bob:s3cret@example.com/x in /tmp/w/pkg/mod/cache/vcs/0a1b: exit status 128:\n\tfatal: no"
    )
    shown = str(classified(text, attempt="fetching it"))

    assert "s3cret" not in shown
    assert "bob" not in shown
    assert "/tmp/w" not in shown


def test_silence_is_named() -> None:
    assert "without a word" in str(classified("", attempt="fetching it"))


@pytest.mark.parametrize("flood", ["x", "a://", "create zip: ", "\n", "\t@@@@@@@@@@\n", "verifying "])
def test_a_flood_of_words_hides_no_reason(flood: str) -> None:
    """An origin says what it likes; what it says is looked at for a bounded time, its beginning and its end."""
    text = f"{(flood * 65_536)[: 1 << 16]}\nremote: Repository not found.\n"

    error = classified(text, attempt="fetching it")

    assert isinstance(error, errors.ModuleNotFound)
    assert len(str(error)) < 20_000
