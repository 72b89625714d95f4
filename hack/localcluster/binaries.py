"""Server binaries built from Go modules, pinned in hack/tools and cached outside the work tree.

Programs that import Kubernetes share one module, because compiling that twice costs minutes. The others have one each:
were they one, the newest requirement of each would move all the others.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
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
_CLUSTER: Final = "cluster"


@dataclass(frozen=True)
class Group:
    """Programs that are built together.

    Attributes:
        module: The folder below hack/tools that pins them.
        programs: Tool name -> import path of its command.
        stamps: Linker variables a release build would set.
        tags: Build tags, separated by commas.
    """

    module: str
    programs: dict[str, str]
    stamps: dict[str, str] = field(default_factory=dict)
    tags: str = ""

    @property
    def name(self) -> str:
        """What the group is called: like its only tool, else like its module."""
        return next(iter(self.programs)) if len(self.programs) == 1 else self.module

    @property
    def flags(self) -> Sequence[str]:
        """What `go build` is told."""
        stamps = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in self.stamps.items())])
        return ("-trimpath", "-ldflags", stamps, "-tags", self.tags)

    def binary(self, tool: str) -> str:
        """The name that Go gives a tool's program."""
        return self.programs[tool].rpartition("/")[2]


def _single(name: str, program: str) -> Group:
    return Group(name, {name: program})


GROUPS: Final = (
    Group(
        _CLUSTER,
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
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
    Group(_CLUSTER, {"coredns": "athensproxy.dev/hack/tools/cluster/coredns"}),
    Group(_CLUSTER, {"helm": "helm.sh/helm/v3/cmd/helm"}),
    # Without it promtool has a client of every cloud, to discover what it could scrape.
    Group(_CLUSTER, {"promtool": "github.com/prometheus/prometheus/cmd/promtool"}, tags="remove_all_sd"),
    _single("kind", "sigs.k8s.io/kind"),
    _single("athens", "github.com/gomods/athens/cmd/proxy"),
    _single("goproxy", "github.com/goproxy/goproxy/cmd/goproxy"),
    _single("versitygw", "github.com/versity/versitygw/cmd/versitygw"),
    _single("minio", "github.com/minio/minio"),
    _single("fake-gcs-server", "github.com/fsouza/fake-gcs-server"),
    _single("ferretdb", "athensproxy.dev/hack/tools/ferretdb"),
    _single("jaeger", "github.com/jaegertracing/jaeger/cmd/all-in-one"),
)


def tool_names() -> list[str]:
    """Every name that `ensure` knows."""
    return sorted([*(tool for group in GROUPS for tool in group.programs), *npm_tools.TOOLS])


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
    group = next((group for group in GROUPS if tool in group.programs), None)
    if group is None:
        raise ClusterError(f"no tool is called {tool!r}; there are {', '.join(tool_names())}")
    key = cache_key(_PINS / group.module, _go_version(), group.flags)
    folder = places.cache / "bin" / f"{group.name}-{key}"
    if not folder.exists():
        with locked(folder.parent / f"{group.module}.lock"):  # what a module's programs share is compiled once
            if not folder.exists():  # another process may have built it while we waited
                with step(f"building {group.name} from Go modules"):
                    _build(group, folder)
    return folder / group.binary(tool)


def cache_key(pins: Path, go_version: str, flags: Sequence[str]) -> str:
    """What binaries depend on, in a few hexadecimal digits: the files of their module, the compiler and its flags."""
    digest = hashlib.sha256()
    files = sorted(path for path in pins.rglob("*") if path.is_file())
    for part in (*(path.read_bytes() for path in files), go_version.encode(), repr(tuple(flags)).encode()):
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
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        built = subprocess.run(
            ["go", "build", *group.flags, "-o", f"{unfinished}/", *group.programs.values()],
            cwd=_PINS / group.module,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode != 0:
            raise ClusterError(
                f"could not build {group.name} in hack/tools/{group.module}: {built.stderr.strip()[-2000:]}"
            )
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
