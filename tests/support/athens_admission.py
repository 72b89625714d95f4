"""The differential requests about what Athens asks before everything else: the filter file and the validator hook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.athens_exchange import STORED_ONLY, Exchange, files, lists
from support.sample_modules import PSEUDO, UNTAGGED_PSEUDO

GLOBAL_ENDPOINT = "https://global.example.com/base/"
# A rule without a path is for everything that no other line names; later lines for one path replace earlier ones.
FILTERS = {
    "filter": """\
# the licence forbids it

- example.com/m
+ example.com/m/v2
D github.com/Azure
- example.com/foo v1.1,v9.*
D example.com/inc
+ example.com/pseudo
- example.com/pseudo
- example.com/pre <v0.9.0
- example.com/zone ~v1.0.0
- gopkg.in/yaml.v2 ^v2.3.9,^v9.0.0
+ gopkg.in
- example.com/nope v2.
""",
    "filter-all": "-\n+ example.com/foo v1.0.0\n+ example.com/Upper ~1.0.0\nD example.com/m/v2 v2.0.0\n",
}


@dataclass(frozen=True)
class Admission:
    """What Athens asks before everything else.

    Attributes:
        folder: where the filter files are written.
        hook: the address of a validator hook.
    """

    folder: Path
    hook: str

    def filter(self, name: str) -> dict[str, str]:
        """The environment of a proxy with one of `FILTERS`."""
        written = self.folder / name
        written.write_text(FILTERS[name])
        return {"ATHENS_FILTER_FILE": str(written), "ATHENS_GLOBAL_ENDPOINT": GLOBAL_ENDPOINT}


ADMITTED = {
    "example.com/foo": ("v1.0.0", "v1.1.0", "v9.9.9", "v1.2.0-pre.1", "v1"),
    "example.com/m": ("v1.1.0", "main", PSEUDO),
    "example.com/m/v2": ("v2.0.0", "v2.0.1"),
    "example.com/!upper": ("v1.0.0",),
    "example.com/Upper": ("v1.0.0",),
    "example.com/inc": ("v2.0.0+incompatible",),
    "example.com/pseudo": ("master", UNTAGGED_PSEUDO),
    "example.com/pre": ("v0.9.0", "v0.9.0-rc.1"),
    "example.com/zone": ("v1.0.0",),
    "example.com/nope": ("v1.0.0",),
    "github.com/!azure/x": ("v1.0.0",),
    "gopkg.in/yaml.v2": ("v2.4.0",),
}


def filtered() -> Iterator[Exchange]:
    """What a filter file decides, also for what is stored and below a path prefix."""
    for setting in ("filter-union", "filter-all"):
        for module, versions in ADMITTED.items():
            yield from lists(setting, module)
            for version in versions:
                yield from files(setting, module, version)
    for version in STORED_ONLY:
        yield from files("filter-union", "example.com/foo", version)
    yield from files("filter-union", "example.com/inc", "v2.0.0+incompatible", "HEAD")
    yield Exchange("filter-union", "/example.com/inc/@v/v2.0.0%2Bincompatible.mod?go-get=1")
    for module in ("example.com/m", "example.com/inc", "github.com/!azure/x"):
        yield from lists("filter-prefix", f"pre/fix/{module}")
        yield from files("filter-prefix", f"pre/fix/{module}", "v1.0.0")


def hooked() -> Iterator[Exchange]:
    """What a validator hook decides, also for what is stored, and what happens while it is down."""
    for module, versions in ADMITTED.items():
        yield from lists("hook-union", module)
        for version in versions:
            yield from files("hook-union", module, version)
    for version in STORED_ONLY:
        yield from files("hook-union", "example.com/foo", version)
    yield from files("hook-union", "example.com/m", "v1.1.0", "HEAD")
    yield from lists("hook-down", "example.com/foo")
    yield from files("hook-down", "example.com/foo", "v1.0.0")
