"""What becomes of an answer that nobody reads, or that cannot be written."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from athens_cli.__main__ import main

RULES = "".join(f"  - {{pattern: example.com/m{number}, mode: maybe}}\n" for number in range(200))
POLICY = f"""\
apiVersion: athensproxy.dev/v1beta1
kind: DownloadPolicy
metadata: {{name: base, namespace: team-a}}
spec:
  proxySelector: {{}}
  rules:
{RULES}"""


@contextmanager
def nobody_reads() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@contextmanager
def no_space() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("command", [("completion", "bash"), ("policy", "lint"), ("policy", "lint", "-o", "json")])
@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        (nobody_reads, 141, ""),
        (no_space, 2, "kubectl-athens: writing the answer: No space left on device; see: kubectl athens --help\n"),
    ],
)
def test_an_answer_that_cannot_be_written_ends_the_command_in_a_way_of_its_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    place: Callable[[], AbstractContextManager[int]],
    code: int,
    said: str,
) -> None:
    """As those of other programs do in front of `head`: never Python's status 120, and no traceback."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    named = [str(policy)] if command[0] == "policy" else []
    with place() as descriptor, os.fdopen(descriptor, "w", closefd=False) as out:
        monkeypatch.setattr(sys, "argv", ["kubectl-athens", *command, *named])
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(SystemExit) as ended:
            main()
        out.flush()  # as the end of the process does it

    assert ended.value.code == code
    assert capsys.readouterr().err == said
