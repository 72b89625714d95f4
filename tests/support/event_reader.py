"""A reader of event streams for tests: `/-/events` of a running proxy, message by message."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

WAIT_S = 30.0


@dataclass
class EventReader:
    """An open stream."""

    response: HTTPResponse
    messages: list[dict[str, Any]] = field(default_factory=list)
    missed: list[dict[str, Any]] = field(default_factory=list)
    position: str = ""

    def read(self) -> bool:
        """Read one message or sign of life; False when the stream has ended."""
        kind, data = "", ""
        while True:
            line = self.response.readline().decode()
            if not line:
                return False
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                data = value
            elif name == "id":
                self.position = value
            elif not line.strip():
                break
        if kind == "missed":
            self.missed.append(json.loads(data))
        elif data:
            assert json.loads(data)["kind"] == kind
            self.messages.append(json.loads(data))
        return True

    def until(self, is_there: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Read until the messages so far are as wished."""
        deadline = time.monotonic() + WAIT_S
        while not is_there(self.messages):
            assert time.monotonic() < deadline, self.messages
            assert self.read(), ("the stream ended", self.messages)
        return self.messages

    def versions(self, count: int) -> list[str]:
        """`kind module@version` of the first messages."""
        return [f"{m['kind']} {m['module']}@{m['version']}" for m in self.until(lambda found: len(found) >= count)]


@contextmanager
def reading(url: str, query: str = "since=0", *, headers: Mapping[str, str] | None = None) -> Iterator[EventReader]:
    """The stream of a proxy."""
    with closing(HTTPConnection(urlsplit(url).netloc, timeout=WAIT_S)) as connection:
        connection.request("GET", f"{urlsplit(url).path}/-/events?{query}", headers=dict(headers or {}))
        with connection.getresponse() as response:  # of an answer that ends with its connection it holds the socket
            assert response.status == 200, response.read()
            assert response.getheader("Content-Type", "").startswith("text/event-stream")
            yield EventReader(response)
