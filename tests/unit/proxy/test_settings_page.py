"""The page of settings is the table of settings."""

from __future__ import annotations

from athens_proxy.config.effective import effective
from athens_proxy.config.load import ConfigFile, load
from athens_proxy.config.meanings import MEANINGS
from athens_proxy.config.reserved import RESERVED
from support.settings_page import page
from support.tree import ROOT


def no_file(name: str) -> ConfigFile:
    raise FileNotFoundError(2, "No such file or directory", name)


def test_every_key_has_a_meaning_and_every_meaning_a_key() -> None:
    keys = {entry["key"] for entry in effective(load([], {}, no_file))} | {key.toml for key in RESERVED}

    assert keys == MEANINGS.keys()


def test_the_page_for_users_is_the_table() -> None:
    """Written by `PYTHONPATH=tests python -m support.settings_page docs/configuration.md`."""
    assert (ROOT / "docs" / "configuration.md").read_text() == page()
