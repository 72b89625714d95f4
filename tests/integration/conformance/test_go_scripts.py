"""Go's own module script tests pass when their module proxy is ours, in front of Go's test proxy.

`go_scripts.toml` says for every script whether it applies and if not why; the counts of a run are in its report.
Scripts that ask a module proxy for nothing pass in front of ours as well, and two passages of the others that take long
do so; GO_SCRIPTS=all runs them, too.
"""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import go_test_proxy as gotest
from support.go_client import go_env
from support.go_test_proxy import GoTestProxy, Passage
from support.proxy_process import ModuleProxy, Settings
from support.scratch import scratch_folder

TABLE = tomllib.loads(Path(__file__).with_name("go_scripts.toml").read_text())
RUNS_ALL = os.environ.get("GO_SCRIPTS") == "all"
KNOWN_NOT_TO_APPLY = {
    name for group in TABLE["cannot_apply"] for name in group["scripts"] if not (RUNS_ALL and group.get("asks_nothing"))
}
THROUGH_THE_PROXY = {*TABLE["through_the_proxy"], *TABLE["others_through_the_proxy"]}
ASKING_NOTHING = [
    Passage(row["script"], row["first"], row.get("behind", "")) for row in TABLE["passages_that_ask_nothing"]
]
INSTALLED = sorted(path.stem for path in (gotest.source() / "testdata" / "script").glob("*.txt"))
WANTED = [
    name
    for name in INSTALLED
    if name in THROUGH_THE_PROXY or (name.startswith("mod_") and name not in KNOWN_NOT_TO_APPLY)
]
DEADLINE_S = 900.0  # some ten times what they take on two cores of their own
# The first test of a fresh machine also builds the test binary of cmd/go.
pytestmark = pytest.mark.timeout(DEADLINE_S + 300)
RESULT = re.compile(r"^    --- (PASS|FAIL|SKIP): TestScript/(\S+) ", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """All wanted scripts, run once.

    Attributes:
        process: what the run printed.
        verdicts: PASS, FAIL or SKIP for each script that came to its end.
    """

    process: subprocess.CompletedProcess[str]
    verdicts: dict[str, str]


@pytest.fixture(scope="module")
def ran(go_test_proxy: GoTestProxy, start_proxy: Callable[[str, Settings], ModuleProxy]) -> Run:
    front = start_proxy("scripts", Settings(go_test_proxy.url, env={"ATHENS_SUM_DBS": f"https://{gotest.SUMDB_NAME}"}))
    with scratch_folder("scripts") as folder:
        process = gotest.run_scripts(
            WANTED,
            front=front.url,
            upstream=go_test_proxy.url.removesuffix("/mod"),
            folder=folder,
            deadline_s=DEADLINE_S,
            without=() if RUNS_ALL else ASKING_NOTHING,
        )
    return Run(process, {script: verdict for verdict, script in RESULT.findall(process.stdout)})


@pytest.mark.parametrize("name", WANTED)
def test_a_module_script_of_go_passes_through_our_proxy(name: str, ran: Run) -> None:
    assert ran.verdicts.get(name) == "PASS", told(name, ran.process)


def test_every_script_of_this_go_release_is_judged() -> None:
    """The lists were made with Go 1.26; with another release the scripts in no list just run."""
    asking_nothing = {name for group in TABLE["cannot_apply"] if group.get("asks_nothing") for name in group["scripts"]}
    unjudged = sorted(set(WANTED) - THROUGH_THE_PROXY - asking_nothing)

    assert unjudged == [] or not go_env("GOVERSION").startswith("go1.26")


@pytest.mark.parametrize("passage", ASKING_NOTHING, ids=lambda passage: passage.script)
def test_only_the_passage_that_asks_nothing_is_left_out(passage: Passage) -> None:
    text = (gotest.source() / "testdata" / "script" / f"{passage.script}.txt").read_text()

    left_out = set(text.splitlines()) - set(passage.cut(text).splitlines())

    assert passage.first in left_out or not go_env("GOVERSION").startswith("go1.26")
    assert not any(line.startswith("-- ") for line in left_out)
    assert passage.behind not in left_out - {""}


def test_no_script_is_in_two_lists() -> None:
    assert KNOWN_NOT_TO_APPLY.isdisjoint(THROUGH_THE_PROXY)


def told(name: str, ran: subprocess.CompletedProcess[str]) -> str:
    """What the run printed about one script."""
    blocks = re.split(r"(?m)^=== (?:RUN|NAME|CONT|PAUSE) +", ran.stdout)
    own = [block for block in blocks if block.startswith(f"TestScript/{name}\n")]
    return "\n".join(own)[-6000:] or ran.stderr[-3000:]
