"""Strategies for the names that clients write into URLs: module paths, versions and files, from proper to hostile."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import strategies as st

WORDS = st.sampled_from(
    ["-", "--", "-x", "--upload-pack=x", "-exec", "@", "...", ".", "..", "all", "std", "cmd", "latest", "none",
     "HEAD", "upgrade", "refs", "main", "%2F",
     "%00", "%0a", "%20", ";", "|", "&", "$(id)", "`id`", "${HOME}", "~", "^", ":", "*"]
)  # fmt: skip
NUMBERS = st.integers(0, 99).map(str) | st.sampled_from(["007", "9" * 300, "-1", ""])
VERSIONS = st.one_of(
    st.lists(WORDS | st.text(max_size=3), max_size=4).map("".join),
    st.lists(NUMBERS, min_size=1, max_size=4).map(lambda parts: "v" + ".".join(parts)),
    st.tuples(
        st.lists(NUMBERS, min_size=3, max_size=3).map(lambda parts: "v" + ".".join(parts)),
        st.sampled_from(["", "-", "-pre.1", "-0.20200102030405-abcdefabcdef", "-20200102030405-abcdefabcdef", "--x"]),
        st.sampled_from(["", "+incompatible", "+meta", "+", "+-x"]),
    ).map("".join),
)
PATHS = st.lists(
    st.sampled_from(["example.com", "github.com", "m", "-x", "--x", "v2", "v0", "x.git", "...", "..", "!a", "@v", "~"])
    | st.text(max_size=3),
    min_size=1,
    max_size=4,
).map("/".join)
FILES = st.one_of(
    st.sampled_from(["@v/list", "@latest"]),
    st.tuples(VERSIONS, st.sampled_from(["info", "mod", "zip"])).map(lambda file: f"@v/{file[0]}.{file[1]}"),
)


def request_target(path: str, file: str) -> str:
    """A path and a file as they stand in a request line; escapes that they already have stay as they are."""
    return f"/{quote(path, safe='/%!@~')}/{quote(file, safe='/%!@~')}"
