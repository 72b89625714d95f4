"""The commands of hack/ that the demo and the end-to-end tests stand on, run as a developer would run them."""

from __future__ import annotations

import importlib.metadata
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from demonstration.errors import DemoError
from demonstration.kubectl import Kubectl
from localcluster.images import content_digest

ROOT: Final = Path(__file__).resolve().parents[2]
CLUSTER: Final = str(ROOT / "hack/cluster")
IMAGES: Final = ("operator", "proxy")
_LAST_LINES: Final = 15

Listen = Callable[[str], None]


def run(command: Sequence[str], listen: Listen) -> str:
    """Run a command in the repository; pass on what it says on standard error, return its standard output.

    Raises:
        DemoError: It failed; the message ends with the last lines it said.
    """
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            last.append(line.rstrip())
            listen(line.rstrip())
        output = process.stdout.read()
    if process.returncode != 0:
        name = Path(command[0]).name
        raise DemoError(f"`{' '.join([name, *command[1:]])}` failed:\n" + "\n".join(last))
    return output.strip()


def cluster_up(listen: Listen) -> Kubectl:
    """A running cluster: the one that KUBECONFIG or CLUSTER names, else one of our own."""
    run([CLUSTER, "up"], listen)
    return named_cluster(listen)


def named_cluster(listen: Listen) -> Kubectl:
    """The cluster that `hack/cluster` speaks of, running or not."""
    kubeconfig = Path(run([CLUSTER, "kubeconfig"], listen))
    return Kubectl(Path(run([CLUSTER, "tool", "kubectl"], listen)), kubeconfig)


@dataclass(frozen=True)
class Images:
    """What was built and loaded.

    Attributes:
        operator: Reference of the operator's image.
        proxy: Reference of the proxy's image.
        operator_content: A short digest of what it is built from; its tag stays while the project is edited.
        proxy_content: The same of the proxy's.
    """

    operator: str
    proxy: str
    operator_content: str
    proxy_content: str


def images_loaded(environ: Mapping[str, str], listen: Listen) -> Images:
    """Build both images where their inputs changed, and load them into the cluster where it lacks them.

    A cluster that somebody named takes its images from a registry: then IMAGES names where they were pushed to, for
    instance `IMAGES=registry.example.com/team`, and nothing is built.
    """
    contents = [content_digest(ROOT, name, "")[:12] for name in IMAGES]
    pushed = environ.get("IMAGES")
    if pushed:
        tag = importlib.metadata.version("athens-operator")
        return Images(*(f"{pushed.rstrip('/')}/{name}:{tag}" for name in IMAGES), *contents)
    references = run([CLUSTER, "build-image", *IMAGES], listen).split()
    try:
        run([CLUSTER, "load-image", *references], listen)
    except DemoError as refused:
        raise DemoError(f"{refused}\nIf they are there, say where: IMAGES=registry.example.com/team") from refused
    return Images(*references, *contents)
