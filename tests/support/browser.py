"""Debian's Chromium without a window, driven over its DevTools protocol; nothing leaves the loopback.

Source: https://chromedevtools.github.io/devtools-protocol/ (Page, Runtime, Input, Target)
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp

PROGRAMS: Final = ("chromium-headless-shell", "chromium")
START_S: Final = 60.0
ANSWER_S: Final = 60.0
_KEYS: Final = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    " ": (32, " "),
}
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # the tests run as root in containers; the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)


class BrowserError(Exception):
    """The browser did not start or refused a command."""


class Tab:
    """One page in the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last = 0
        self._loaded = asyncio.Event()
        self.console: list[str] = []
        self.requested: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def open(self, url: str) -> None:
        """Load an address; returns after its load event."""
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.send(f"{domain}.enable")
        self._loaded.clear()
        await self.send("Page.navigate", url=url)
        async with asyncio.timeout(ANSWER_S):
            await self._loaded.wait()

    async def run(self, script: str) -> Any:
        """The value of an expression in the page; promises are waited for."""
        answer = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(str(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    async def until(self, script: str) -> None:
        """Return once an expression is true in the page; it is asked with every frame, not now and then."""
        await self.run(
            "new Promise((done, failed) => { const begun = Date.now(); (function look() {"
            f" if ({script}) done(true);"
            f" else if (Date.now() - begun > {ANSWER_S * 1000}) failed(new Error(document.body.innerText));"
            " else setTimeout(look, 10) })() })"
        )

    async def press(self, key: str) -> None:
        """Press and let go a key."""
        code, text = _KEYS[key]
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        fields = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        await self.send("Input.dispatchKeyEvent", **down, **fields)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **fields)

    async def type(self, text: str) -> None:
        """Write into what has the focus."""
        await self.send("Input.insertText", text=text)

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its result."""
        self._last += 1
        number = self._last
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(ANSWER_S + 10):
            answer = await self._answers[number]
        del self._answers[number]
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def close(self) -> None:
        """Stop listening."""
        await self._socket.close()
        await self._reading

    async def _read(self) -> None:
        async for message in self._socket:
            event = json.loads(message.data)
            if event.get("id") in self._answers:
                self._answers[event["id"]].set_result(event)
            elif event.get("method") == "Page.loadEventFired":
                self._loaded.set()
            elif event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
                self.console.append(json.dumps(event["params"])[:1000])
            elif event.get("method") == "Network.requestWillBeSent":
                self.requested.append(event["params"]["request"]["url"])


@asynccontextmanager
async def browser() -> AsyncIterator[Tab]:
    """An empty tab of a new browser; both end with the context."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise BrowserError("no Chromium is installed; run hack/servers integration")
    profile = await asyncio.to_thread(tempfile.mkdtemp, prefix="browser-")
    process = await asyncio.create_subprocess_exec(
        program,
        *_FLAGS,
        f"--user-data-dir={profile}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # what is on the path is a script that starts the browser
    )
    try:
        port = await _port(Path(profile), process)
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                address = (await answer.json())["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                tab = Tab(socket)
                try:
                    yield tab
                finally:
                    await tab.close()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its profile is thrown away
        await process.wait()
        await asyncio.to_thread(shutil.rmtree, profile, ignore_errors=True)


async def _port(profile: Path, process: asyncio.subprocess.Process) -> int:
    """The port that the browser writes down once it listens."""
    file = profile / "DevToolsActivePort"
    async with asyncio.timeout(START_S):
        while True:
            if process.returncode is not None:
                raise BrowserError(f"Chromium ended with {process.returncode}")
            lines = await asyncio.to_thread(_lines, file)
            if len(lines) > 1:
                return int(lines[0])
            await asyncio.sleep(0.02)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
