"""Module names keep Go's own rules, row by row of Go's own tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.errors import InvalidPath, InvalidVersion, ModuleNotFound
from athens_proxy.modules import ModulePath, ModuleVersion, grammar

# The tables of golang.org/x/mod/module/module_test.go (checkTests, checkPathTests), BSD license.
CHECK = [
    ("rsc.io/quote", "0.1.0", False),
    ("rsc io/quote", "v1.0.0", False),
    ("github.com/go-yaml/yaml", "v0.8.0", True),
    ("github.com/go-yaml/yaml", "v1.0.0", True),
    ("github.com/go-yaml/yaml", "v2.0.0", False),
    ("github.com/go-yaml/yaml", "v2.1.5", False),
    ("github.com/go-yaml/yaml", "v3.0.0", False),
    ("github.com/go-yaml/yaml/v2", "v1.0.0", False),
    ("github.com/go-yaml/yaml/v2", "v2.0.0", True),
    ("github.com/go-yaml/yaml/v2", "v2.1.5", True),
    ("github.com/go-yaml/yaml/v2", "v3.0.0", False),
    ("gopkg.in/yaml.v0", "v0.8.0", True),
    ("gopkg.in/yaml.v0", "v1.0.0", False),
    ("gopkg.in/yaml.v0", "v2.0.0", False),
    ("gopkg.in/yaml.v0", "v2.1.5", False),
    ("gopkg.in/yaml.v0", "v3.0.0", False),
    ("gopkg.in/yaml.v1", "v0.8.0", False),
    ("gopkg.in/yaml.v1", "v1.0.0", True),
    ("gopkg.in/yaml.v1", "v2.0.0", False),
    ("gopkg.in/yaml.v1", "v2.1.5", False),
    ("gopkg.in/yaml.v1", "v3.0.0", False),
    ("gopkg.in/check.v1", "v0.0.0", False),
    ("gopkg.in/check.v1", "v0.0.0-20160102150405-abcdef123456", True),
    ("gopkg.in/yaml.v2", "v1.0.0", False),
    ("gopkg.in/yaml.v2", "v2.0.0", True),
    ("gopkg.in/yaml.v2", "v2.1.5", True),
    ("gopkg.in/yaml.v2", "v3.0.0", False),
    ("rsc.io/quote", "v17.0.0", False),
    ("rsc.io/quote", "v17.0.0+incompatible", True),
]
CHECK_PATH = [  # text, is a module path, is a file path
    ("x.y/z", True, True),
    ("x.y", True, True),
    ("", False, False),
    ("x.y/\udcffz", False, False),
    ("/x.y/z", False, False),
    ("x./z", False, False),
    (".x/z", False, True),
    ("-x/z", False, True),
    ("x..y/z", True, True),
    ("x.y/z/../../w", False, False),
    ("x.y//z", False, False),
    ("x.y/z//w", False, False),
    ("x.y/z/", False, False),
    ("x.y/z/v0", False, True),
    ("x.y/z/v1", False, True),
    ("x.y/z/v2", True, True),
    ("x.y/z/v2.0", False, True),
    ("X.y/z", False, True),
    ("!x.y/z", False, True),
    ("_x.y/z", False, True),
    ("x.y!/z", False, True),
    ('x.y"/z', False, False),
    ("x.y#/z", False, True),
    ("x.y$/z", False, True),
    ("x.y%/z", False, True),
    ("x.y&/z", False, True),
    ("x.y'/z", False, False),
    ("x.y(/z", False, True),
    ("x.y)/z", False, True),
    ("x.y*/z", False, False),
    ("x.y+/z", False, True),
    ("x.y,/z", False, True),
    ("x.y-/z", True, True),
    ("x.y./zt", False, False),
    ("x.y:/z", False, False),
    ("x.y;/z", False, False),
    ("x.y</z", False, False),
    ("x.y=/z", False, True),
    ("x.y>/z", False, False),
    ("x.y?/z", False, False),
    ("x.y@/z", False, True),
    ("x.y[/z", False, True),
    ("x.y\\/z", False, False),
    ("x.y]/z", False, True),
    ("x.y^/z", False, True),
    ("x.y_/z", False, True),
    ("x.y`/z", False, False),
    ("x.y{/z", False, True),
    ("x.y}/z", False, True),
    ("x.y~/z", False, True),
    ("x.y/z!", False, True),
    ('x.y/z"', False, False),
    ("x.y/z#", False, True),
    ("x.y/z$", False, True),
    ("x.y/z%", False, True),
    ("x.y/z&", False, True),
    ("x.y/z'", False, False),
    ("x.y/z(", False, True),
    ("x.y/z)", False, True),
    ("x.y/z*", False, False),
    ("x.y/z++", False, True),
    ("x.y/z,", False, True),
    ("x.y/z-", True, True),
    ("x.y/z.t", True, True),
    ("x.y/z/t", True, True),
    ("x.y/z:", False, False),
    ("x.y/z;", False, False),
    ("x.y/z<", False, False),
    ("x.y/z=", False, True),
    ("x.y/z>", False, False),
    ("x.y/z?", False, False),
    ("x.y/z@", False, True),
    ("x.y/z[", False, True),
    ("x.y/z\\", False, False),
    ("x.y/z]", False, True),
    ("x.y/z^", False, True),
    ("x.y/z_", True, True),
    ("x.y/z`", False, False),
    ("x.y/z{", False, True),
    ("x.y/z}", False, True),
    ("x.y/z~", True, True),
    ("x.y/x.foo", True, True),
    ("x.y/aux.foo", False, False),
    ("x.y/prn", False, False),
    ("x.y/prn2", True, True),
    ("x.y/com", True, True),
    ("x.y/com1", False, False),
    ("x.y/com1.txt", False, False),
    ("x.y/calm1", True, True),
    ("x.y/z~", True, True),
    ("x.y/z~0", False, True),
    ("x.y/z~09", False, True),
    ("x.y/z09", True, True),
    ("x.y/z09~", True, True),
    ("x.y/z09~09z", True, True),
    ("x.y/z09~09z~09", False, True),
    ("github.com/!123/logrus", False, True),
    ("github.com/user/unicode/испытание", False, True),
    ("../x", False, False),
    ("./y", False, False),
    ("x:y", False, False),
    ("\\temp\\foo", False, False),
    (".gitignore", False, True),
    (".github/ISSUE_TEMPLATE", False, True),
    ("x☺y", False, False),
]


@pytest.mark.parametrize(("text", "is_path", "is_file"), CHECK_PATH)
def test_paths_are_judged_as_go_judges_them(text: str, is_path: bool, is_file: bool) -> None:
    assert (grammar.module_path_problem(text) is None) == is_path
    assert (grammar.file_path_problem(text) is None) == is_file


@given(st.text(st.sampled_from("aonulcmpK.19~ -!:*\u212a\u0131é/"), max_size=6))
def test_a_file_name_that_is_told_to_be_plain_keeps_the_rules_for_all_names(name: str) -> None:
    if grammar.is_plain_file_element(name):
        assert name.isascii()
        assert name.strip(".")
        assert not name.endswith((".", "/"))
        assert not set(name) & set(":*/")
        assert name.split(".")[0].upper() not in {"NUL", "CON", "COM1", "COM9"}


@pytest.mark.parametrize("name", ["con", "NUL.txt", "Com1", "lpt9.tar.gz", "a.", "..", "", "a/b", "a:b", "aux", "é"])
def test_a_file_name_that_may_break_a_rule_is_never_told_to_be_plain(name: str) -> None:
    assert not grammar.is_plain_file_element(name)
    assert all(grammar.is_plain_file_element(plain) for plain in ("a", "console", ".go", "nul-1", "com10", "~ "))


@pytest.mark.parametrize(("path", "version", "ok"), CHECK)
def test_a_version_is_canonical_only_where_its_major_belongs_to_the_path(path: str, version: str, ok: bool) -> None:
    try:
        canonical = ModuleVersion.parse(ModulePath.parse(path), version).is_canonical
    except InvalidPath:
        canonical = False

    assert canonical == ok


@pytest.mark.parametrize(
    ("path", "suffix"),
    [("x.y/z", ""), ("x.y/z/v2", "/v2"), ("x.y/v", ""), ("gopkg.in/yaml.v0", ".v0"), ("gopkg.in/yaml.v1", ".v1")],
)
def test_the_major_suffix_is_split_off(path: str, suffix: str) -> None:
    assert ModulePath.parse(path).major_suffix == suffix


@pytest.mark.parametrize(
    "path",
    ["x.y/z/v02", "gopkg.in/yaml", "gopkg.in/yaml.v02", "gopkg.in/yaml.v0-unstable", "x...y/z", "example.com/..."],
)
def test_an_illegal_suffix_or_a_wildcard_is_no_module_path(path: str) -> None:
    with pytest.raises(InvalidPath, match=r"^not found: malformed module path"):
        ModulePath.parse(path)


def test_gopkg_in_unstable_is_the_major_of_its_stable_twin() -> None:
    assert ModuleVersion.parse(ModulePath.parse("gopkg.in/yaml.v2-unstable"), "v2.1.0").is_canonical


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("ascii.com/abcdefghijklmnopqrstuvwxyz.-/~_0123456789", "ascii.com/abcdefghijklmnopqrstuvwxyz.-/~_0123456789"),
        ("github.com/GoogleCloudPlatform/omega", "github.com/!google!cloud!platform/omega"),
    ],
)
def test_upper_case_is_escaped_and_back(text: str, escaped: str) -> None:
    assert ModulePath.parse(text).escaped == escaped
    assert ModulePath.from_escaped(escaped) == ModulePath.parse(text)


@pytest.mark.parametrize(
    "escaped",
    [
        "github.com/GoogleCloudPlatform/omega",
        "github.com/!google!cloud!platform!/omega",
        "github.com/!0google!cloud!platform/omega",
        "github.com/!_google!cloud!platform/omega",
        "github.com/!!google!cloud!platform/omega",
        "github.com/é",
        "github.com/a!",
        "github.com/!google\n",
        "",
    ],
)
def test_what_escaping_never_makes_is_refused(escaped: str) -> None:
    with pytest.raises(InvalidPath):
        ModulePath.from_escaped(escaped)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "v1.", "a:b", "é", "con", "a*", "a?", 'a"', "a>b", "a\x00b", "a\nb"]
)
def test_text_that_no_proxy_can_be_asked_for_is_no_version(text: str) -> None:
    with pytest.raises(InvalidVersion, match=r"^not found: "):
        ModuleVersion.parse(ModulePath.parse("example.com/m"), text)


@pytest.mark.parametrize(
    "text", ["main", "v1", "HEAD", "dev@x", "a b", "v2.0.0+incompatible", "abc1234", "v1.2.3-pre.1"]
)
def test_queries_and_versions_survive_escaping(text: str) -> None:
    path = ModulePath.parse("example.com/m")
    wanted = ModuleVersion.parse(path, text)

    assert ModuleVersion.from_escaped(path, wanted.escaped_version) == wanted


@pytest.mark.parametrize("escaped", ["!!v1.0.0", "V1", "v1!", "!1"])
def test_a_badly_escaped_version_is_named_in_the_error(escaped: str) -> None:
    with pytest.raises(InvalidVersion, match=f'^not found: invalid escaped version "{escaped}"'):
        ModuleVersion.from_escaped(ModulePath.parse("example.com/m"), escaped)


@pytest.mark.parametrize("version", ["v1", "v1.2", "main", "v1.5.2+meta", "v2.0.0", "v1.01.0"])
def test_what_names_no_single_version_is_not_canonical(version: str) -> None:
    assert not ModuleVersion.parse(ModulePath.parse("example.com/m"), version).is_canonical


@given(st.text(max_size=40))
def test_any_text_is_a_path_that_round_trips_or_one_printable_refusal(text: str) -> None:
    try:
        path = ModulePath.parse(text)
    except ModuleNotFound as error:
        path, refusal = None, str(error)
    else:
        refusal = "printable"

    assert refusal.isprintable()
    assert path is None or ModulePath.from_escaped(path.escaped) == path
