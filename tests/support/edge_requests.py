"""Requests at the edges of the protocol and what our proxy answers: the numbered rows of the edge table, as data.

A row's number names the rule; rows with one number are variants of it. The rules: a path that is no module is 404 and
never an error, nothing is ever redirected, a wrong spelling is never another module, failures say why in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from support.exchange import basic_auth
from support.sample_modules import CHECK_V1_PSEUDO, PSEUDO

M = "/example.com/m"
GIT = "/github.com/acme"
ALL_NUMBERS = frozenset(range(1, 63))


@dataclass(frozen=True)
class Want:
    """What an answer must be.

    Attributes:
        status: the allowed statuses.
        body: a regular expression that the whole body matches, None for any.
        media: the media type, "" for any.
        headers: header name in lower case to a regular expression of its whole value.
    """

    status: tuple[int, ...]
    body: str | None = None
    media: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Edge:
    """One request and its answer.

    Attributes:
        number: the row of the edge table.
        target: the raw target; `{tip}`, `{tip11}`, `{tip13}` and `{tagless}` stand for commit hashes.
        want: the answer.
        site: which proxy is asked (see `sites` of the test).
        method: the request method.
        send: request headers.
    """

    number: int
    target: str
    want: Want
    site: str = "tree"
    method: str = "GET"
    send: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A readable test id."""
        shown = self.target if len(self.target) < 90 else f"{self.target[:40]}...({len(self.target)})"
        return f"{self.number}-{self.site}-{self.method}-{shown}"


NOT_FOUND = Want((404,), r"not found: [^\n]+\n?", "text/plain", {"content-type": r"text/plain; charset=utf-8"})
OK = Want((200,))
IMMUTABLE = Want((200,), headers={"cache-control": r".*max-age=(\d{6,}).*", "etag": r'"[^"]+"'})


def version_info(version: str) -> Want:
    """A `.info` that names this version."""
    escaped = version.replace(".", r"\.").replace("+", r"\+")
    return Want((200,), r'(?s)\{.*"Version":\s*"' + escaped + r'".*\}\s*', "application/json")


def missing(number: int, *targets: str, site: str = "tree") -> tuple[Edge, ...]:
    """Requests that all answer 404 with a reason."""
    return tuple(Edge(number, target, NOT_FOUND, site) for target in targets)


SHORT_LIVED = {"cache-control": r".*max-age=([0-9]|[1-5][0-9]|60)\b.*|.*no-(store|cache).*"}
NO_STORE = {"cache-control": r".*no-store.*"}

PATHS = (
    Edge(1, "/", OK),
    Edge(1, "/", Want((200,), ""), method="HEAD"),
    *missing(2, "/favicon.ico", M, f"{M}/@", f"{M}/@v", f"{M}/@v/"),
    *missing(3, "/github.com/@v/list", "/github.com/u/@v/list"),
    *missing(4, f"{M}/@v/list/", f"{M}/@latest/"),
    *missing(5, "/foobar/@v/list"),
    *missing(6, "/Example.com/m/@v/list", "/github.com/Azure/x/@v/list"),
    *missing(6, "/github.com/Azure/x/@latest", "/github.com/Azure/x/@v/v1.0.0.info"),
    Edge(7, "/github.com/%21azure/x/@v/list", Want((200,), "v1.0.0\n?")),
    Edge(7, "/github.com/!azure/x/@v/list", Want((200,), "v1.0.0\n?")),
    *missing(8, "/github.com/%2521azure/x/@v/list"),
    *missing(9, *(f"/github.com/{bad}/x/@v/list" for bad in ("!Azure", "!!azure", "a!", "!1a", "!_a"))),
    Edge(10, "/github.com/!azure/x/@v/v1.0.0.mod", OK),
    *missing(10, "/github.com/azure/x/@v/v1.0.0.mod", "/github.com/azure/x/@v/list"),
    *missing(11, "/example.com%2Fm/@v/list", "/example.com%5Cm/@v/list", f"{M}%00/@v/list", f"{M}%0A/@v/list"),
    *missing(12, f"/{M}/@v/list", "/example.com//m/@v/list"),
    *missing(13, "/example.com/a/../m/@v/list", "/example.com/a/%2e%2e/m/@v/list", "/example.com/./m/@v/list"),
    *missing(14, *(f"/{bad}/@v/list" for bad in (".x.y/m", "x.y/.git", "x.y/a.", "-x.y/a"))),
    *missing(15, *(f"/x.y/z/{bad}/@v/list" for bad in ("v0", "v1", "v02", "v2.0"))),
    Edge(16, f"{M}/v2/@v/list", Want((200,), "v2.0.0\nv2.0.1\n?")),
    *missing(16, "/x.y/z/v2/@v/list"),
    *missing(17, "/gopkg.in/yaml/@v/list", "/gopkg.in/yaml.v02/@v/list"),
    *missing(18, *(f"/x.y/{bad}/@v/list" for bad in ("aux.foo", "com1", "z~1", "%C3%A9"))),
    *missing(19, "/x...y/z/@v/list", "/example.com/.../@v/list"),
    Edge(20, f"/example.com/{'a' * 8200}/@v/list", Want((400, 414))),
)

