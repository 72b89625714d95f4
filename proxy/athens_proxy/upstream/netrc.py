"""Credentials of `~/.netrc` for module proxies, as the go command shows them: over https alone.

Source: cmd/go/internal/auth/netrc.go; https://go.dev/ref/mod#private-module-proxy-auth
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from yarl import URL


@dataclass(frozen=True, slots=True)
class Netrc:
    """Authorization headers by machine (a host, or host and port); never shown."""

    authorizations: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str], go_variables: Mapping[str, str]) -> Netrc:
        """What the go command would read: the file of NETRC, else of the HOME; nothing with `GOAUTH=off`."""
        home = go_variables.get("HOME") or environ.get("HOME", "")
        path = go_variables.get("NETRC") or (f"{home}/.netrc" if home else "")
        if not path or go_variables.get("GOAUTH", "netrc") != "netrc":
            return cls()
        try:
            return cls.parse(Path(path).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return cls()

    @classmethod
    def parse(cls, text: str) -> Netrc:
        """The complete entries of a text; of several for one machine the first counts, `default` for none."""
        found: dict[str, str] = {}
        entry: dict[str, str] = {}
        in_macro = False
        for line in text.split("\n"):
            words = line.split()
            if in_macro:
                in_macro = bool(line)
                continue
            for name, value in zip(words[::2], words[1::2], strict=False):
                entry = {} if name == "machine" else entry
                entry[name] = value
                in_macro = in_macro or name == "macdef"
                if entry.keys() >= {"machine", "login", "password"}:
                    found.setdefault(entry["machine"], _basic(entry["login"], entry["password"]))
                    entry = {}
            if len(words) % 2 and words[-1] == "default":
                break
        return cls(found)

    def authorization(self, url: URL) -> str:
        """What the machine of an address is shown; "" for nothing, always so over plain http."""
        if url.scheme != "https":
            return ""
        return self.authorizations.get(url.raw_authority) or self.authorizations.get(url.host or "", "")


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
