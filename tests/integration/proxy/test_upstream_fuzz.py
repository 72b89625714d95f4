"""Whatever an upstream answers, clients get the protocol's words, and the store gets true versions or nothing."""

from __future__ import annotations

import io
import itertools
import json
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.living_folder import files_below
from support.modules_fixture import SampleModule, zip_bytes
from support.proxy_process import ModuleProxy, Settings, running

FILES = ("list", "v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip", "main.info")
STEM = "example.com/m0000"
"""Stands for the path of a module in the bodies; every path is as long, so that it can take its place in a zip."""
TRUE_NAME = f"{STEM}@v1.0.0/"
NUMBERS = itertools.count()
ASKED = ("@v/list", "@latest", "@v/main.info", "@v/v1.0.0.info", "@v/v1.0.0.mod", "@v/v1.0.0.zip")
# 429 is left out: it would rightly keep the proxy from asking this host again.
STATUSES = st.sampled_from([200] * 40 + [204, 206, 301, 304, 401, 403, 404, 410, 418, 500, 502, 503, 504])
TYPES = st.sampled_from(["text/plain", "text/html; charset=utf-8", "application/json", "x", ""])
TEXTS = st.text(max_size=12) | st.sampled_from(["v1.0.0", "v1.0.1", "main", "../../x", "-x", "2020-01-02T03:04:05Z"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
INFOS = st.dictionaries(st.sampled_from(["Version", "Time", "Origin", "Name"]), JSON | TEXTS, max_size=4)
NAMES = st.lists(
    st.sampled_from([TRUE_NAME, "go.mod", "/", "..", "a", "A", "\\", "\x01", "é", "con", "vendor/", "LICENSE", ":"]),
    max_size=4,
).map("".join)


@dataclass(frozen=True)
class Said:
    """One answer of the upstream."""

    status: int
    content_type: str
    body: bytes

    def about(self, path: str) -> Said:
        """The same about the module of this path."""
        return Said(self.status, self.content_type, self.body.replace(STEM.encode(), path.encode()))


@dataclass
class FuzzedUpstream:
    """A module proxy whose answers the test chooses; absent ones are 404."""

    answers: dict[str, Said] = field(default_factory=dict)
    url: str = ""


@st.composite
def mutated(draw: st.DrawFn, truth: bytes) -> bytes:
    """True bytes, some of them replaced, taken out or doubled."""
    data = bytearray(truth)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(data)


def archive(names: list[str]) -> bytes:
    """A zip of these names; what Python cannot write is an empty file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a name twice is one of the things to try
            return zip_bytes([(name, b"module example.com/any\n") for name in names])
    except (ValueError, UnicodeError):
        return b""


def bodies(name: str) -> st.SearchStrategy[bytes]:
    """Bodies of one file, from true to hopeless."""
    module = SampleModule(STEM, "v1.0.0", go_mod=b"module example.com/any\n")
    hopeless = st.binary(max_size=64) | st.sampled_from([b"[" * 20_000, b"9" * 5_000, b'{"Version":' * 2_000])
    match name.rpartition(".")[2]:
        case "info":
            made = st.one_of(INFOS, JSON).map(lambda value: json.dumps(value).encode())
            return mutated(module.info) | made | hopeless
        case "mod":
            return mutated(module.mod) | hopeless
        case "zip":
            return mutated(module.zip) | st.lists(NAMES, max_size=4).map(archive) | hopeless
        case _:
            return st.lists(TEXTS, max_size=6).map(lambda lines: "\n".join(lines).encode()) | hopeless


UPSTREAMS = st.fixed_dictionaries({name: st.builds(Said, STATUSES, TYPES, bodies(name)) for name in FILES})
TRUTH = SampleModule(STEM, "v1.0.0")


def said(**bodies: bytes) -> dict[str, Said]:
    """A true upstream but for these bodies, by the last word of the file's name."""
    true = {"list": b"v1.0.0\n", "info": TRUTH.info, "mod": TRUTH.mod, "zip": TRUTH.zip}
    by_name = dict(zip(FILES, ("list", "info", "mod", "zip", "info"), strict=True))
    return {name: Said(200, "text/plain", (true | bodies)[kind]) for name, kind in by_name.items()}


# What breaks parsers is rare among made-up bodies, so it is always tried.
WORST = [
    {"info": b"[" * 20_000},
    {"info": b'{"Version":' * 2_000},
    {"info": b"[]"},
    {"info": b'{"Version":["v1.0.0"],"Time":1}'},
    {"info": b'{"Version":"v1.0.0","Time":"0000-00-00T00:00:00Z","Origin":[1]}'},
    {"info": b'{"Version":"v1.0.0","Origin":{"URL":"http://[","VCS":null}}'},
    {"info": b"\xff\xfe{}"},
    {"list": b"\xff\nv1.0.0 x\x00\n" + b"v" + b"9" * 5_000 + b".0.0\n"},
    {"mod": b"module \xff\n"},
    {"mod": b'module "' + b"x" * 5_000},
    {"zip": b"PK\x05\x06" + b"\xff" * 18},
    {"zip": TRUTH.zip[:-22] + b"PK\x05\x06" + bytes(4) + b"\xff" * 14},
]


def worst(test: Callable[..., None]) -> Callable[..., None]:
    """The test with every one of `WORST` as an example."""
    for bodies in WORST:
        test = example(answers=said(**bodies))(test)
    return test


@pytest.fixture(scope="module")
def upstream() -> Iterator[FuzzedUpstream]:
    """The upstream, on a thread of its own."""
    fuzzed = FuzzedUpstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            said = fuzzed.answers.get(self.path.lstrip("/"), Said(404, "text/plain", b"not found: nothing here"))
            self.send_response(said.status)
            self.send_header("Content-Type", said.content_type)
            has_body = said.status not in (204, 304)
            if has_body:
                self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body if has_body else b"")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: hypothesis shows what was answered."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fuzzed.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield fuzzed
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def proxy(upstream: FuzzedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleProxy]:
    """Our proxy in front of it."""
    with running(tmp_path_factory.mktemp("fuzzed"), Settings(upstream.url)) as started:
        yield started


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@worst
@given(answers=UPSTREAMS)
def test_no_answer_of_an_upstream_is_an_error_of_ours(
    answers: dict[str, Said], upstream: FuzzedUpstream, proxy: ModuleProxy
) -> None:
    path = f"example.com/m{next(NUMBERS):04}"
    upstream.answers = {f"{path}/@v/{name}": answer.about(path) for name, answer in answers.items()}

    told = {name: proxy.ask(f"/{path}/{name}") for name in ASKED}

    assert {answer.status for answer in told.values()} <= {200, 403, 404, 502, 504}
    failures = [answer.text for answer in told.values() if answer.status != 200]
    assert all(text.endswith("\n") and text[:-1].isprintable() for text in failures)
    if told["@v/v1.0.0.zip"].status == 200:
        assert is_of_module(told["@v/v1.0.0.zip"].body, f"{path}@v1.0.0/")
    assert ("Traceback" in proxy.process.logged(), outside(proxy)) == (False, [])
    assert set(versions(proxy.store / path)) <= {"v1.0.0"}


def is_of_module(data: bytes, prefix: str) -> bool:
    """Whether every entry of the zip lies in the folder of the version, and can be read."""
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return opened.testzip() is None and all(name.startswith(prefix) for name in opened.namelist())


def versions(folder: Path) -> list[str]:
    """The versions that a module's folder holds."""
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def outside(proxy: ModuleProxy) -> list[str]:
    """Files that are neither in the store nor the log, and entries of the store that nobody asked for."""
    root = proxy.store.parent
    files = [str(path.relative_to(root)) for path in files_below(root)]
    known = ("store/.athens/", "store/example.com/", "athens-proxy.log")
    return [name for name in files if not name.startswith(known)]