VERSIONS = (
    *missing(21, *(f"{M}/@v/{bad}" for bad in ("v1.0.0", "foo.bar"))),
    *missing(21, *(f"{M}/@v/v1.0.0.{bad}" for bad in ("ziphash", "lock", "partial", "tmp"))),
    *missing(22, f"{M}/@v/.info"),
    *missing(23, *(f"{M}/@v/{bad}.info" for bad in ("latest", "upgrade", "patch"))),
    Edge(24, f"{M}/@v/main.info", Want((200,), version_info(PSEUDO).body, "application/json", SHORT_LIVED)),
    *missing(
        25, *(f"{M}/@v/{bad}" for bad in ("main.mod", "main.zip", "v1.zip", "v1.0.0+meta.zip", "v1.0.0+meta.mod"))
    ),
    Edge(26, f"{M}/@v/v1.info", Want((200, 404))),
    Edge(26, f"{M}/@v/v1.2.info", Want((200, 404))),
    Edge(26, f"{GIT}/widget/@v/v1.info", Want((200, 404)), "git"),
    Edge(27, f"{GIT}/widget/@v/v1.2.3+meta.info", OK, "git"),
    Edge(28, f"{GIT}/inc/@v/v2.0.0.info", version_info("v2.0.0+incompatible"), "git"),
    *missing(28, f"{GIT}/inc/@v/v2.0.0.mod", f"{GIT}/inc/@v/v2.0.0.zip", site="git"),
    *missing(29, f"{GIT}/major/@v/v2.0.0.info", site="git"),
    *missing(30, f"{M}/@v/v1.0.0+incompatible.info"),
    *missing(30, f"{GIT}/widget/@v/v1.0.0+incompatible.info", site="git"),
    *missing(31, f"{M}/v2/@v/v1.0.0.info"),
    *missing(32, f"{M}/@v/v1.01.0.info", f"{M}/@v/1.0.0.info"),
    *missing(32, f"{GIT}/widget/@v/v1.01.0.info", f"{GIT}/widget/@v/1.0.0.info", site="git"),
    *missing(33, f"{GIT}/widget/@v/v1.2.4-0.20200102030406-{{tip}}.info", site="git"),
    *missing(33, f"{GIT}/widget/@v/v1.2.4-0.20200102030405-{{tip11}}.info", site="git"),
    *missing(33, f"{GIT}/widget/@v/v1.2.4-0.20200102030405-{{tip13}}.info", site="git"),
    *missing(33, f"{GIT}/widget/@v/v1.9.1-0.20200102030405-{{tip}}.info", site="git"),
    *missing(33, f"{GIT}/widget/@v/v1.2.4-0.20200102030405-0123456789ab.info", site="git"),
    Edge(34, f"/gopkg.in/check.v1/@v/{CHECK_V1_PSEUDO}.info", version_info(CHECK_V1_PSEUDO)),
    *missing(35, f"{GIT}/widget/@v/feature%2Ffoo.info", site="git"),
    *missing(36, f"{M}/@v/a%20b.info", f"{M}/@v/dev@x.info"),
    *missing(36, f"{GIT}/widget/@v/a%20b.info", site="git"),
    Edge(36, f"{GIT}/widget/@v/stable.info", OK, "git"),
    Edge(36, f"{GIT}/widget/@v/dev@x.info", Want((200, 404)), "git"),
    *missing(37, *(f"{GIT}/widget/@v/{bad}.info" for bad in ("%3Ev1.0.0", "%2A", "%22", "%3C")), site="git"),
    *missing(
        38,
        *(
            f"{GIT}/widget/@v/{bad}.info"
            for bad in ("--upload-pack=x", "-x", "%21h%21e%21a%21d~1", "a..b", "@%7B1%7D", "x%5E")
        ),
        site="git",
    ),
)

