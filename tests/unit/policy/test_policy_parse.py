"""A download file is read as Athens reads it, or refused with the place and what is allowed."""

import json
import pickle
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from athens_policy.model import MAX_BLOCKS, MAX_BYTES, Block, DownloadFile, Mode
from athens_policy.parse import PolicySyntaxError, parse
from athens_policy.patterns import Pattern
from athens_policy.versions import VersionRange

TOP = 'mode = "sync"\ndownloadURL = ""\n'
GRAMMAR_WORDS = re.compile(r"DBLQUOTE|RBRACE|LBRACE|STRING_CHARS|NL_OR_COMMENT|Token\(|\$END|Expected one of")


def refused(text: str) -> PolicySyntaxError:
    with pytest.raises(PolicySyntaxError) as error:
        parse(text)
    assert str(error.value) == f"line {error.value.line}, column {error.value.column}: {error.value.message}"
    assert str(error.value).isprintable()
    assert not GRAMMAR_WORDS.search(str(error.value))
    return error.value


def of_file(pattern: str, mode: Mode, url: str = "") -> Block:
    return Block(Pattern.of_file(pattern), mode, url)


def test_athens_words_are_read_in_order() -> None:
    text = """
# comments of
// each /* kind
mode = "async_redirect" # behind a value
/* over
   lines */
downloadURL /* here too */ = "https://goproxy.example.com"

download "github.com/gomods/*" {
  mode = "none"
}
download "a.example" { mode = "redirect" }
download bare {
\tdownloadURL = "https://user:pass@mirror.example.org" // with Windows line ends\r
\tmode="sync"\r
}
"""
    assert parse(text) == DownloadFile(
        Mode.ASYNC_REDIRECT,
        "https://goproxy.example.com",
        (
            of_file("github.com/gomods/*", Mode.NONE),
            of_file("a.example", Mode.REDIRECT),
            of_file("bare", Mode.SYNC, "https://user:pass@mirror.example.org"),
        ),
    )


def test_our_words_are_read() -> None:
    text = TOP + (
        'download "a.example/*" {\n  mode = "allow"\n  versions = ">=v0.25.0 <v0.31.0"\n  minAge = "1h30m"\n'
        '  upstream = "https://go.example.com|direct"\n  audit = true\n'
        '  name = "team#rule"\n  reason = "why \\"so\\""\n}'
    )
    assert parse(text).blocks == (
        Block(
            Pattern.of_file("a.example/*"),
            Mode.ALLOW,
            versions=VersionRange.parse(">=v0.25.0 <v0.31.0"),
            min_age_s=5400,
            upstream="https://go.example.com|direct",
            audit=True,
            name="team#rule",
            reason='why "so"',
        ),
    )


def test_escapes_mean_what_they_mean_in_hcl() -> None:
    text = TOP + 'download " \\u0061\\U0000002f\\\\\\"\\n\\r\\t " { mode = "none" }'
    assert parse(text).blocks[0].pattern.text == ' a/\\"\n\r\t '


def test_a_malformed_pattern_loads_with_athens_words() -> None:
    assert parse(TOP + 'download "[" { mode = "none" }').blocks[0].pattern.malformed


def in_block(lines: str) -> str:
    return f'{TOP}download "a" {{\n  mode = "sync"\n  {lines}\n}}\n'


