"""A validator hook on loopback whose answer depends on the module it is asked about; both proxies ask the same one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final


@dataclass(frozen=True)
class Verdict:
    """What the hook answers about one module."""

    status: int
    text: str = ""
    location: str = ""


ALLOWED: Final = Verdict(200)
VERDICTS: Final[Mapping[str, Verdict]] = {
    "example.com/m": Verdict(403, "the licence\nis not allowed"),
    "example.com/m/v2": Verdict(403),
    "example.com/Upper": Verdict(200, "allowed, but look at it"),
    "example.com/pre": Verdict(500, "broken"),
    "example.com/pseudo": Verdict(204),
    "example.com/zone": Verdict(307, location="/elsewhere"),
    "example.com/nope": Verdict(404),
}
"""By module path; every other module is allowed, and so is what is asked at the address of a redirect."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        verdict = ALLOWED if self.path == "/elsewhere" else VERDICTS.get(question["Module"], ALLOWED)
        self.send_response(verdict.status)
        if verdict.location:
            self.send_header("Location", verdict.location)
        if verdict.status != 204:
            self.send_header("Content-Length", str(len(verdict.text)))
        self.end_headers()
        self.wfile.write(verdict.text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing; the proxies' own logs tell what they asked."""


@contextmanager
def running() -> Iterator[str]:
    """The hook's address while it listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="validator-hook")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook"
        finally:
            server.shutdown()
            thread.join()
