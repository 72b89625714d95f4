"""A git server with one repository, over https, for whoever shows the token. Runs in a pod of the proxy's image.

Arguments: host name, folder with `tls.crt` and `tls.key`, file with the token, folder to make the repository in.
"""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 8443
REPOSITORY, TAG = "team/lib.git", "v1.0.0"


def make_repository(root: Path, host: str) -> None:
    """One commit with a tag, in a repository that git may be asked for."""
    tree = root / "tree"
    tree.mkdir(parents=True)
    (tree / "go.mod").write_text(f"module {host}/{REPOSITORY}\n\ngo 1.20\n")
    (tree / "lib.go").write_text("package lib\n")
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    for words in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "-m", "first"], ["tag", TAG]):
        subprocess.run(["git", "-c", "init.defaultBranch=main", *words], cwd=tree, check=True)
    (root / REPOSITORY).parent.mkdir(parents=True)
    subprocess.run(["git", "clone", "--quiet", "--bare", str(tree), str(root / REPOSITORY)], check=True)


class Handler(BaseHTTPRequestHandler):
    """Hands requests with the token to `git http-backend`."""

    root = Path()
    token = Path()

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _answer(self, body: bytes) -> None:
        if not self._is_known():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        variables = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=variables, stdout=subprocess.PIPE, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _is_known(self) -> bool:
        kind, _, sent = self.headers.get("Authorization", "").partition(" ")
        login = base64.b64decode(sent).decode() if kind == "Basic" else ""
        return login.partition(":")[2] == self.token.read_text().strip()


def main(host: str, tls: str, token: str, root: str) -> None:
    """Serve until the pod ends."""
    make_repository(Path(root), host)
    Handler.root, Handler.token = Path(root), Path(token)
    server = ThreadingHTTPServer(("", PORT), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{tls}/tls.crt", f"{tls}/tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