REFUSED = [
    ("", 1, 1, "mode is missing"),
    ('mode = "sync"', 1, 1, "downloadURL is missing"),
    ('mode = "bogus"\ndownloadURL = ""', 1, 8, "one of sync, async, none, redirect, async_redirect"),
    ('mode = "deny"\ndownloadURL = ""', 1, 8, "'deny' is unknown here"),
    ('mode = "Sync"\ndownloadURL = ""', 1, 8, "'Sync' is unknown here"),
    ('mode = "sync"\ndownloadURL = "goproxy"', 2, 15, "downloadURL is not an absolute http or https URL"),
    ('mode = "sync"\ndownloadURL = "https://a b"', 2, 15, "downloadURL has a character that no address has"),
    ('mode = "sync"\ndownloadURL = "https://[::1"', 2, 15, "downloadURL is not a URL"),
    (TOP + 'mode = "sync"', 3, 1, "mode is set twice"),
    (TOP + 'url = "x"', 3, 1, "did you mean downloadURL?"),
    (TOP + 'versions = "=v1.0.0"', 3, 1, "allowed are mode, downloadURL"),
    (TOP + "downloads {\n}", 3, 1, "the only kind is download"),
    (TOP + 'download { mode = "none" }', 3, 1, "download has 0 patterns"),
    (TOP + 'download "a" "b" { mode = "none" }', 3, 1, "download has 2 patterns"),
    (TOP + 'download "a" {}', 3, 1, "mode is missing in this block"),
    (TOP + 'download "a" {\n  mode = "bogus"\n}', 4, 10, "sync, async, none, redirect, async_redirect, deny, allow"),
    (TOP + 'download "a" { mode = "none" downloadURL = "" }', 3, 30, "begin a new line here"),
    (TOP + 'download "a" { mode = "none"\n}', 3, 16, "begin a new line behind '{'"),
    (TOP + 'download "a" {\n  mode = "none" }', 4, 17, "begin a new line here"),
    (TOP + 'download "a"\n{\n  mode = "none"\n}', 3, 1, "'{' on the same line"),
    ('mode = "sync" downloadURL = ""', 1, 15, "begin a new line here"),
    ('mode = "sync" /*\n*/ downloadURL = ""', 2, 4, "begin a new line here"),
    (TOP + 'download "[" { mode = "deny" }', 3, 1, "can match nothing"),
    (TOP + 'download "" { mode = "allow" }', 3, 1, "can match nothing"),
    (in_block('audit = "true"'), 5, 11, "audit must be true or false"),
    (in_block("name = true"), 5, 10, "name must be a quoted string"),
    (in_block("versions = true"), 5, 14, "versions must be a quoted string"),
    (in_block('versions = ">1"'), 5, 14, "versions: '>1' is not a version range"),
    (in_block('minAge = "3d"'), 5, 12, "minAge: '3d' is not a duration"),
    (in_block('upstream = "goproxy"'), 5, 14, "upstream is not a chain"),
    (in_block('reason = "a\\nb"'), 5, 12, "reason has a line break"),
    (in_block(f'name = "{"n" * 513}"'), 5, 10, "name has 513 characters"),
    (in_block(f'reason = "{"n" * 257}"'), 5, 12, "reason has 257 characters"),
    (TOP + 'download "a" {\n  mode = "deny"\n  minAge = "3h"\n}', 5, 12, "minAge has no meaning with mode deny"),
    (TOP + 'download "a" {\n  mode = "redirect"\n  upstream = "direct"\n}', 5, 14, "upstream has no meaning"),
    ("mode = sync", 1, 8, "quoted string"),
    ("mode = 5", 1, 8, "quoted string"),
    ("mode = null", 1, 8, "quoted string"),
    ("mode = { }", 1, 8, "quoted string"),
    ('mode = "${var.x}"', 1, 9, "templates are not evaluated"),
    ('mode = "x%{if true}"', 1, 10, "templates are not evaluated"),
    ('mode = "$${x}"', 1, 10, "templates are not evaluated"),
    ("mode = <<EOT\nsync\nEOT\n", 1, 8, "heredoc"),
    ('mode = ("sync")', 1, 8, "unexpected '('"),
    ('mode = upper("sync")', 1, 13, "unexpected '('"),
    ('mode = "a" + "b"', 1, 12, "unexpected '+'"),
    ('mode = ["sync"]', 1, 8, "unexpected '['"),
    ('{"mode": "sync"}', 1, 8, "unexpected ':'"),
    ('mode "sync"', 1, 12, "unexpected end of the file"),
    ('mode =\n"sync"', 1, 7, "unexpected end of the line"),
    ('mode = "sync" = "x"', 1, 15, "unexpected '='"),
    ('mode = "sync', 1, 8, "string is not closed"),
    ('mode = "sy\nnc"', 1, 8, "string is not closed"),
    ('mode = "sync\\', 1, 8, "string is not closed"),
    ('mode = "\\q"', 1, 9, "escape \\q is unknown"),
    ('mode = "\\u12"', 1, 9, "escape \\u is unknown"),
    ('mode = "\\ud800"', 1, 9, "escape \\ud800 is unknown"),
    ('mode = "\\U00110000"', 1, 9, "escape \\U00110000 is unknown"),
    (TOP + "/* open", 3, 1, "comment is never closed"),
    (TOP + 'download "a" {\n', 3, 14, "never closed"),
    (TOP + 'download "a" {\n  x {\n', 4, 5, "cannot hold another block"),
    ("}", 1, 1, "no block to close"),
    ("\ufeff" + TOP, 1, 1, "byte order mark"),
    (TOP + "\x00", 3, 1, "U+0000"),
    (TOP + "# \ud800", 3, 3, "U+D800"),
]


