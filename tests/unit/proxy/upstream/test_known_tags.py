"""Absence that a clone contradicts: the go command takes a `git log` that was killed for a tag that is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from athens_proxy.upstream.known_tags import is_known_tag

BEGAN_S = 1_700_000_000.0
SAID = "git.example.com/m@v1.0.0: invalid version: unknown revision {}"


@pytest.fixture
def clones(tmp_path: Path) -> Path:
    clone = tmp_path / "vcs" / "0123abcd"
    (clone / "refs" / "tags" / "sub").mkdir(parents=True)
    (clone / "refs" / "tags" / "sub" / "v1.1.0").write_text("0" * 40)
    (clone / "packed-refs").write_text(f"# pack-refs with: peeled\n{'0' * 40} refs/tags/v1.2.0\n^{'1' * 40}\n")
    (clone / "FETCH_HEAD").touch()
    os.utime(clone / "FETCH_HEAD", (BEGAN_S + 1, BEGAN_S + 1))
    (tmp_path / "vcs" / "0123abcd.info").write_text("git3:https://git.example.com/m")
    return tmp_path / "vcs"


@pytest.mark.parametrize(
    ("tag", "is_known"),
    [
        ("v1.2.0", True),
        ("v1.2.0\n", True),
        ("sub/v1.1.0", True),
        ("v1.1.0", False),
        ("sub/v1.2.0", False),
        ("v1.2.0-rc.1", False),
        ("sub", False),
        ("../../packed-refs", False),
        ("sub/../../../packed-refs", False),
        ("", False),
    ],
)
def test_only_a_tag_that_the_clone_has_contradicts_its_absence(clones: Path, tag: str, is_known: bool) -> None:
    assert is_known_tag(SAID.format(tag), clones, since_s=BEGAN_S) is is_known


def test_other_words_and_missing_clones_contradict_nothing(clones: Path, tmp_path: Path) -> None:
    assert not is_known_tag("repository not found: refs/tags/v1.2.0", clones, since_s=BEGAN_S)
    assert not is_known_tag(SAID.format("v1.2.0"), tmp_path / "nowhere", since_s=BEGAN_S)


def test_the_clone_of_another_repository_says_nothing(clones: Path) -> None:
    """Those of a group lie beside each other; only the one that was just fetched into is the run's own."""
    assert not is_known_tag(SAID.format("v1.2.0"), clones, since_s=BEGAN_S + 2)
