"""The operator as a real process against some API server, with its log kept for failing tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.forked import Child
from support.kube_api import until
from support.ports import free_port
from support.processes import begun, inherited

STOP_WITHIN_S = 20
END_WITHIN_S = 60  # by itself, once it has started and seen why it must not go on
PROBE_S = 30.0


class OperatorProcess:
    """One replica.

    Args:
        kubeconfig: which API server, as whom.
        log: where its log goes; appended to over restarts.
        environ: further variables, without their prefix.
    """

    def __init__(self, kubeconfig: Path, log: Path, **environ: str) -> None:
        self.log = log
        self.port = free_port()
        self._environ = {
            **inherited("PATH", "LANG"),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),  # the same code as the tests
            "KUBECONFIG": str(kubeconfig),
            **{f"ATHENS_OPERATOR_{name}": value for name, value in environ.items()},
            "ATHENS_OPERATOR_HEALTH_PORT": str(self.port),
        }
        self._process: Child | None = None
        self._excused: list[tuple[int, int]] = []

    def start(self, *, own_image: bool = False) -> OperatorProcess:
        """Start it, as `support.processes.started` does; returns before it is ready."""
        with self.log.open("ab") as log:
            words = [sys.executable, "-m", "athens_operator"]
            self._process = begun(words, env=self._environ, cwd=self.log.parent, log=log, own_image=own_image)
        return self

    def until_leading(self, *, within_s: float = 40.0) -> OperatorProcess:
        """Wait until it writes."""
        until(lambda: self.metric("leader") == 1, "the operator leads", within_s=within_s, context=self.tail)
        return self

    def stop(self) -> int:
        """End it as the kubelet would; its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """End it as a crash would."""
        return self._end(signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code, once it ends by itself."""
        assert self._process is not None
        code = self._process.wait(timeout=END_WITHIN_S)
        self._process = None
        return code

    def has_ended(self) -> bool:
        """Whether it ended by itself."""
        return self._process is None or self._process.poll() is not None

    def restart(self) -> None:
        """Stop it and wait until it leads again."""
        self.stop()
        self.start().until_leading()

    def probe(self, path: str) -> tuple[int, str]:
        """Status and text of one of its own endpoints; 0 while it does not listen."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PROBE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str, labels: str = "") -> float | None:
        """The value of one of its metrics, the name without the common prefix; None when it is not there."""
        wanted = f"athens_operator_{name}{labels} "
        lines = (line for line in self.probe("/metrics")[1].splitlines() if line.startswith(wanted))
        return next((float(line.removeprefix(wanted)) for line in lines), None)

    def writes(self) -> float:
        """Requests that can change something, since it started."""
        lines = self.probe("/metrics")[1].splitlines()
        verbs = ('verb="PATCH"', 'verb="POST"', 'verb="DELETE"')
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.startswith("athens_operator_api_requests_total{") and any(verb in line for verb in verbs)
        )

    def cpu_s(self) -> float:
        """Seconds of processor time that it has used since it started."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Memory that it has in use now; a forked one would not show what it shares."""
        assert isinstance(self._process, subprocess.Popen)
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def tail(self, lines: int = 25) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def records(self) -> list[dict[str, object]]:
        """Its log so far, as the objects that it is made of."""
        whole, _, _ = self.log.read_text().rpartition("\n")  # the last line may be half written
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    @contextmanager
    def excused(self) -> Iterator[None]:
        """While an API server starts: it forbids everybody everything until it has read the roles."""
        begin = self.log.stat().st_size
        try:
            yield
        finally:
            self._excused.append((begin, self.log.stat().st_size))

    def judged_lines(self) -> list[str]:
        """Its log without what was excused."""
        written, kept, end = self.log.read_bytes(), b"", 0
        for begin, next_end in self._excused:
            kept, end = kept + written[end:begin], next_end
        return (kept + written[end:]).decode(errors="replace").splitlines()

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        code = self._process.wait(timeout=STOP_WITHIN_S)
        self._process = None
        return code
