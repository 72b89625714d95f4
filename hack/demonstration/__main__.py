"""The command line: `hack/demo up|down`."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from demonstration.console import Say, Steps
from demonstration.errors import DemoError
from demonstration.installation import INSTALL, Way
from demonstration.kubectl import Kubectl
from demonstration.story import QUICKSTART, Story
from demonstration.tools import CLUSTER, named_cluster, run


def main(arguments: Sequence[str]) -> int:
    """Run the demo or undo it; 0 if that worked."""
    parser = argparse.ArgumentParser(prog="hack/demo", description="From nothing to a served module on a real cluster.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="run the nine steps; may be repeated")
    up.add_argument("--install", type=Way, choices=list(Way), default=Way.HELM, help="how the operator is installed")
    commands.add_parser("down", help="remove what the demo installed, and the cluster if the demo started it")
    chosen = parser.parse_args(arguments)
    steps = Steps(Console(stderr=False))
    started = time.monotonic()
    try:
        if chosen.command == "up":
            Story(steps, chosen.install, os.environ).tell()
            steps.line(f"done in {time.monotonic() - started:.1f} s")
        else:
            _down(steps)
    except DemoError as failure:
        steps.line(
            f"\n{failure}\n\nThe steps above stay done: `make demo` goes on from there, `make demo-down` undoes them."
        )
        return 1
    except KeyboardInterrupt:
        steps.line("\ninterrupted; run `make demo` again to go on")
        return 130
    return 0


def _down(steps: Steps) -> None:
    """A cluster of our own goes as a whole; from a named one only what the demo applied is removed."""
    if os.environ.get("CLUSTER") or os.environ.get("KUBECONFIG"):
        with steps.step("remove what the demo installed") as say:
            _uninstall(say)
    with steps.step("the cluster") as say:
        run([CLUSTER, "down"], say.passing)


def _uninstall(say: Say) -> None:
    """Delete the example, and the operator with its kinds unless somebody else has made use of them."""
    kubectl = named_cluster(say.passing)
    _delete(kubectl, QUICKSTART, say)
    others = [item["metadata"] for item in kubectl.items("athensproxies,downloadpolicies")]
    if others:
        names = ", ".join(f"{metadata['namespace']}/{metadata['name']}" for metadata in others)
        say.fact(f"the operator stays, others use it: {names}")
        return
    _delete(kubectl, INSTALL, say)


def _delete(kubectl: Kubectl, file: Path, say: Say) -> None:
    deleted = kubectl.run("delete", "-f", str(file), "--ignore-not-found", "--wait", deadline_s=180)
    say.passing(deleted.replace("\n", ", "))
