"""Credential files for the go command: their names, their rights, and what makes the start fail."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from athens_proxy.config.load import ConfigFile, load
from athens_proxy.config.sections import Config
from athens_proxy.credential_files import name_at_home, with_credentials
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


def test_without_credentials_the_environment_stays_as_it_is() -> None:
    environ = {"HOME": "/home/me", "PATH": "/bin"}

    with with_credentials(settings(""), environ) as found:
        assert found is environ


def test_a_private_home_has_the_credentials_and_links_to_the_rest(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".netrc").write_text("old")
    (home / "modules").mkdir()
    with with_credentials(settings('GithubToken = "t"'), {"HOME": str(home), "PATH": "/bin"}) as environ:
        private = Path(environ["HOME"])
        names = {entry.name for entry in private.iterdir()}
        netrc = private / ".netrc"
        assert (netrc.read_text(), netrc.stat().st_mode & 0o777) == ("machine github.com login t\n", 0o600)
        assert (private / ".ssh").resolve() == home / ".ssh"
        assert private.stat().st_mode & 0o777 == 0o700

    assert names == {".netrc", ".ssh"}
    assert environ["PATH"] == "/bin"
    assert not private.exists()
    assert (home / ".netrc").read_text() == "old"


@pytest.mark.parametrize("home", [{}, {"HOME": ""}, {"HOME": "/nowhere"}])
def test_a_missing_home_is_no_obstacle(home: dict[str, str]) -> None:
    with with_credentials(settings('GithubToken = "t"'), home) as environ:
        assert Path(environ["HOME"], ".netrc").exists()


@pytest.mark.parametrize("key", ["NETRCPath", "HGRCPath"])
def test_a_file_that_cannot_be_read_ends_the_start(key: str) -> None:
    with (
        pytest.raises(CannotStart, match=f"^{key}: /nowhere/.netrc cannot be read: No such file or directory$"),
        with_credentials(settings(f'{key} = "/nowhere/.netrc"'), {}),
    ):
        pass


def test_a_name_that_no_tool_reads_is_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "my_netrc").write_text("x")
    with caplog.at_level(logging.WARNING), with_credentials(settings(f'NETRCPath = "{tmp_path}/my_netrc"'), {}):
        pass

    assert caplog.messages == ["NETRCPath: no tool reads ~/my_netrc; name the file .netrc or .hgrc"]