CONTENT = (
    Edge(39, "/example.com/pseudo/@v/list", Want((200,), "", "text/plain")),
    Edge(39, f"{GIT}/tagless/@v/list", Want((200,), "", "text/plain"), "git"),
    *missing(39, "/example.com/unknown/@v/list"),
    *missing(40, f"{GIT}/empty/@latest", site="git"),
    Edge(41, "/example.com/renamed/@v/v1.0.0.mod", Want((200,), "module example.com/original\n", "text/plain")),
    Edge(41, "/example.com/renamed/@v/v1.0.0.zip", Want((200,), media="application/zip")),
    Edge(
        42,
        f"{GIT}/tagless/@v/v0.0.0-20200102030405-{{tagless}}.mod",
        Want((200,), "module github.com/acme/tagless\n"),
        "git",
    ),
    Edge(43, "/example.com/badname/@v/v1.0.0.zip", Want((404, 502), "[^\n]*(aux|device|name)[^\n]*\n?", "text/plain")),
    Edge(43, "/example.com/collision/@v/v1.0.0.zip", Want((404, 502), "[^\n]*(case|collision)[^\n]*\n?", "text/plain")),
    Edge(43, "/example.com/badprefix/@v/v1.0.0.zip", Want((404, 502), "[^\n]+\n?", "text/plain")),
    Edge(43, f"{GIT}/badname/@v/v1.0.0.zip", Want((404, 502), "[^\n]*aux[^\n]*\n?", "text/plain"), "git"),
    Edge(
        45,
        "/example.com/blocked/@v/v1.0.0.zip",
        Want((403,), "[^\n]*denied by no-blocked: not allowed here[^\n]*\n?", "text/plain"),
        "policy",
    ),
    Edge(
        45,
        "/example.com/blocked/@v/list",
        Want((403,), "[^\n]*denied by no-blocked: not allowed here[^\n]*\n?", "text/plain"),
        "policy",
    ),
    Edge(
        45,
        "/example.com/blocked/@latest",
        Want((403,), "[^\n]*denied by no-blocked: not allowed here[^\n]*\n?", "text/plain"),
        "policy",
    ),
    Edge(46, f"{M}/@v/list", Want((401,), "[^\n]+\n?", "text/plain", {"www-authenticate": "Basic .*"}), "auth"),
    Edge(
        46,
        f"{M}/@v/list",
        Want((401,), "[^\n]+\n?", "text/plain", {"www-authenticate": "Basic .*"}),
        "auth",
        send=basic_auth("user", "wrong"),
    ),
    Edge(46, f"{M}/@v/list", OK, "auth", send=basic_auth("user", "secret")),
    Edge(46, "/healthz", OK, "auth"),
    Edge(46, "/readyz", OK, "auth"),
    *(
        Edge(47, f"{M}/@v/{name}", Want((405,), headers={"allow": "GET, HEAD"}), method=method)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH")
        for name in ("list", "v1.0.0.info", "v1.0.0.zip")
    ),
    Edge(48, f"{M}/@v/list", Want((200,), "", "text/plain"), method="HEAD"),
    Edge(48, f"{M}/@latest", Want((200,), "", "application/json"), method="HEAD"),
    Edge(48, f"{M}/@v/v1.0.0.info", Want((200,), "", "application/json", {"content-length": "50"}), method="HEAD"),
    Edge(48, f"{M}/@v/v1.0.0.mod", Want((200,), "", "text/plain", {"content-length": "21"}), method="HEAD"),
    Edge(48, f"{M}/@v/v1.0.0.zip", Want((200,), "", "application/zip", {"content-length": r"\d\d+"}), method="HEAD"),
    Edge(48, f"{M}/@v/v9.9.9.zip", Want((404,), ""), method="HEAD"),
    Edge(48, f"{M}/@v/v1.0.0.info", IMMUTABLE),
    Edge(
        49,
        f"{M}/@v/v1.0.0.zip",
        Want((206,), r"(?s).{10}", headers={"content-range": r"bytes 0-9/\d+"}),
        send={"Range": "bytes=0-9"},
    ),
    Edge(
        49,
        f"{M}/@v/v1.0.0.zip",
        Want((416,), headers={"content-range": r"bytes \*/\d+"}),
        send={"Range": "bytes=9999999999-"},
    ),
    *(
        Edge(51, f"{M}/@v/{name}", NOT_FOUND, "cold", send={"Disable-Module-Fetch": value})
        for name, value in (("v1.0.0.zip", "true"), ("v1.0.0.info", "1"), ("v1.0.0.mod", "T"))
    ),
    *missing(51, f"/cached-only{M}/@v/v1.0.0.zip", f"/cached-only{M}/@v/v1.0.0.info", site="cold"),
    Edge(52, f"{M}/@v/list?go-get=1", Want((200,), "v1.0.0\nv1.1.0\nv1.2.0-pre.1\n?")),
    Edge(52, f"{M}/@v/v1.0.0.mod?x=y", Want((200,), "module example.com/m\n")),
)

