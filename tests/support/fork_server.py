"""One program, imported once, that goes on in a new process for each request; started by `support.forked`.

    python fork_server.py MODULE     with a socket as standard input

A request is a JSON object (`argv`, `env`, `cwd`) with four descriptors: the three standard streams and a
socket for the answers, which are the id of the new process and, once that has ended, its exit code as `subprocess`
counts them. What the new process has from here is the imported modules; everything else is as `python -m MODULE`
finds it. The server ends with those who hold the other end of its socket.

This file is run by its path and imports nothing of the tests, so that the program cannot come to need them.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import selectors
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

REQUEST_BYTES: Final = 1 << 18
DESCRIPTORS: Final = 4


@dataclass(frozen=True)
class Running:
    """A process of this server.

    Attributes:
        pid: its id.
        ended: a descriptor that can be read once it has ended.
        client: who started it.
    """

    pid: int
    ended: int
    client: socket.socket

    def reap(self) -> None:
        """Tell its exit code to whom it concerns."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with suppress(BrokenPipeError):  # nobody waits for it any more
            self.client.send(str(code).encode())
        self.close()

    def close(self) -> None:
        """What is open because of it."""
        os.close(self.ended)
        self.client.close()


def begun(requests: socket.socket) -> dict[str, Any]:
    """Answer requests; returns in each new process, with what was asked for.

    Raises:
        SystemExit: nobody is left to ask.
    """
    selector = selectors.DefaultSelector()
    selector.register(requests, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if isinstance(key.data, Running):
                selector.unregister(key.fd)
                key.data.reap()
                continue
            message, descriptors, _, _ = socket.recv_fds(requests, REQUEST_BYTES, DESCRIPTORS)
            if not message:
                sys.exit()
            client = socket.socket(fileno=descriptors.pop())
            pid = os.fork()
            if pid == 0:
                client.close()
                close_all(selector)
                put_in_place(descriptors)
                return dict(json.loads(message))
            for descriptor in descriptors:
                os.close(descriptor)
            ended = os.pidfd_open(pid)
            selector.register(ended, selectors.EVENT_READ, Running(pid, ended, client))
            client.send(str(pid).encode())


def close_all(selector: selectors.BaseSelector) -> None:
    """Nothing of the server is open in a new process."""
    for key in list(selector.get_map().values()):
        if isinstance(key.data, Running):
            key.data.close()
        elif isinstance(key.fileobj, socket.socket):
            key.fileobj.close()
    selector.close()


def put_in_place(streams: list[int]) -> None:
    """Make these the standard streams."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)


def become(request: dict[str, Any]) -> None:
    """Give this process what an exec would have given it."""
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[0] = os.getcwd()
    sys.argv[1:] = request["argv"]


def main(module: str) -> None:
    """Import the program, serve, and be the program in each new process."""
    requests = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    put_in_place([os.open(os.devnull, os.O_RDONLY)])
    sys.path[0] = os.getcwd()  # not the folder of this file
    runpy.run_module(module, run_name="prepared")
    gc.collect()
    gc.freeze()  # a collection in a new process does not copy what all of them share
    become(begun(requests))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1])
