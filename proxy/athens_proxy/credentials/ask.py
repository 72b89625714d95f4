"""The program that git, ssh and go run to get a credential: it asks the proxy and hands on the answer.

    ask.py git FOLDER RUN get|store|erase     git's credential helper
    ask.py go FOLDER RUN [URL]                a command of Go's GOAUTH
    ask.py ssh FOLDER RUN OTHERS ARGUMENTS... in the place of ssh; OTHERS is the command for other hosts

FOLDER has the proxy's socket. The program imports nothing of this distribution and next to nothing else, because git
waits for it several times in a fetch: `socket` and `json` alone would triple its cost. What it prints to its error
output is shown to the developer and has no secret.

Questions and answers are lines `name=value`, as git's own are.

Source: https://git-scm.com/docs/gitcredentials (custom helpers), https://git-scm.com/docs/git (GIT_SSH_COMMAND),
`go help goauth`
"""

from __future__ import annotations

import _socket
import os
import sys

SOCKET = "ask"
"""Name of the socket in its folder."""

_TAKES_VALUE = frozenset("BbcDEeFIiJLlmOopQRSWw")
_TIMEOUT_S = 90.0
_CHUNK_BYTES = 65536

Lines = list[tuple[str, str]]


def main(argv: list[str]) -> int:
    """Run; returns the exit status."""
    kind, folder, run, *rest = argv
    if kind == "git":
        return _git(folder, run, rest)
    if kind == "go":
        return _go(folder, run, rest)
    return _ssh(folder, run, rest)


def parsed(text: str) -> Lines:
    """Names and values of lines; what is no such line does not count."""
    pairs = (line.partition("=") for line in text.split("\n"))
    return [(name, value) for name, equals, value in pairs if equals]


def _answer(folder: str, question: dict[str, str]) -> Lines:
    """The proxy's answer; what went wrong is told to the developer."""
    text = "".join(f"{name}={value}\n" for name, value in question.items() if "\n" not in value)
    data = b""
    try:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        connection.settimeout(_TIMEOUT_S)
        # By the folder's number, because the address of a socket may have no more than 107 characters.
        connection.connect(f"/proc/self/fd/{os.open(folder, os.O_PATH)}/{SOCKET}")
        connection.sendall(f"{text}\n".encode("utf-8", "surrogateescape"))
        while chunk := connection.recv(_CHUNK_BYTES):
            data += chunk
    except OSError:
        data = b"error=the proxy that knows the credentials does not answer\n"
    answer = parsed(data.decode("utf-8", "surrogateescape"))
    for name, value in answer:
        if name == "error":
            sys.stderr.write(f"athens-proxy: {value}\n")
    return answer


def _git(folder: str, run: str, rest: list[str]) -> int:
    fields = dict(parsed(sys.stdin.read()))
    known = {name: fields.get(name, "") for name in ("protocol", "host", "path")}
    answer = _answer(folder, {"ask": "git", "run": run, "operation": (rest or [""])[0], **known})
    sys.stdout.write("".join(f"{name}={value}\n" for name, value in answer if name != "error"))
    return 0


def _go(folder: str, run: str, rest: list[str]) -> int:
    status = sys.stdin.readline().split(" ")[1:2] if rest else []  # of the answer to the first attempt
    answer = _answer(folder, {"ask": "go", "run": run, "url": (rest or [""])[0], "status": (status or [""])[0]})
    sys.stdout.write("".join(f"{value}\n" for name, value in answer if name == "line"))
    return 0


def _ssh(folder: str, run: str, rest: list[str]) -> int:
    others, *rest = rest
    options, target, command = _parted(rest)
    user, _, host = target.rpartition("@")
    answer = _answer(folder, {"ask": "ssh", "run": run, "host": host, "command": " ".join(command)})
    names = dict(answer)
    if "error" in names:
        return 255
    if "username" not in names:
        os.execvp("sh", ["sh", "-c", f'exec {others} "$@"', "ssh", *rest])  # noqa: S606 - as git itself does
    arguments = [value for name, value in answer if name == "argument"]
    login = [] if user else ["-l", names["username"]]
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