@pytest.mark.parametrize(("text", "line", "column", "says"), REFUSED)
def test_what_cannot_be_used_is_refused_at_its_place(text: str, line: int, column: int, says: str) -> None:
    error = refused(text)
    assert (error.line, error.column) == (line, column)
    assert says in error.message


BOMBS = {
    "a million newlines": ("\n" * 1_048_576, "at most 262144"),
    "newlines up to the limit": ("\n" * 200_000, "50000 lines"),
    "nested lists": ("mode = " + "[" * 100_000, "unexpected '['"),
    "nested blocks": ("a {" * 50_000, "cannot hold another block"),
    "nested parentheses": ("mode = " + "(" * 100_000, "unexpected '('"),
    "operators": ("mode = 1" + " + 1" * 50_000, "unexpected '+'"),
    "signs": ("mode = " + "-" * 200_000 + "1", "unexpected '---"),
    "open comments": ("/* " * 80_000, "comment is never closed"),
    "open templates": ('mode = "' + "${" * 100_000, "string is not closed"),
    "attributes": ('a = "b"\n' * 30_000, "more than 16 attributes"),
    "equals signs": ("=" * 200_000, "more than 16 attributes"),
    "one block too many": (TOP + 'download "a" { mode = "none" }\n' * (MAX_BLOCKS + 1), "more than 2000 blocks"),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.timeout(20)
def test_pathological_files_are_refused_before_they_cost(name: str) -> None:
    text, says = BOMBS[name]
    assert says in refused(text).message


def test_a_file_of_the_largest_size_is_read_and_one_byte_more_is_refused() -> None:
    text = TOP + 'download "a" { mode = "none" }\n' * MAX_BLOCKS
    full = text + "#" * (MAX_BYTES - len(text))
    assert len(parse(full).blocks) == MAX_BLOCKS
    assert "262145 bytes" in refused(full + "#").message


def test_the_size_is_counted_in_bytes() -> None:
    assert "at most 262144" in refused("#" + "ä" * (MAX_BYTES // 2)).message


def test_an_error_survives_the_way_back_from_a_worker_process() -> None:
    error = refused("mode = 5")
    rebuilt = pickle.loads(pickle.dumps(error))
    assert (str(rebuilt), rebuilt.line, rebuilt.column) == (str(error), error.line, error.column)


WORDS = [
    "mode",
    "downloadURL",
    "download",
    " = ",
    '"sync"',
    '""',
    '"a/*"',
    "{",
    "}",
    "\n",
    " ",
    "# c\n",
    "/*",
    "*/",
    "//",
]
SIGNS = ['"', "\\", "${", "<<E\n", "5", "true", "null", ",", "(", "[", "\t", "\r\n", "ä", "\x00", "\x85", "x", "-", TOP]


@given(st.lists(st.sampled_from(WORDS + SIGNS), max_size=12).map("".join) | st.text(max_size=40))
def test_any_text_is_read_or_refused_with_a_place_inside_it(text: str) -> None:
    error = refusal_of(text)
    if error is not None:
        lines = text.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        assert str(error).isprintable()
        assert not GRAMMAR_WORDS.search(error.message)


ATTRIBUTES = st.sampled_from(["mode", "downloadURL", "versions", "name", "reason", "minAge", "upstream", "audit", "x"])
VALUES = st.text(max_size=8) | st.sampled_from(
    [">=v1.0.0 <v2.0.0", ">=", "v1", "<v" + "9" * 400, "72h", "h", "-1h", "1e9h", "9" * 400 + "h", "\u0661h", "https://[",
     "direct,off|x", "sync", "deny", "allow", "true", "1.5d"]
)  # fmt: skip


@example({"mode": "sync", "versions": ">="})
@example({"mode": "sync", "minAge": "9" * 400 + "h"})
@example({"mode": "sync", "upstream": "https://["})
@given(st.dictionaries(ATTRIBUTES, VALUES, max_size=4))
def test_any_value_of_a_rule_is_read_or_refused_on_its_line(attributes: dict[str, str]) -> None:
    lines = [f"  {name} = {json.dumps(value)}" for name, value in attributes.items()]
    text = "\n".join(['mode = "sync"', 'downloadURL = ""', 'download "a.b/*" {', *lines, "}"])

    error = refusal_of(text)

    if error is not None:
        assert 3 <= error.line <= 4 + len(lines)
        assert str(error).isprintable()


def refusal_of(text: str) -> PolicySyntaxError | None:
    try:
        parse(text)
    except PolicySyntaxError as error:
        return error
    return None
