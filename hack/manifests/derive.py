"""The chart's copies of the CRDs, its alerts and dashboard, and `deploy/install.yaml` for those who do not use Helm.

crds/ and charts/ are the sources. What is made from them is committed, so that `kubectl apply -f` needs no tool, and
checked, so that it cannot drift.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import yaml

from athens_operator.desired.alerts import alert_groups, operator_alert_groups
from athens_operator.desired.dashboard import dashboard
from localcluster.binaries import ensure

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "charts/athens-operator"
INSTALL: Final = ROOT / "deploy/install.yaml"
NAMESPACE: Final = "athens-operator"
AS_OF: Final = ("--kube-version", "1.36.2")  # a helm built from its module assumes a Kubernetes of long ago

_HEADER: Final = f"""\
# Made by hack/install-yaml from charts/athens-operator; edit the chart instead.
# Everything the operator needs: kubectl apply -f install.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def helm(*arguments: str) -> str:
    """What helm prints.

    Raises:
        SystemExit: helm failed; the message is helm's own.
    """
    done = subprocess.run([str(ensure("helm")), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"helm {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def rendered(*settings: str) -> str:
    """The chart's objects as one YAML stream, each setting being a `key=value` for --set."""
    options = [word for setting in settings for word in ("--set", setting)]
    return helm("template", "athens-operator", str(CHART), "--namespace", NAMESPACE, *AS_OF, *options)


def derived() -> dict[Path, str]:
    """Path -> text of every file that is made from another."""
    copies = {
        CHART / "files/crds" / source.name: source.read_text() for source in sorted((ROOT / "crds").glob("*.yaml"))
    }
    return {**copies, **monitoring(), INSTALL: _HEADER + rendered("crds.keep=false")}


def monitoring() -> dict[Path, str]:
    """The alerts and the dashboard of all proxies, from the tables that those of a single one come from."""
    groups = [*alert_groups(namespace="", name=""), *operator_alert_groups()]
    return {
        CHART / "files/alerts.yaml": yaml.safe_dump({"groups": groups}, sort_keys=False, width=116),
        CHART / "files/dashboard.json": dashboard(namespace="", name=""),
    }


def outdated(files: dict[Path, str]) -> list[Path]:
    """The files whose text differs on disk, and copies of CRDs that no longer exist."""
    stray = [path for path in (CHART / "files/crds").glob("*") if path not in files]
    return [path for path, text in files.items() if not path.is_file() or path.read_text() != text] + stray


def main(arguments: list[str]) -> int:
    """Write the derived files, or with `--check` name those that are out of date."""
    if arguments not in ([], ["--check"]):
        print("usage: hack/install-yaml [--check]", file=sys.stderr)
        return 2
    if not arguments:
        _copy_definitions()
    stale = outdated(derived())
    if arguments and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        print(f"out of date: {names}; run hack/install-yaml and commit the result", file=sys.stderr)
        return 1
    if stale:
        INSTALL.parent.mkdir(exist_ok=True)
        INSTALL.write_text(derived()[INSTALL])
    return 0


def _copy_definitions() -> None:
    """Bring the copies up to date; they come first because the chart that is then rendered contains them."""
    folder = CHART / "files/crds"
    folder.mkdir(parents=True, exist_ok=True)
    sources = {source.name: source.read_text() for source in (ROOT / "crds").glob("*.yaml")}
    for stray in folder.glob("*"):
        if stray.name not in sources:
            stray.unlink()
    for name, text in sources.items():
        (folder / name).write_text(text)
    for path, text in monitoring().items():
        path.write_text(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
