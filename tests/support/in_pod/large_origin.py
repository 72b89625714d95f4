"""A module proxy with one module whose zip is large. Runs in a pod of the proxy's image.

Arguments: the module path, its version, the size of the zip in MiB, the port to listen on.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MIB = 1024 * 1024


def make_files(folder: Path, module: str, version: str, size_mib: int) -> None:
    """The files of the version by their names in the protocol; the zip holds noise, which nothing makes smaller."""
    (folder / f"{version}.info").write_text(json.dumps({"Version": version}))
    (folder / f"{version}.mod").write_text(f"module {module}\n")
    with zipfile.ZipFile(folder / f"{version}.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{module}@{version}/go.mod", f"module {module}\n")
        for number in range(size_mib // 10):
            archive.writestr(f"{module}@{version}/noise{number}.bin", os.urandom(10 * MIB))


class Handler(BaseHTTPRequestHandler):
    """Answers for the files, and 404 for everything else."""

    folder = Path()
    prefix = ""

    def do_GET(self) -> None:
        file = self.folder / self.path.removeprefix(self.prefix)
        if not self.path.startswith(self.prefix) or not file.is_file():
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(file.stat().st_size))
        self.end_headers()
        with file.open("rb") as source:
            shutil.copyfileobj(source, self.wfile, MIB)


def main(module: str, version: str, size_mib: str, port: str) -> None:
    """Serve until the pod ends."""
    folder = Path(os.environ["TMPDIR"])
    make_files(folder, module, version, int(size_mib))
    Handler.folder, Handler.prefix = folder, f"/{module}/@v/"
    ThreadingHTTPServer(("", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
