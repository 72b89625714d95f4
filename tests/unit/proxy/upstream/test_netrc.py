"""Credentials of netrc files: read as the go command reads them, and shown over https alone."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from yarl import URL

from athens_proxy.upstream.netrc import Netrc

ENTRY = "machine p.example.com login me password secret\n"


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("text", "machines"),
    [
        ("", {}),
        ("machine a login u password p", {"a": basic("u", "p")}),
        ("machine a\n  login u\n  password p\n", {"a": basic("u", "p")}),
        ("machine a password p login u", {"a": basic("u", "p")}),
        ("machine a login u password p\nmachine a login v password q", {"a": basic("u", "p")}),
        ("machine a login u\nmachine b login v password q", {"b": basic("v", "q")}),
        ("machine a login u account x password p", {"a": basic("u", "p")}),
        ("macdef init\nmachine a login u password p\n\nmachine b login v password q", {"b": basic("v", "q")}),
        ("default\nmachine a login u password p", {}),
        ("default login u password p", {}),
        ("machine github.com login token", {}),
    ],
)
def test_a_netrc_is_read_as_go_reads_it(text: str, machines: dict[str, str]) -> None:
    assert Netrc.parse(text).authorizations == machines


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("https://p.example.com/x", basic("me", "secret")),
        ("https://p.example.com:8443/x", basic("me", "secret")),
        ("http://p.example.com/x", ""),
        ("https://q.example.com/x", ""),
    ],
)
def test_only_the_machine_sees_its_credential_and_only_over_https(address: str, wanted: str) -> None:
    assert Netrc.parse(ENTRY).authorization(URL(address)) == wanted


def test_a_netrc_is_looked_for_where_go_looks(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(ENTRY)
    (tmp_path / "other").write_text("machine other login u password p")
    home = {"HOME": str(tmp_path)}

    assert list(Netrc.of(home, {}).authorizations) == ["p.example.com"]
    assert list(Netrc.of({}, home).authorizations) == ["p.example.com"]
    assert list(Netrc.of(home, {"NETRC": str(tmp_path / "other")}).authorizations) == ["other"]
    assert Netrc.of(home, {"GOAUTH": "off"}).authorizations == {}
    assert Netrc.of({"HOME": "/nowhere"}, {}).authorizations == Netrc.of({}, {}).authorizations == {}
    assert "secret" not in repr(Netrc.of(home, {}))
