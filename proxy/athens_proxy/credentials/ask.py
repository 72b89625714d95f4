"""The program that git, ssh and go run to get a credential: it asks the proxy and hands on the answer.

    ask.py git FOLDER RUN get|store|erase     git's credential helper
    ask.py go FOLDER RUN [URL]                a command of Go's GOAUTH
    ask.py ssh FOLDER RUN OTHERS ARGUMENTS... in the place of ssh; OTHERS is the command for other hosts

FOLDER has the proxy's socket. The program imports nothing of this distribution and few modules, because git waits for
it. What it prints to its error output is shown to the developer and has no secret.

Source: https://git-scm.com/docs/gitcredentials (custom helpers), https://git-scm.com/docs/git (GIT_SSH_COMMAND),
`go help goauth`
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys

SOCKET = "ask"
"""Name of the socket in its folder."""

_TAKES_VALUE = frozenset("BbcDEeFIiJLlmOopQRSWw")
_TIMEOUT_S = 90.0
_CHUNK_BYTES = 65536


def main(argv: list[str]) -> int:
    """Run; returns the exit status."""
    kind, folder, run, *rest = argv
    if kind == "git":
        return _git(folder, run, rest)
    if kind == "go":
        return _go(folder, run, rest)
    return _ssh(folder, run, rest)


def _answer(folder: str, question: dict[str, str]) -> dict[str, object]:
    """The proxy's answer; what went wrong is told to the developer, and is no answer."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT_S)
            # By the folder's number, because the address of a socket may have no more than 107 characters.
            connection.connect(f"/proc/self/fd/{os.open(folder, os.O_PATH)}/{SOCKET}")
            connection.sendall(json.dumps(question).encode() + b"\n")
            data = b""
            while chunk := connection.recv(_CHUNK_BYTES):
                data += chunk
        answer = json.loads(data)
    except (OSError, ValueError):
        answer = {"error": "the proxy that knows the credentials does not answer"}
    if answer.get("error"):
        print(f"athens-proxy: {answer['error']}", file=sys.stderr)  # noqa: T201 - the way to whoever ran git
    return answer  # type: ignore[no-any-return]


def _git(folder: str, run: str, rest: list[str]) -> int:
    fields = dict(line.split("=", 1) for line in sys.stdin.read().splitlines() if "=" in line)
    known = {name: fields.get(name, "") for name in ("protocol", "host", "path")}
    answer = _answer(folder, {"ask": "git", "run": run, "operation": (rest or [""])[0], **known})
    for name in ("username", "password", "quit"):
        if answer.get(name):
            sys.stdout.write(f"{name}={answer[name]}\n")
    return 0


def _go(folder: str, run: str, rest: list[str]) -> int:
    status = sys.stdin.readline().split(" ")[1:2] if rest else []  # of the answer to the first attempt
    answer = _answer(folder, {"ask": "go", "run": run, "url": (rest or [""])[0], "status": (status or [""])[0]})
    sys.stdout.write(str(answer.get("text", "")))
    return 0


def _ssh(folder: str, run: str, rest: list[str]) -> int:
    others, *rest = rest
    options, target, command = _parted(rest)
    user, _, host = target.rpartition("@")
    answer = _answer(folder, {"ask": "ssh", "run": run, "host": host, "path": _path(command)})
    if answer.get("error"):
        return 255
    if not answer.get("entry"):
        os.execvp("sh", ["sh", "-c", f'exec {others} "$@"', "ssh", *rest])  # noqa: S606 - as git itself does
    arguments = [str(argument) for argument in answer["arguments"]]  # type: ignore[attr-defined]
    login = [] if user else ["-l", str(answer["username"])]
    os.execvp("ssh", ["ssh", *options, *arguments, *login, target, *command])  # noqa: S606


def _parted(rest: list[str]) -> tuple[list[str], str, list[str]]:
    """The options, the host and the command of ssh's arguments."""
    index = 0
    while index < len(rest) and rest[index].startswith("-") and rest[index] != "--":
        index += 2 if len(rest[index]) == 2 and rest[index][1] in _TAKES_VALUE else 1
    after = rest[index:]
    if after[:1] == ["--"]:
        after = after[1:]
    return rest[:index], (after or [""])[0], after[1:]


def _path(command: list[str]) -> str:
    """The repository in git's or hg's remote command."""
    try:
        words = shlex.split(" ".join(command))
    except ValueError:
        return ""
    if "-R" in words[:-1]:
        return words[words.index("-R") + 1]
    return words[-1] if len(words) > 1 else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