SERVICES = (
    Edge(53, f"{M}/@v/list", Want((502,), "[^\n]+\n?", "text/plain", NO_STORE), "down"),
    Edge(53, f"{M}/@v/v1.0.0.info", Want((502,), "[^\n]+\n?", "text/plain", NO_STORE), "down"),
    Edge(53, f"{M}/@latest", Want((404,), "[^\n]+\n?", "text/plain", NO_STORE), "down-notfound"),
    Edge(56, "/sumdb/localhost.localdev/sumdb/supported", OK, "sumdb"),
    *missing(56, "/sumdb/unconfigured.example.com/supported", "/sumdb/x", site="sumdb"),
    Edge(57, "/sumdb/localhost.localdev/sumdb/lookup/rsc.io/sampler@v1.3.0", Want((403,)), "sumdb"),
    Edge(57, "/sumdb/localhost.localdev/sumdb/lookup/rsc.io/quote@v1.5.2", OK, "sumdb"),
    *(
        Edge(58, f"/sumdb/localhost.localdev/sumdb/{bad}", Want((400, 404)), "sumdb")
        for bad in ("tile/8/0/1", "tile/0/0/000", "tile/8/0/000.p/256", "tile/8/0/x000/000", "tile/8/0/../000", "other")
    ),
    Edge(
        58, "/sumdb/localhost.localdev/sumdb/tile/8/0/000.p/5", Want((200,), media="application/octet-stream"), "sumdb"
    ),
    Edge(59, "/sumdb/localhost.localdev/sumdb/lookup/example.com/nothere@v1.0.0", Want((404,)), "sumdb"),
    # Go's test database drops the connection when it is asked for a tile that it cannot have.
    Edge(59, "/sumdb/localhost.localdev/sumdb/tile/8/0/x999/999", Want((502,)), "sumdb"),
    Edge(59, "/sumdb/localhost.localdev/sumdb/lookup/rsc.io/quote@v1.5.2", Want((404, 502)), "down-sumdb"),
    *(Edge(60, f"/index?{bad}", Want((400,))) for bad in ("limit=0", "limit=x", "since=x", "limit=-1")),
    Edge(60, "/index?limit=99999", OK),
    # No file system has such names, so no module of a directory has them.
    *missing(21, f"/example.com/{'a' * 300}/@v/list", f"/example.com/foo/@v/{'a' * 300}.info"),
    *missing(21, f"/example.com{'/a' * 3000}/@v/list", f"{M}/@v/v1.0.{'9' * 3000}.zip"),
    *missing(61, "/golang.org/toolchain/@v/v0.0.1-go9.9.linux-amd64.zip"),
    Edge(62, "/example.com/page/@v/v1.0.0.info", Want((502, 404), "[^<]+", "text/plain")),
    Edge(62, "/example.com/page/@v/v1.1.0.zip", Want((502, 404), "[^<]+", "text/plain")),
    Edge(62, "/example.com/otherversion/@v/v1.0.0.info", Want((502, 404), "[^\n]+\n?", "text/plain")),
)

EDGES = (*PATHS, *VERSIONS, *CONTENT, *SERVICES)

# Rules that take more than one request: each has a test of its own.
TOLD_IN_TESTS = frozenset({44, 50, 54, 55})
