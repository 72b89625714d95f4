"""Credential files for the go command: their names, their rights, and what makes the start fail."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from athens_proxy.config.load import ConfigFile, load
from athens_proxy.config.sections import Config
from athens_proxy.credential_files import listed_entries, name_at_home, user_files
from athens_proxy.credentials.private_root import private_root
from athens_proxy.errors import CannotStart


def settings(toml: str) -> Config:
    return load(["-config_file=c.toml"], {}, lambda _: ConfigFile(toml, 0o644))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/etc/netrc", ".netrc"),
        ("/etc/.netrc", ".netrc"),
        ("/etc/_netrc", ".netrc"),
        ("/etc/._.netrc", ".netrc"),
        ("/etc/my_netrc", "my_netrc"),
        ("/etc/.hgrc", ".hgrc"),
        ("/etc/hgrc", "hgrc"),
    ],
)
def test_files_are_named_as_athens_names_them(path: str, name: str) -> None:
    assert name_at_home(path) == name


def test_files_of_the_settings_are_found_by_their_names_at_home(tmp_path: Path) -> None:
    (tmp_path / "_netrc").write_text("x")
    (tmp_path / ".hgrc").write_text("y")

    found = user_files(settings(f'NETRCPath = "{tmp_path}/_netrc"\nHGRCPath = "{tmp_path}/.hgrc"'), tmp_path)

    assert found.by_name == {
        ".netrc": [("NETRCPath", tmp_path / "_netrc")],
        ".hgrc": [("HGRCPath", tmp_path / ".hgrc")],
    }


def test_a_token_for_github_becomes_a_private_netrc(tmp_path: Path) -> None:
    found = user_files(settings('GithubToken = "t"'), tmp_path)

    ((_, path),) = found.by_name[".netrc"]
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("machine github.com login t\n", 0o600)


@pytest.mark.parametrize("key", ["NETRCPath", "HGRCPath", "CredentialsFile"])
def test_a_file_that_cannot_be_read_ends_the_start(key: str, tmp_path: Path) -> None:
    config = settings(f'{key} = "/nowhere/.netrc"')

    with pytest.raises(CannotStart, match=f"^{key}: /nowhere/.netrc cannot be read: No such file or directory$"):
        (user_files(config, tmp_path), listed_entries(config))


def test_a_name_that_no_tool_reads_is_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "my_netrc").write_text("x")
    with caplog.at_level(logging.WARNING):
        user_files(settings(f'NETRCPath = "{tmp_path}/my_netrc"'), tmp_path)

    assert caplog.messages == ["NETRCPath: no tool reads ~/my_netrc; name the file .netrc or .hgrc"]


def test_a_malformed_credentials_file_ends_the_start_with_the_entry_and_the_key(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    file.write_text('{"credentials": [{"name": "git", "type": "secret", "match": "git.example.com"}]}')

    with pytest.raises(CannotStart, match=r"^CredentialsFile: .*: credentials\[git\]\.type: use one of basic, "):
        listed_entries(settings(f'CredentialsFile = "{file}"'))


def test_the_private_folder_goes_with_its_context_and_those_of_killed_processes_with_the_next(tmp_path: Path) -> None:
    killed = tmp_path / "athens-home-killed"
    killed.mkdir()
    (killed / "lock").touch()
    (tmp_path / "athens-home-stranger").mkdir()
    with private_root(tmp_path) as first, private_root(tmp_path) as second:
        assert first.stat().st_mode & 0o777 == 0o700
        assert {entry.name for entry in tmp_path.iterdir()} == {first.name, second.name, "athens-home-stranger"}

    assert [entry.name for entry in tmp_path.iterdir()] == ["athens-home-stranger"]
