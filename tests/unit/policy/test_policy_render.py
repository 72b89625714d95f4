"""Rendered bytes are pinned, read back as the same values, and no value can leave its string."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_policy.decide import digest
from athens_policy.merge import MergeError, PolicyRule, PolicySource, Tier, merge
from athens_policy.model import ATHENS_MODES, Block, DownloadFile, Mode
from athens_policy.parse import PolicySyntaxError, parse
from athens_policy.patterns import Pattern
from athens_policy.render import quoted, render, render_file
from athens_policy.versions import VersionRange

GOLDEN = Path(__file__).parent / "golden"
GUARD = PolicySource(
    "ClusterDownloadPolicy",
    "",
    "guard",
    2,
    Tier.MANDATORY,
    0,
    (
        PolicyRule("evil", ("example.com/evil",), Mode.DENY, reason="SEC-112, typosquat"),
        PolicyRule(
            "crypto",
            ("example.org/crypto",),
            Mode.DENY,
            versions=">=v0.25.0 <v0.31.0",
            reason="broken signature check",
        ),
    ),
)
INLINE = PolicySource(
    "AthensProxy",
    "team-a",
    "go",
    4,
    Tier.INLINE,
    0,
    (PolicyRule("big", ("k8s.io/kubernetes",), Mode.REDIRECT, download_url="https://goproxy.example.com"),),
)
BASE = PolicySource(
    "DownloadPolicy",
    "team-a",
    "base",
    7,
    Tier.SELECTED,
    0,
    (
        PolicyRule("internal", ("git.corp.example/*",), Mode.SYNC),
        PolicyRule("no-evil", ("example.com/evil",), Mode.DENY),
        PolicyRule("licence", ("example.net/*",), Mode.DENY, audit=True, reason="LEGAL-7 trial"),
        PolicyRule("fresh", ("*",), Mode.ALLOW, min_age="72h"),
    ),
    default_mode=Mode.SYNC,
)
EVERYTHING = PolicySource(
    "DownloadPolicy",
    "team-a",
    "everything",
    1,
    Tier.REFERENCED,
    0,
    (
        PolicyRule(
            "all",
            ("example.com/[a-c]?/*", "*.example.org"),
            Mode.ASYNC_REDIRECT,
            versions="<=v2.0.0+incompatible",
            min_age="1h30m",
            upstream="https://a.example,https://b.example|direct",
            audit=True,
            reason='say "why" \\ ä',
        ),
    ),
    default_mode=Mode.REDIRECT,
    download_url="https://goproxy.example.com/base",
)
ATHENS_ONLY = replace(BASE, rules=(BASE.rules[0],), default_mode=Mode.ASYNC)
CASES = {
    "full": [GUARD, INLINE, BASE],
    "every-attribute": [EVERYTHING],
    "athens-only": [INLINE, ATHENS_ONLY],
    "built-in": [],
}


@pytest.mark.parametrize("name", CASES)
def test_the_bytes_are_pinned(name: str) -> None:
    assert render(merge(CASES[name])).encode() == (GOLDEN / f"{name}.hcl").read_bytes()


@pytest.mark.parametrize("name", CASES)
def test_what_is_rendered_is_read_back(name: str) -> None:
    merged = merge(CASES[name])
    assert parse(render(merged)) == merged.file


def test_the_documented_example_has_the_documented_digest() -> None:
    data = render(merge(CASES["full"])).encode()
    assert len(data) == 1033
    assert digest(data) == "sha256:5762e2fdf82616099d84843f6f42942fb944e54b8942f889e39d4911a9e76584"


def test_a_file_without_extensions_has_athens_words_only() -> None:
    text = render(merge(CASES["athens-only"]))
    assert not any(block.is_extended for block in parse(text).blocks)
    assert set(re.findall(r"^ *(\w+) =", text, re.MULTILINE)) == {"mode", "downloadURL"}


PATTERNS = st.text("abc/*?[]^.-~_Z9", min_size=1, max_size=12) | st.text(max_size=8)
RANGES = st.sampled_from([None, "=v1.0.0", ">=v0.25.0 <v0.31.0", "<=v2.0.0+incompatible"])
URLS = st.sampled_from(["", "https://goproxy.example.com", "http://u:p@[::1]:80/x?y=%7B&z=$d"])
TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=20).filter(
    lambda text: "${" not in text and "%{" not in text
)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    mode = draw(st.sampled_from(Mode))
    versions = draw(RANGES)
    block = Block(
        pattern=Pattern.of_file(draw(PATTERNS)),
        mode=mode,
        download_url=draw(URLS),
        versions=VersionRange.parse(versions) if versions else None,
        min_age_s=None if mode in (Mode.DENY, Mode.NONE) else draw(st.none() | st.integers(1, 10**9)),
        upstream="" if mode in (Mode.DENY, Mode.NONE, Mode.REDIRECT) else draw(st.sampled_from(["", "direct"])),
        exact=draw(st.booleans()),
        audit=draw(st.booleans()),
        name=draw(TEXTS),
        reason=draw(TEXTS),
    )
    return block


def is_writable(block: Block) -> bool:
    """Whether a download file can hold the block at all."""
    text = block.pattern.text
    legible = not re.search(r"[$%]\{", text)
    return legible and not (block.is_extended and (block.pattern.malformed or not text))


FILES = st.builds(
    DownloadFile,
    mode=st.sampled_from(ATHENS_MODES),
    download_url=URLS,
    blocks=st.lists(blocks().filter(is_writable), max_size=4).map(tuple),
)


@given(FILES)
def test_every_file_is_read_back_as_it_was_written(file: DownloadFile) -> None:
    assert parse(render_file(file)) == file


@given(st.text())
def test_a_quoted_text_is_one_string_on_one_line(text: str) -> None:
    literal = quoted(text)
    assert re.fullmatch(r'"(?:[^"\\\n\r]|\\["\\nrt]|\\u[0-9a-f]{4})*"', literal)
    assert not re.search(r"(?<![$%])[$%]\{", literal)


INJECTIONS = [
    'x" {\n  mode = "sync"\n}\ndownload "y',
    'x"\n  audit = true\n  name = "y',
    'x" # ',
    "x\n}",
    "x\r\n# (Mandatory)\ndownload",
    "${file(x)}",
    "%{ if true }",
    "$${x}",
    "x\\",
    '\\"',
    "x\x00",
    "x\u2028y",
    "x\ud800",
    "*/ x /*",
    "<<EOT\nx\nEOT",
    "x" * 1_000_000,
]
TEXT_FIELDS = [field.name for field in fields(PolicyRule) if field.name not in ("mode", "audit", "exact", "patterns")]
PLAIN = PolicyRule("r", ("a.example",), Mode.ASYNC_REDIRECT, download_url="https://x.example", audit=True)


@pytest.mark.parametrize("injection", INJECTIONS, ids=range(len(INJECTIONS)))
@pytest.mark.parametrize("field", [*TEXT_FIELDS, "patterns", "namespace", "object name", "kind", "default URL"])
def test_no_field_of_a_policy_can_leave_its_place(field: str, injection: str) -> None:
    source = replace(BASE, rules=(PLAIN,))
    match field:
        case "patterns":
            source = replace(source, rules=(replace(PLAIN, patterns=(injection,)),))
        case "namespace":
            source = replace(source, namespace=injection)
        case "object name":
            source = replace(source, name=injection)
        case "kind":
            source = replace(source, kind=injection)
        case "default URL":
            source = replace(source, download_url=injection)
        case _:
            source = replace(source, rules=(replace(PLAIN, **{field: injection}),))  # type: ignore[arg-type]
    expected = (Mode.SYNC, ["a.example"], [Mode.ASYNC_REDIRECT])
    file = _file_or_none(source)
    if file is not None:
        assert (file.mode, [b.pattern.text for b in file.blocks], [b.mode for b in file.blocks]) == expected


def _file_or_none(source: PolicySource) -> DownloadFile | None:
    """The merged file as it is read back; None if the merge refuses the source, in words fit for a status."""
    try:
        return parse(render(merge([source])))
    except MergeError as error:
        assert error.message.isprintable()  # noqa: PT017 - the refusal is one of two right outcomes
        assert len(error.message) < 5_000  # noqa: PT017
        return None


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "a\tb", "a\rb"])
def test_a_file_can_hold_any_pattern_text_that_is_no_template(text: str) -> None:
    file = DownloadFile(Mode.SYNC, "", (Block(Pattern.of_file(text), Mode.NONE),))
    assert parse(render_file(file)) == file


def test_a_template_sign_is_written_so_that_no_parser_evaluates_it() -> None:
    text = render_file(DownloadFile(Mode.SYNC, "", (Block(Pattern.of_file("${x}"), Mode.NONE),)))
    assert 'download "$${x}"' in text
    with pytest.raises(PolicySyntaxError, match="template"):
        parse(text)
