"""Which cluster to use: the one that was named, else kind, else the local node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

KIND: Final = "kind"
LOCAL: Final = "local"
Own = Literal["kind", "local"]


@dataclass(frozen=True)
class Named:
    """A cluster somebody named: used as it is, never created and never deleted.

    Attributes:
        kubeconfig: The file that was named; None stands for kubectl's own default.
        context: The context that was named; None stands for the file's current one.
    """

    kubeconfig: str | None
    context: str | None


Choice = Named | Own


def named_cluster(environ: Mapping[str, str], own_kubeconfig: Path) -> Named | None:
    """The cluster that CLUSTER (a kubectl context) or KUBECONFIG names.

    Our own kubeconfig file names nobody's cluster but ours: after `export KUBECONFIG=$(hack/cluster kubeconfig)`
    the commands must go on as before.
    """
    context = environ.get("CLUSTER") or None
    kubeconfig = environ.get("KUBECONFIG") or None
    if kubeconfig is not None and Path(kubeconfig) == own_kubeconfig:
        kubeconfig = None
        if context is None:
            return None
    if context is None and kubeconfig is None:
        return None
    return Named(kubeconfig, context)


def choose(
    environ: Mapping[str, str], own_kubeconfig: Path, running: Own | None, kind_possible: Callable[[], bool]
) -> Choice:
    """Choose a cluster.

    Args:
        environ: The environment of the caller.
        own_kubeconfig: Where this package writes its own.
        running: What an earlier call brought up and nobody took down.
        kind_possible: Whether a Docker engine can run kind's node image; asked last, since it may have to pull.
    """
    named = named_cluster(environ, own_kubeconfig)
    if named is not None:
        return named
    if running is not None:
        return running
    return KIND if kind_possible() else LOCAL
