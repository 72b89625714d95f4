"""One request that Athens and our proxy both get, and the usual ones of a module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from support.sample_modules import PSEUDO

STORED_ONLY = ("v0.9.0", "v1.0.0", PSEUDO)
"""The versions of example.com/foo that the settings with a filled store begin with."""
FILES = (".info", ".mod", ".zip")


@dataclass(frozen=True)
class Exchange:
    """One request to both proxies, under the setting called `setting`."""

    setting: str
    target: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A readable test id, unique within a setting unless the request is repeated."""
        credentials = " as " + self.headers.get("Authorization", "") if "Authorization" in self.headers else ""
        span = " " + self.headers["Range"] if "Range" in self.headers else ""
        return f"{self.setting} {self.method} {self.target}{credentials}{span}"


def files(setting: str, module: str, version: str, *methods: str) -> Iterator[Exchange]:
    """The three files of a version, each by every method."""
    for suffix, method in product(FILES, methods or ("GET",)):
        yield Exchange(setting, f"/{module}/@v/{version}{suffix}", method)


def lists(setting: str, module: str, *methods: str) -> Iterator[Exchange]:
    """The list and the latest version of a module, each by every method."""
    for name, method in product(("@v/list", "@latest"), methods or ("GET",)):
        yield Exchange(setting, f"/{module}/{name}", method)
