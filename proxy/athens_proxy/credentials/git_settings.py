"""What git is told about the entries, as variables that hold no secret; pure.

git takes settings from GIT_CONFIG_KEY_<n> and GIT_CONFIG_VALUE_<n> over those of any file, so that the files of the
user stay what they are.

Source: https://git-scm.com/docs/git-config (GIT_CONFIG_COUNT, credential.<url>, url.<base>.insteadOf, http.*)
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from athens_proxy.credentials.entries import HTTP_KINDS, Entry, Kind
from athens_proxy.credentials.places import Match, Place

_SLOW_BYTES_PER_S: Final = 1
_SLOW_S: Final = 120
_SSH_PORT: Final = 22

Setting = tuple[str, str]


def git_settings(
    entries: Sequence[Entry], *, helper: Sequence[str], module: Place, allows_http: bool = False
) -> list[Setting]:
    """Names and values of git's settings for one run.

    Args:
        entries: of the credentials file.
        helper: program and arguments of the credential helper.
        module: the place that the wanted module's path names.
        allows_http: whether git may speak plain http, where it would show what a netrc file has.
    """
    return [
        *([] if allows_http else [("protocol.http.allow", "never")]),
        ("http.lowSpeedLimit", str(_SLOW_BYTES_PER_S)),
        ("http.lowSpeedTime", str(_SLOW_S)),
        ("submodule.recurse", "false"),
        *_helpers(entries, helper),
        *_rewrites(entries, module),
    ]


def as_variables(settings: Sequence[Setting], present: Mapping[str, str]) -> dict[str, str]:
    """The variables that add settings to those which an environment has already."""
    count = present.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isascii() and count.isdigit() else 0
    variables = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (name, value) in enumerate(settings, start=first):
        variables[f"GIT_CONFIG_KEY_{number}"] = name
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables


def _helpers(entries: Sequence[Entry], helper: Sequence[str]) -> Iterator[Setting]:
    """Our helper alone for the hosts of entries; everywhere else git goes on to ask the user's own."""
    hosts = dict.fromkeys(entry.match.authority for entry in entries if entry.kind in HTTP_KINDS and entry.match)
    for host in hosts:
        yield f"credential.https://{host}.helper", ""  # forgets the ones before
        yield f"credential.https://{host}.helper", f"!{shlex.join(helper)}"
        yield f"credential.https://{host}.useHttpPath", "true"


def _rewrites(entries: Sequence[Entry], module: Place) -> Iterator[Setting]:
    """From https to ssh for ssh entries; entries for https below such a place keep their addresses."""
    new_by_old: dict[str, str] = {}
    for entry in entries:
        if entry.kind is Kind.SSH and entry.match:
            for url in entry.instead_of:
                new_by_old |= _rewritten(url, _ssh_address(entry, entry.match, url), module)
    for entry in entries:
        own = f"https://{entry.match}"
        if entry.kind in HTTP_KINDS and any(own.startswith(old) and own != old.rstrip("/") for old in new_by_old):
            new_by_old |= _rewritten(own, own, module)
    for old, new in new_by_old.items():
        yield f"url.{new}.insteadOf", old


def _ssh_address(entry: Entry, match: Match, url: str) -> str:
    """What an address becomes: the same path on the entry's host; from another host, the place of the entry."""
    parts = urlsplit(url)
    path = parts.path.strip("/") if (parts.hostname or "") == match.host else "/".join(match.path)
    port = "" if entry.port == _SSH_PORT else f":{entry.port}"
    return f"ssh://{entry.username or 'git'}@{match.host}{port}/{path}".rstrip("/")


def _rewritten(old: str, new: str, module: Place) -> dict[str, str]:
    """Git compares characters, not elements of paths: `/team` would take `/team-b` with it.

    What lies below an address is therefore named with a slash; the address itself only while no neighbour that begins
    alike is wanted.
    """
    old = old.rstrip("/")
    result = {f"{old}/": f"{new}/"}
    wanted = "/".join((f"https://{module.host}", *module.path, ""))
    if urlsplit(old).path and (wanted.startswith(f"{old}/") or not wanted.startswith(old)):
        result[old] = new
    return result
