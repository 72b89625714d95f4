"""Server binaries built from Go modules, pinned in hack/tools and cached outside the work tree.

One module per group: were they one, the newest requirement of each would move all the others.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from localcluster import npm_tools
from localcluster.errors import ClusterError
from localcluster.locks import locked
from localcluster.places import REPOSITORY, Places
from localcluster.progress import step

_PINS: Final = REPOSITORY / "hack/tools"
_KEY_LENGTH: Final = 12
_K8S_VERSION: Final = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Group:
    """Binaries built from one Go module.

    Attributes:
        name: The folder below hack/tools.
        tools: Tool name -> name of the binary that Go gives it.
        stamps: Linker variables a release build would set.
    """

    name: str
    tools: dict[str, str]
    stamps: dict[str, str] = field(default_factory=dict)


def _single(name: str, binary: str | None = None) -> Group:
    return Group(name, {name: binary or name})


GROUPS: Final = (
    Group(
        "kubernetes",
        {
            name: name
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-proxy",
                "kube-scheduler",
                "kubectl",
                "kubelet",
            )
        },
        {
            f"{_K8S_VERSION}.gitVersion": "v1.36.2",
            f"{_K8S_VERSION}.gitMajor": "1",
            f"{_K8S_VERSION}.gitMinor": "36",
        },
    ),
    _single("coredns"),
    _single("helm"),
    _single("kind"),
    _single("athens", "proxy"),
    _single("goproxy"),
    _single("versitygw"),
    _single("minio"),
    _single("fake-gcs-server"),
    _single("ferretdb"),
    _single("promtool"),
    _single("jaeger", "all-in-one"),
)


def tool_names() -> list[str]:
    """Every name that `ensure` knows."""
    return sorted([*(tool for group in GROUPS for tool in group.tools), *npm_tools.TOOLS])


def ensure(tool: str, places: Places | None = None) -> Path:
    """The path of a tool's program, built or installed first if this machine has not done so for this version yet.

    Args:
        tool: One of `tool_names()`.
        places: Where the cache is; the calling user's by default.

    Raises:
        ClusterError: The tool is unknown, Go is missing or too old, or the build or installation failed.
    """
    places = places or Places.from_env(os.environ)
    if tool in npm_tools.TOOLS:
        return npm_tools.ensure(tool, places)
    group = next((group for group in GROUPS if tool in group.tools), None)
    if group is None:
        raise ClusterError(f"no tool is called {tool!r}; there are {', '.join(tool_names())}")
    key = cache_key(_PINS / group.name, _go_version(), group.stamps)
    folder = places.cache / "bin" / f"{group.name}-{key}"
    if not folder.exists():
        with locked(folder.parent / f"{group.name}.lock"):
            if not folder.exists():  # another process may have built it while we waited
                with step(f"building {group.name} from Go modules"):
                    _build(group, folder)
    return folder / group.tools[tool]


def cache_key(pins: Path, go_version: str, stamps: dict[str, str]) -> str:
    """What the binaries depend on, in a few hexadecimal digits: the pins, the compiler and the stamps."""
    digest = hashlib.sha256()
    for part in (
        (pins / "go.mod").read_bytes(),
        (pins / "go.sum").read_bytes(),
        go_version.encode(),
        repr(sorted(stamps.items())).encode(),
    ):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:_KEY_LENGTH]


@cache
def _go_version() -> str:
    try:
        return subprocess.run(["go", "version"], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise ClusterError(f"could not run `go version`: {error}; install Go 1.26 or newer") from error


def _build(group: Group, folder: Path) -> None:
    """Build every binary of the group, then publish them together by one rename."""
    stamps = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in group.stamps.items())])
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        built = subprocess.run(
            ["go", "build", "-trimpath", "-ldflags", stamps, "-o", f"{unfinished}/", "tool"],
            cwd=_PINS / group.name,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode != 0:
            raise ClusterError(
                f"could not build {group.name} in hack/tools/{group.name}: {built.stderr.strip()[-2000:]}"
            )
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
