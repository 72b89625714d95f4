"""Clients that never stop asking a proxy, and tell each second how they fared. Runs in a pod of the proxy's image.

Arguments: the proxy's address, a module with its version, another one whose zip is large. Three clients: small requests
on connections of their own, `go mod download` with an empty cache, and a slow reader of the large zip.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable

SLOWLY_S = 12.0
BETWEEN_DOWNLOADS_S = 0.2  # else the client, not the proxy, has the machine
CHUNK = 64 * 1024


class Tally:
    """What was asked, and what failed."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.failed: list[str] = []

    def keep_on(self, name: str, act: Callable[[], None]) -> None:
        """Do it again and again, in a thread of its own."""

        def loop() -> None:
            while True:
                try:
                    act()
                    self.done[name] += 1
                except (OSError, ValueError, subprocess.CalledProcessError) as error:
                    said = getattr(error, "output", None) or b""
                    text = said.decode() if isinstance(said, bytes) else str(said)
                    self.failed.append(f"{time.strftime('%X')} {name}: {type(error).__name__}: {error} {text[-300:]}")
                    time.sleep(0.2)

        threading.Thread(target=loop, daemon=True).start()


def small(address: str, module: str, version: str) -> None:
    """Two files of a version that is stored, so that no upstream is asked."""
    for path in (f"@v/{version}.info", f"@v/{version}.mod"):
        with urllib.request.urlopen(f"{address}/{module}/{path}", timeout=30) as answer:
            answer.read()
    time.sleep(0.02)


def slow(address: str, module: str, version: str) -> None:
    """The zip, spread over a while; a cut answer is an error."""
    began, read, size = time.monotonic(), 0, -1
    try:
        with urllib.request.urlopen(f"{address}/{module}/@v/{version}.zip", timeout=60) as answer:
            size = int(answer.headers["Content-Length"])
            pause_s = SLOWLY_S * CHUNK / size
            while chunk := answer.read(CHUNK):
                read += len(chunk)
                time.sleep(pause_s)
    except OSError as error:
        raise ValueError(f"{error} after {time.monotonic() - began:.1f} s, {read} of {size} bytes") from error
    if read != size:
        raise ValueError(f"{read} of {size} bytes")


def download(address: str, wanted: str) -> None:
    """What a build does."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"HOME": folder, "GOPATH": f"{folder}/go", "GOFLAGS": "-modcacherw -mod=mod", "GOSUMDB": "off"}
        environ = {**os.environ, **places, "GOPROXY": address, "GOENV": "off"}
        command = ["go", "mod", "download", wanted]
        subprocess.run(command, cwd=folder, env=environ, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(BETWEEN_DOWNLOADS_S)


def main(address: str, wanted: str, large: str) -> None:
    """Ask until the pod ends."""
    tally = Tally()
    tally.keep_on("small", lambda: small(address, *wanted.split("@")))
    tally.keep_on("download", lambda: download(address, wanted))
    tally.keep_on("slow zip", lambda: slow(address, *large.split("@")))
    while True:
        print(json.dumps({"done": tally.done, "failed": tally.failed[:5], "failures": len(tally.failed)}), flush=True)
        time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
