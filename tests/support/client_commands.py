"""The commands of the client matrix: what a user runs, and what it must print when the proxy is right.

The modules are those of Go's own test proxy, and some of the sample tree for what that one lacks (branches).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from support.go_client import GoClient, GoRun
from support.sample_modules import PSEUDO, UNTAGGED_PSEUDO

SAMPLES = "example.com/m,example.com/Upper,example.com/pseudo"
TEXT_PSEUDO = "v0.0.0-20170915032832-14c0d48ead0c"


@dataclass(frozen=True)
class Command:
    """One row of the matrix.

    Attributes:
        name: the test id.
        act: runs it as the given user; the last result is judged.
        prints: a regular expression to be found in its standard output or error.
        fails: whether the command must fail.
    """

    name: str
    act: Callable[[GoClient], GoRun]
    prints: str = ""
    fails: bool = False

    def judge(self, client: GoClient, *, reason_is_ours: bool = True) -> None:
        """Run it; fails the test when the result is not as told.

        Args:
            client: who runs it.
            reason_is_ours: whether a failure is printed with our reason, and not with another proxy's.
        """
        run = self.act(client)
        _ = run.failed() if self.fails else run.ok()
        if self.fails and not reason_is_ours:
            return
        assert re.search(self.prints, run.stdout + run.stderr), f"{run.stdout}\n{run.stderr}"


def plain(name: str, *argv: str, prints: str = "", fails: bool = False) -> Command:
    """A command outside any module."""
    return Command(name, lambda client: client.run(*argv), prints, fails)


def in_module(name: str, *steps: tuple[str, ...], imports: tuple[str, ...] = (), prints: str = "") -> Command:
    """Commands in a main module that imports these packages; all but the last must succeed."""

    def act(client: GoClient) -> GoRun:
        client.program(*imports)
        for argv in steps[:-1]:
            client.run(*argv).ok()
        return client.run(*steps[-1])

    return Command(name, act, prints)


def build_with_full_sums(client: GoClient) -> GoRun:
    """Only `.zip` and `.mod` are asked for, in any order, when go.sum is complete and the cache is empty."""
    client.program("rsc.io/quote")
    client.run("mod", "tidy").ok()
    client.run("clean", "-modcache").ok()
    return client.run("build", "-o", "program", ".")


DOWNLOADS = (
    plain(
        "download",
        "mod",
        "download",
        "-json",
        "rsc.io/quote@v1.5.2",
        prints=r'"Sum": "h1:3fEykkD9k7lYzXqCYrwGAf7iNhbk4yCjHmKBN9td4L0="',
    ),
    plain("download-upper-case", "mod", "download", "-json", "rsc.io/QUOTE@v1.5.2", prints=r'"Path": "rsc.io/QUOTE"'),
    plain("download-upper-case-sample", "mod", "download", "-json", "example.com/Upper@v1.0.0", prints=r'"Zip"'),
    plain("download-incompatible", "mod", "download", "-json", "rsc.io/breaker@v2.0.0+incompatible", prints=r'"Zip"'),
    plain("download-pseudo", "mod", "download", "-json", f"golang.org/x/text@{TEXT_PSEUDO}", prints=r'"Zip"'),
    plain(
        "download-missing",
        "mod",
        "download",
        "rsc.io/quote@v1.9.9",
        prints=r"404 Not Found\n\s*server response:\s+not found: ",
        fails=True,
    ),
    plain(
        "download-unknown",
        "mod",
        "download",
        "rsc.io/nothere@v1.0.0",
        prints=r"server response:\s+not found: ",
        fails=True,
    ),
)

QUERIES = (
    plain("latest", "list", "-m", "rsc.io/quote@latest", prints=r"(?m)^rsc.io/quote v1\.5\.2$"),
    plain("latest-untagged", "list", "-m", "example.com/pseudo@latest", prints=re.escape(UNTAGGED_PSEUDO)),
    plain("versions", "list", "-m", "-versions", "rsc.io/quote", prints=r"v1\.0\.0 v1\.1\.0 .* v1\.5\.2 v1\.5\.3-pre1"),
    plain("prefix", "list", "-m", "rsc.io/quote@v1", prints=r"v1\.5\.2"),
    plain("minor-prefix", "list", "-m", "rsc.io/quote@v1.2", prints=r"v1\.2\.1"),
    plain("less-than", "list", "-m", "rsc.io/quote@<v1.5.0", prints=r"v1\.4\.0"),
    plain("branch", "list", "-m", "example.com/m@main", prints=re.escape(PSEUDO)),
    plain("commit", "list", "-m", "rsc.io/quote@23179ee8a569", prints=r"v0\.0\.0-20180214005840-23179ee8a569|v1\.5\.1"),
    plain("go-versions", "list", "-m", "-versions", "go", prints=r"1\.22\.0 .*1\.999testmod"),
)

MODULE_COMMANDS = (
    in_module("get", ("get", "rsc.io/quote@v1.5.1"), ("list", "-m", "all"), prints=r"rsc.io/quote v1\.5\.1"),
    in_module("get-branch", ("get", "example.com/m@main"), prints=f"added example.com/m {re.escape(PSEUDO)}"),
    in_module("get-package-of-deeper-path", ("get", "rsc.io/quote/buggy"), prints=r"added rsc.io/quote v1\.5\.2"),
    in_module("get-retracted", ("get", "example.com/retract@v1.0.0-bad"), prints="retracted by module author: bad"),
    in_module(
        "get-deprecated",
        ("get", "example.com/deprecated/a@v1.0.0"),
        prints="is deprecated: in example.com/deprecated/a@v1.9.0",
    ),
    in_module("tidy-and-build", ("mod", "tidy"), ("build", "-o", "program", "."), imports=("rsc.io/quote",)),
    Command("build-with-full-sums", build_with_full_sums),
    in_module(
        "download-all",
        ("mod", "tidy"),
        ("mod", "download", "-json"),
        imports=("rsc.io/quote",),
        prints=r'"Path": "rsc.io/sampler"',
    ),
    in_module(
        "graph", ("mod", "tidy"), ("mod", "graph"), imports=("rsc.io/quote",), prints="rsc.io/quote@.* rsc.io/sampler@"
    ),
    in_module(
        "updates",
        ("get", "rsc.io/quote@v1.5.0"),
        ("list", "-m", "-u", "all"),
        imports=("rsc.io/quote",),
        prints=r"v1\.5\.0 \[v1\.5\.2\]",
    ),
    in_module("verify", ("mod", "tidy"), ("mod", "verify"), imports=("rsc.io/quote",), prints="all modules verified"),
    plain("install", "install", "example.com/cmd/a@v1.0.0"),
)

COMMANDS = (*DOWNLOADS, *QUERIES, *MODULE_COMMANDS)
