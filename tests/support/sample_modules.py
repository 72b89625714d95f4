"""The modules that conformance tests ask for: one tree of files, and git repositories for what needs an origin."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.module_tree import ModuleTree, go_package, info_bytes, zip_bytes

PSEUDO = "v1.1.1-0.20200102030405-abcdefabcdef"
UNTAGGED_PSEUDO = "v0.0.0-20200102030405-abcdefabcdef"
CHECK_V1_PSEUDO = "v0.0.0-20160102150405-0123456789ab"
COMMIT_TIME = "2020-01-02T03:04:05Z"
TOOLCHAIN = "v0.0.1-go1.22.3.linux-amd64"


def sample_tree(root: Path) -> ModuleTree:
    """Modules of every shape the protocol knows, and broken ones."""
    tree = ModuleTree(root)
    for path in ("example.com/m", "example.com/foo"):
        for version in ("v1.0.0", "v1.1.0", "v1.2.0-pre.1"):
            tree.add(path, version)
    tree.add("example.com/m", PSEUDO, listed=False)
    tree.point("example.com/m", "main", PSEUDO)
    tree.add("example.com/m/v2", "v2.0.0")
    tree.add("example.com/m/v2", "v2.0.1")
    tree.add("example.com/Upper", "v1.0.0")
    tree.add("github.com/Azure/x", "v1.0.0")
    tree.add("example.com/inc", "v1.0.0")
    tree.add("example.com/inc", "v2.0.0+incompatible")
    tree.add("example.com/pseudo", UNTAGGED_PSEUDO, listed=False)
    tree.point("example.com/pseudo", "master", UNTAGGED_PSEUDO)
    tree.latest("example.com/pseudo", UNTAGGED_PSEUDO)
    tree.add("example.com/pre", "v0.9.0-rc.1")
    tree.add("example.com/zone", "v1.0.0", time="2020-01-02T03:04:05.25-07:00")
    tree.add("gopkg.in/yaml.v2", "v2.4.0")
    tree.add("gopkg.in/check.v1", CHECK_V1_PSEUDO, listed=False)
    tree.add("golang.org/toolchain", TOOLCHAIN)
    tree.add("example.com/renamed", "v1.0.0", mod="module example.com/original\n")
    tree.add("example.com/blocked", "v1.0.0")
    _broken(tree)
    return tree


def _broken(tree: ModuleTree) -> None:
    def put(path: str, name: str, data: bytes) -> None:
        tree.folder(path).joinpath(name).write_bytes(data)

    page = b"<!DOCTYPE html><html><body>Sign in</body></html>"
    tree.add("example.com/page", "v1.0.0")
    put("example.com/page", "v1.0.0.info", page)
    put("example.com/page", "v1.1.0.info", info_bytes("v1.1.0"))
    put("example.com/page", "v1.1.0.mod", b"module example.com/page\n")
    put("example.com/page", "v1.1.0.zip", page)
    tree.add("example.com/otherversion", "v1.0.0")
    put("example.com/otherversion", "v1.0.0.info", info_bytes("v1.0.1"))
    for path, files in {
        "example.com/badname": {"aux.go": b"package badname\n"},
        "example.com/collision": {"File.go": b"package collision\n", "file.go": b"package collision\n"},
    }.items():
        tree.add(path, "v1.0.0", files=files)
    tree.add("example.com/badprefix", "v1.0.0")
    put("example.com/badprefix", "v1.0.0.zip", zip_bytes("example.com/other", "v1.0.0", {"a.go": b"package other\n"}))


@dataclass(frozen=True)
class Repositories:
    """Git repositories below `root` that stand for `https://github.com/acme/...`.

    Attributes:
        root: the folder that replaces `https://github.com/`.
        config: a git configuration file that says so.
    """

    root: Path
    config: Path

    def go_env(self) -> tuple[str, ...]:
        """Settings that make `go` find the repositories and nothing else."""
        return (
            "GOSUMDB=off",
            f"GIT_CONFIG_GLOBAL={self.config}",
            "GIT_CONFIG_NOSYSTEM=1",
            "GIT_ALLOW_PROTOCOL=file",
            "HTTPS_PROXY=http://127.0.0.1:9",
        )

    def commit(self, name: str, files: Mapping[str, str], *, tags: tuple[str, ...] = ()) -> str:
        """Commit these files to a repository, made when new, at a fixed time; returns the commit's hash."""
        folder = self.root / "acme" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            self._git(folder, "init", "--quiet", "--initial-branch=main")
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self._git(folder, "add", "--all")
        self._git(folder, "commit", "--quiet", "--message", "change")
        for tag in tags:
            self._git(folder, "tag", tag)
        return self.head(name)

    def head(self, name: str) -> str:
        """The hash of a repository's newest commit."""
        return self._git(self.root / "acme" / name, "rev-parse", "HEAD").strip()

    def branch(self, name: str, branch: str) -> None:
        """A branch at the current commit."""
        self._git(self.root / "acme" / name, "branch", branch)

    def empty(self, name: str) -> None:
        """A repository without commits."""
        folder = self.root / "acme" / name
        folder.mkdir(parents=True)
        self._git(folder, "init", "--quiet", "--initial-branch=main")

    def _git(self, folder: Path, *argv: str) -> str:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _IDENTITY.items()},
        }
        return subprocess.run(["git", *argv], cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


_IDENTITY = {"NAME": "Test", "EMAIL": "test@example.com", "DATE": COMMIT_TIME}


def sample_repositories(root: Path) -> Repositories:
    """Repositories with tags, branches, build metadata, a major version, no tags, no commits."""
    root.mkdir(parents=True, exist_ok=True)
    config = root / "gitconfig"
    config.write_text(f'[url "file://{root}/"]\n\tinsteadOf = https://github.com/\n')
    repositories = Repositories(root, config)
    widget = {"go.mod": "module github.com/acme/widget\n", "widget.go": go_package("widget").decode()}
    repositories.commit("widget", widget, tags=("v1.0.0",))
    repositories.commit("widget", {"a.go": "package widget\n"}, tags=("v1.2.0",))
    repositories.commit("widget", {"b.go": "package widget\n"}, tags=("v1.2.3+meta",))
    repositories.commit("widget", {"c.go": "package widget\n"})
    for branch in ("feature/foo", "dev@x", "stable"):
        repositories.branch("widget", branch)
    repositories.commit("inc", {"inc.go": "package inc\n"}, tags=("v1.0.0",))
    repositories.commit("inc", {"inc2.go": "package inc\n"}, tags=("v2.0.0",))
    repositories.commit(
        "major", {"go.mod": "module github.com/acme/major\n", "m.go": "package major\n"}, tags=("v1.0.0",)
    )
    repositories.commit("major", {"go.mod": "module github.com/acme/major/v2\n"}, tags=("v2.0.0",))
    repositories.commit("tagless", {"tagless.go": "package tagless\n"})
    repositories.commit(
        "renamed", {"go.mod": "module example.com/original\n", "r.go": "package renamed\n"}, tags=("v1.0.0",)
    )
    bad = {"go.mod": "module github.com/acme/badname\n", "aux.go": "package badname\n"}
    repositories.commit("badname", bad, tags=("v1.0.0",))
    repositories.empty("empty")
    return repositories
