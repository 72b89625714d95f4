"""Templates, data, and the page that Go's html/template makes of them (checked against Go where it is installed)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PLAIN = {"Host": "https://go.example.com", "NoSumPatterns": "example.com/*,corp.example.com/*"}
HOSTILE = {"Host": "http://a<b>\"c'+&d e", "NoSumPatterns": "javascript:alert(1)"}


@dataclass(frozen=True)
class Case:
    """A template and its page."""

    text: str
    page: str
    data: Mapping[str, str] = field(default_factory=lambda: PLAIN)


UNDERSTOOD = (
    Case("plain", "plain"),
    Case("{{ .Host }}", "https://go.example.com"),
    Case("{{.Host}}", "https://go.example.com"),
    Case("GOPROXY={{ .Host }},direct", "GOPROXY=https://go.example.com,direct"),
    Case(
        "{{ if .NoSumPatterns }}GONOSUMDB={{ .NoSumPatterns }}{{ end }}", "GONOSUMDB=example.com/*,corp.example.com/*"
    ),
    Case("{{ if .Nothing }}a{{ else }}b{{ end }}", "b", {**PLAIN, "Nothing": ""}),
    Case("{{ if not .Nothing }}a{{ else }}b{{ end }}", "a", {**PLAIN, "Nothing": ""}),
    Case('{{ if eq .Host "x" }}a{{ else if .NoSumPatterns }}b{{ else }}c{{ end }}', "b"),
    Case('{{ if ne .Host "x" }}a{{ end }}', "a"),
    Case("{{ if .Host }}{{ if .Nothing }}a{{ else }}b{{ end }}c{{ end }}", "bc", {**PLAIN, "Nothing": ""}),
    Case("a {{- /* no }} page */ -}} b", "ab"),
    Case("a{{/* comment */}}b", "ab"),
    Case("a \n {{- .Host -}} \n b", "ahttps://go.example.comb"),
    Case("a {{ .Host }} b", "a https://go.example.com b"),
    Case('{{ "}}" }}{{ `<` }}', "}}&lt;"),
)
ESCAPED = (
    Case("<p>{{ .Host }}</p>", "<p>http://a&lt;b&gt;&#34;c&#39;&#43;&amp;d e</p>", HOSTILE),
    Case('<p title="{{ .Host }}">', '<p title="http://a&lt;b&gt;&#34;c&#39;&#43;&amp;d e">', HOSTILE),
    Case('<a href="{{ .Host }}">', '<a href="http://a%3cb%3e%22c%27&#43;&amp;d%20e">', HOSTILE),
    Case('<a href="{{ .NoSumPatterns }}">', '<a href="#ZgotmplZ">', HOSTILE),
    Case('<a href="/x/{{ .NoSumPatterns }}">', '<a href="/x/javascript:alert%281%29">', HOSTILE),
    Case('<a href="/x?q={{ .Host }}">', '<a href="/x?q=http%3a%2f%2fa%3cb%3e%22c%27%2b%26d%20e">', HOSTILE),
)
