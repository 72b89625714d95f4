"""Templates of the home page: what of Go's html/template is understood, and that no value leaves its place."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athens_proxy.web.go_template import Template, TemplateError
from support.go_templates import ESCAPED, UNDERSTOOD, Case


@pytest.mark.parametrize("case", [*UNDERSTOOD, *ESCAPED], ids=lambda case: case.text[:40])
def test_a_template_becomes_the_page_that_go_makes_of_it(case: Case) -> None:
    assert Template.parse(case.text).render(case.data) == case.page


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("<!-- {{ .V }} -->{{ .V }}", "<!--  -->&lt;/script&gt;&#34;"),
        ("<script>a = {{ .V }}; b = '{{ .V }}'</script>",
         '<script>a = "\\u003c\\u002fscript\\u003e\\u0022"; b = \'\\u003c\\u002fscript\\u003e\\u0022\'</script>'),
        ("<script>a = 'it\\'s {{ .V }}'</script>",
         "<script>a = 'it\\'s \\u003c\\u002fscript\\u003e\\u0022'</script>"),
        ("<style>{{ .V }}</style><a href={{ .V }} {{ .V }}='x' onclick='{{ .V }}' style=\"{{ .V }}\">",
         "<style>ZgotmplZ</style><a href=ZgotmplZ ZgotmplZ='x' onclick='ZgotmplZ' style=\"ZgotmplZ\">"),
    ],
)  # fmt: skip
def test_a_value_is_harmless_in_every_place(text: str, page: str) -> None:
    assert Template.parse(text).render({"V": '</script>"'}) == page


MALFORMED = {
    "{{ if .X }}a": "line 1: {{ if .X }}: it has no {{ end }}",
    "a\n{{ end }}": "line 2: {{ end }}: there is no if that it belongs to",
    "{{ else }}": "line 1: {{ else }}: there is no if that it belongs to",
    "{{ .X": "an action is not closed: {{ .X",
    "{{ .X }": "an action is not closed: {{ .X }",
    "{{ .X.Y }}": "line 1: {{ .X.Y }}: it is not understood",
    "{{ range .X }}{{ end }}": "line 1: {{ range .X }}: it is not understood",
    "{{ printf .X }}": "line 1: {{ printf .X }}: it is not understood",
    "{{}}": "line 1: {{}}: it is not understood",
    "{{ if }}{{ end }}": "line 1: {{ if }}: use a field, `not` and a field, or `eq` or `ne` and two values",
    "{{ if .X .Y }}{{ end }}": "line 1: {{ if .X .Y }}: use a field, `not` and a field, or `eq` or `ne` and two values",
    "{{ if .X }}{{ else }}{{ else }}{{ end }}": "line 1: {{ else }}: the if has an else already",
    "{{ if .X }}{{ else .Y }}{{ end }}": "line 1: {{ else .Y }}: use {{ else }} or {{ else if … }}",
    '{{ "\\q" }}': 'line 1: {{ "\\q" }}: the text has an escape that is not understood',
    "{{ if .X }}" * 200: "ifs are nested more than 100 deep",
}


@pytest.mark.parametrize("text", list(MALFORMED), ids=lambda text: text[:40])
def test_what_is_not_understood_is_named_with_its_line(text: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template.parse(text)
    assert str(caught.value) == MALFORMED[text]


ACTIONS = ["{{ .Host }}", "{{ if .Host }}", "{{ else }}", "{{ end }}", "{{- ", " -}}", "{{", "}}", "`", "/*", "\\"]
MARKUP = ["<a href=", '"', "'", ">", "<script>", "</script>", "<!--", "-->", "<b", " ", "text", "<style>", "title="]
PIECES = st.sampled_from([*ACTIONS, *MARKUP])


@given(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=20))
def test_every_text_is_a_template_or_an_error(text: str, host: str) -> None:
    with suppress(TemplateError):
        Template.parse(text).render({"Host": host})


@given(st.text(max_size=40))
def test_a_value_never_opens_or_ends_markup(value: str) -> None:
    marked = Template.parse("<p>{{ .V }}</p><a title=\"{{ .V }}\" href='{{ .V }}'></a><script>x = '{{ .V }}'</script>")

    page = marked.render({"V": value})

    assert (page.count("<"), page.count(">"), page.count('"'), page.count("'")) == (6, 6, 2, 4)
