"""`kubectl athens policy`: lint, diff, test and import, with the exit codes that a CI step builds on."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from athens_cli.located import MAX_BYTES, documents
from athens_cli.objects import of_documents
from athens_policy.decide import compile_policy, decide
from athens_policy.parse import parse

Run = Callable[..., Any]

POLICY = """\
apiVersion: athensproxy.dev/v1beta1
kind: DownloadPolicy
metadata: {name: base, namespace: team-a}
spec:
  proxySelector: {}
  rules:
"""
PROXY = """
---
apiVersion: athensproxy.dev/v1beta1
kind: AthensProxy
metadata: {name: go, namespace: team-a}
spec: {storage: {type: memory, memory: {}}}
"""


def linted(run: Run, folder: Path, text: str, *options: str) -> tuple[int, list[dict[str, Any]]]:
    (folder / "policy.yaml").write_text(text)
    done = run("policy", "lint", str(folder), "-o", "json", *options)
    assert done.err == ""
    return done.code, json.loads(done.out)


class TestLint:
    def test_a_clean_tree_passes(self, run: Run, tmp_path: Path) -> None:
        rule = '    - {name: a, patterns: ["example.com/a"], mode: deny}'
        assert linted(run, tmp_path, POLICY + rule + PROXY) == (0, [])

    @pytest.mark.parametrize(
        ("rule", "kind", "path", "says"),
        [
            (
                '{name: a, patterns: ["x.com"], mode: deny, versions: ">1"}',
                "InvalidRule",
                "spec.rules[1]",
                "not a version range",
            ),
            (
                '{name: a, patterns: ["x.com"], mode: deny, versions: ">v2.0.0 <v1.0.0"}',
                "InvalidRule",
                "spec.rules[1]",
                "no version can satisfy",
            ),
            ('{name: a, patterns: ["x.com/["], mode: deny}', "InvalidRule", "spec.rules[1]", "class"),
            (
                '{name: a, patterns: ["x.com"], mode: redirect}',
                "InvalidRule",
                "spec.rules[1]",
                "downloadURL is missing",
            ),
            ('{name: a, patterns: ["x.com"], mode: allow, minAge: 3 days}', "InvalidRule", "spec.rules[1]", "72h"),
            ('{name: a, patterns: ["x.com"], mode: deny, minAge: 72h}', "InvalidRule", "spec.rules[1]", "no meaning"),
            ('{name: A_b, patterns: ["x.com"], mode: deny}', "InvalidRule", "spec.rules[1]", "DNS label"),
            ('{name: a, patterns: ["x.com"], mode: block}', "InvalidSpec", "spec.rules[1].mode", "'sync'"),
            ('{name: a, patern: ["x.com"], mode: deny}', "InvalidSpec", "spec.rules[1].patterns", "required"),
            (
                '{name: a, patterns: ["x.com"], mode: deny, why: x}',
                "UnknownField",
                "spec.rules[1].why",
                "unknown field",
            ),
            ('{name: first, patterns: ["x.com"], mode: deny}', "DuplicateRuleName", "spec.rules[1].name", "twice"),
            ('{name: a, patterns: ["x.com"], mode: deny, reason: "${x}"}', "InvalidRule", "spec.rules[1]", "template"),
            (
                '{name: a, patterns: ["x.com"], mode: sync, upstream: "ftp://x"}',
                "InvalidRule",
                "spec.rules[1]",
                "is not a chain",
            ),
        ],
    )
    def test_a_mistake_fails_with_field_fix_and_line(
        self, run: Run, tmp_path: Path, rule: str, kind: str, path: str, says: str
    ) -> None:
        first = '    - {name: first, patterns: ["example.com/a"], mode: deny}\n    - '
        code, found = linted(run, tmp_path, POLICY + first + rule + PROXY)
        hit = next(finding for finding in found if finding["kind"] == kind)

        assert code == 1
        assert hit["severity"] == "error"
        assert hit["path"] == path
        assert says in hit["message"]
        assert hit["line"] == 8

    @pytest.mark.parametrize(
        ("rule", "kind"),
        [
            ('{name: b, patterns: ["example.com/a"], mode: deny}', "Duplicate"),
            ('{name: b, patterns: ["example.com/a"], mode: sync}', "Conflict"),
            ('{name: b, patterns: ["example.com/a/b*"], mode: sync}', "Shadowed"),
            ('{name: b, patterns: ["nodots/x"], mode: deny}', "Unreachable"),
            ('{name: b, patterns: ["example.com/**"], mode: deny}', "DoubledStar"),
        ],
    )
    def test_what_only_loses_warns_and_fails_when_strict(self, run: Run, tmp_path: Path, rule: str, kind: str) -> None:
        text = POLICY + '    - {name: a, patterns: ["example.com/a"], mode: deny}\n    - ' + rule + PROXY
        code, found = linted(run, tmp_path, text)

        assert code == 0
        assert [(finding["severity"], finding["kind"], finding["line"]) for finding in found] == [("warning", kind, 8)]
        assert linted(run, tmp_path, text, "--strict")[0] == 1

    @pytest.mark.parametrize(
        ("sharing", "kind"), [("", "PolicyNotFound"), ("  shareWith: {from: Same}\n", "NotShared")]
    )
    def test_a_policy_that_cannot_be_referred_to_is_named(
        self, run: Run, tmp_path: Path, sharing: str, kind: str
    ) -> None:
        name = "base" if sharing else "absent"
        proxy = PROXY.replace("team-a", "team-b").replace(
            "{storage:", f"{{policyRefs: [{{name: {name}, namespace: team-a}}], storage:"
        )
        text = POLICY.replace("  rules:\n", sharing + "  rules: []") + proxy
        _, found = linted(run, tmp_path, text)

        assert [finding["kind"] for finding in found] == [kind]

    def test_sarif_points_into_the_file(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "policy.yaml").write_text(POLICY + '    - {name: a, patterns: ["x.com/["], mode: deny}')
        done = run("policy", "lint", str(tmp_path), "-o", "sarif")
        result = json.loads(done.out)["runs"][0]["results"][0]

        assert done.code == 1
        assert (result["ruleId"], result["level"]) == ("InvalidRule", "error")
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 7

    @pytest.mark.parametrize("named", ["large.yaml", "-"])
    def test_a_file_that_would_take_minutes_to_read_is_refused_at_once(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
    ) -> None:
        large = tmp_path / "large.yaml"
        large.write_text("#" * (MAX_BYTES + 1))
        with large.open() as standard_input:
            monkeypatch.setattr("sys.stdin", standard_input)
            done = run("policy", "lint", named if named == "-" else str(large))

        assert done.code == 2
        assert done.err.endswith("has more than 8 MiB; name files of fewer objects\n")

    @pytest.mark.parametrize("last", [8, 0], ids=["many times as much", "itself"])
    def test_aliases_that_make_endlessly_much_of_a_file_are_refused_at_once(
        self, run: Run, tmp_path: Path, last: int
    ) -> None:
        nested = [f"x{depth}: &x{depth} [{', '.join([f'*x{depth - 1}'] * 10)}]" for depth in range(1, last + 1)]
        first = "x0: &x0 [a]" if last else "x0: &x0 [*x0]"
        (tmp_path / "bomb.yaml").write_text("\n".join(["kind: DownloadPolicy", first, *nested, f"spec: *x{last}"]))

        done = run("policy", "lint", str(tmp_path))

        assert (done.code, done.out) == (2, "")
        assert "bomb.yaml:1: aliases make far more of it than is written; use fewer" in done.err

    def test_a_finding_behind_an_alias_has_a_line(self, run: Run, tmp_path: Path) -> None:
        text = POLICY + "  - &rule {pattern: example.com/a, mode: maybe}\n  - *rule\n"

        code, found = linted(run, tmp_path, text)

        assert code == 1
        assert {finding["line"] for finding in found if "mode" in finding["path"]} == {text.count("\n") - 1}

    def test_a_field_that_is_written_twice_is_found_as_the_api_server_finds_it(self, run: Run, tmp_path: Path) -> None:
        rule = "  - {name: a, patterns: [example.com/a], mode: deny, mode: sync}\n"

        code, found = linted(run, tmp_path, POLICY + rule)

        assert code == 1
        assert [(finding["kind"], finding["path"], finding["line"]) for finding in found] == [
            ("DuplicateField", "spec.rules[0].mode", POLICY.count("\n") + 1)
        ]

    def test_what_was_read_is_told_where_nothing_is_wrong(self, run: Run, tmp_path: Path) -> None:
        nothing = run("policy", "lint", str(tmp_path))
        (tmp_path / "folder.yaml").mkdir()
        os.mkfifo(tmp_path / "pipe.yaml")
        (tmp_path / "proxy.yaml").write_text(PROXY)
        something = run("policy", "lint", str(tmp_path))

        assert (nothing.code, nothing.out) == (0, "nothing to correct (policies and proxies: 0)\n")
        assert (something.code, something.out) == (0, "nothing to correct (policies and proxies: 1)\n")

    def test_a_file_that_is_no_yaml_cannot_be_linted(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "policy.yaml").write_text("a: [")
        done = run("policy", "lint", str(tmp_path))

        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "policy.yaml:1" in done.err


class TestDiff:
    def test_only_modules_whose_verdict_changes_are_listed(self, run: Run, tmp_path: Path, fleet: str) -> None:
        after = tmp_path / "after.yaml"
        after.write_text(Path(fleet).read_text().replace("example.com/evil", "example.net/*"))
        sums = tmp_path / "go.sum"
        sums.write_text(
            "example.net/a v1.0.0 h1:x=\nexample.net/a v1.0.0/go.mod h1:x=\n"
            "example.com/evil v1.0.0 h1:x=\nk8s.io/kubernetes v1.30.0/go.mod h1:x=\n"
        )
        done = run("policy", "diff", str(sums), "--from", fleet, "--to", str(after), "-o", "json")

        assert done.code == 1
        rows = [(row["module"], row["before"], row["after"], row["ruleAfter"]) for row in json.loads(done.out)]
        assert rows == [
            ("example.net/a", "sync", "deny", "guard#evil"),
            ("example.com/evil", "deny", "sync", "default"),
        ]

    def test_the_same_policy_changes_nothing(self, run: Run, tmp_path: Path, fleet: str) -> None:
        sums = tmp_path / "go.sum"
        sums.write_text("example.com/evil v1.0.0 h1:x=\n")
        done = run("policy", "diff", str(sums), "--from", fleet, "--to", fleet)

        assert (done.code, done.out) == (0, "no verdict of 1 module versions changes\n")

    def test_what_is_no_go_sum_is_refused_with_its_line(self, run: Run, tmp_path: Path, fleet: str) -> None:
        sums = tmp_path / "go.sum"
        sums.write_text("\nmodule example.com\n")
        done = run("policy", "diff", str(sums), "--from", fleet, "--to", fleet)

        assert done.code == 2
        assert "go.sum:2" in done.err


class TestExpectations:
    EXPECT = """\
proxy: team-a/go
expect:
  - {module: example.com/evil, version: v1.0.0, verdict: deny, rule: guard#evil}
  - {module: example.com/good, version: v1.0.0, verdict: sync}
"""

    def test_expectations_that_hold_pass(self, run: Run, tmp_path: Path, fleet: str) -> None:
        (tmp_path / "test.yaml").write_text(self.EXPECT)
        done = run("policy", "test", str(tmp_path / "test.yaml"), "-f", fleet)

        assert (done.code, done.out) == (0, "2 expectations hold\n")

    def test_what_does_not_hold_fails_and_is_in_the_junit_file(self, run: Run, tmp_path: Path, fleet: str) -> None:
        (tmp_path / "test.yaml").write_text(self.EXPECT.replace("verdict: sync", "verdict: deny"))
        junit = tmp_path / "junit.xml"
        done = run("policy", "test", str(tmp_path / "test.yaml"), "-f", fleet, "--junit", str(junit))
        suites = ElementTree.parse(junit).getroot()

        assert done.code == 1
        assert "expected deny, is sync by default" in done.out
        assert [(suite.get("tests"), suite.get("failures")) for suite in suites] == [("2", "1")]
        assert [case.find("failure") is not None for case in suites[0]] == [False, True]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("expect: []", "proxy is missing"),
            ("proxy: go\nexpect: []", "expect is empty"),
            ("proxy: go\nexpect:\n- {module: a.b, verdict: maybe}", ":3: module and verdict"),
            ("proxy: go\nexpect:\n- {module: a.b, verdict: deny, mode: x}", "mode is unknown"),
            ("proxy: go\nexpect:\n- {module: a.b, verdict: deny, age: 1 day}", "not a duration"),
        ],
    )
    def test_a_malformed_test_file_says_where_and_what(
        self, run: Run, tmp_path: Path, fleet: str, text: str, says: str
    ) -> None:
        (tmp_path / "test.yaml").write_text(text)
        done = run("policy", "test", str(tmp_path / "test.yaml"), "-f", fleet)

        assert done.code == 2
        assert says in done.err


class TestImport:
    def test_a_download_file_becomes_a_policy_that_decides_the_same(self, run: Run, tmp_path: Path) -> None:
        text = """
mode = "async_redirect"
downloadURL = "https://goproxy.example.com"
download "github.com/a/*" {
  mode = "sync"
}
download "github.com/b" {
  mode = "sync"
}
download "example.com/x" {
  mode = "deny"
  versions = "<v2.0.0"
  reason = "old"
}
download "bad[" {
  mode = "none"
}
"""
        (tmp_path / "download.hcl").write_text(text)
        done = run("-n", "team-a", "policy", "import", "--from", str(tmp_path / "download.hcl"))
        policy = yaml.safe_load(done.out)
        (tmp_path / "policy.yaml").write_text(done.out + PROXY)
        rendered = run("policy", "render", "go", "-f", str(tmp_path / "policy.yaml")).out

        assert [rule["patterns"] for rule in policy["spec"]["rules"]] == [
            ["github.com/a/*", "github.com/b"],
            ["example.com/x"],
        ]
        assert "never matched" in done.err
        old, new = compile_policy(parse(text)), compile_policy(parse(rendered))
        for module in ("github.com/a/x", "github.com/b/c", "example.com/x", "other.com/y"):
            for version in ("v1.0.0", "v2.0.0"):
                before, after = decide(old, module, version).effect, decide(new, module, version).effect
                assert type(before) is type(after)

    def test_a_filter_file_becomes_a_policy_with_deeper_paths_first(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "filter.conf").write_text(
            "# comment\n-\n+ github.com/a\n- github.com/a/b v1.2.*,~v2.0.3\nD example.com\n"
        )
        done = run(
            "policy", "import", "--from", str(tmp_path / "filter.conf"), "--direct-url", "https://goproxy.example.com"
        )
        rules = yaml.safe_load(done.out)["spec"]["rules"]

        assert [(rule["patterns"], rule["mode"], rule.get("versions", "")) for rule in rules] == [
            (["github.com/a/b"], "deny", ">=v1.2.0-0 <v1.3.0-0"),
            (["github.com/a/b"], "deny", ">=v2.0.3 <v2.1.0-0"),
            (["github.com/a"], "allow", ""),
            (["example.com"], "redirect", ""),
            (["*"], "deny", ""),
        ]
        assert of_documents(documents(done.out, "x")).policies[0][0].problems == ()

    @pytest.mark.parametrize(
        ("name", "text", "says"),
        [
            ("download.hcl", "mode = ", "line 1"),
            ("filter", "x example.com", "line 1: not a rule"),
            ("filter", "D example.com", "add --direct-url"),
        ],
    )
    def test_what_cannot_be_taken_over_names_its_line(
        self, run: Run, tmp_path: Path, name: str, text: str, says: str
    ) -> None:
        (tmp_path / name).write_text(text)
        done = run("policy", "import", "--from", str(tmp_path / name))

        assert (done.code, done.err.count("\n")) == (2, 1)
        assert says in done.err


class TestAdvisories:
    POLICY = """\
apiVersion: athensproxy.dev/v1beta1
kind: DownloadPolicy
metadata: {name: base, namespace: team-a}
spec:
  proxySelector: {}
  advisories:
    configMapRef: {name: osv}
"""
    RECORD = (
        '{"id": "GO-2026-1", "summary": "Panic", "affected": [{"package": {"ecosystem": "Go", "name": "example.com/m"},'
        ' "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.0"}]}]}]}'
    )

    def tree(self, folder: Path, record: str) -> str:
        config_map = f"\n---\nkind: ConfigMap\nmetadata: {{name: osv, namespace: team-a}}\ndata:\n  a: '{record}'\n"
        (folder / "tree.yaml").write_text(self.POLICY + (config_map if record else "") + PROXY)
        return str(folder)

    def test_advisories_explain_the_denial_and_the_fix(self, run: Run, tmp_path: Path) -> None:
        folder = self.tree(tmp_path, self.RECORD)
        old = json.loads(run("explain", "go", "example.com/m@v1.1.0", "-f", folder, "-o", "json").out)
        new = json.loads(run("explain", "go", "example.com/m@v1.2.0", "-f", folder, "-o", "json").out)

        assert (old["verdict"], old["rule"]) == ("deny", "team-a/base#go-2026-1")
        assert old["reason"] == "GO-2026-1: Panic; fixed in v1.2.0"
        assert new["verdict"] == "sync"

    @pytest.mark.parametrize(
        ("record", "kind", "severity"), [("", "AdvisoriesNotFound", "warning"), ("{", "InvalidAdvisory", "error")]
    )
    def test_lint_names_advisories_that_cannot_be_read(
        self, run: Run, tmp_path: Path, record: str, kind: str, severity: str
    ) -> None:
        found = json.loads(run("policy", "lint", self.tree(tmp_path, record), "-o", "json").out)

        assert [(finding["kind"], finding["severity"]) for finding in found] == [(kind, severity)]


PROXY_OF_NO_NAMESPACE = """\
apiVersion: athensproxy.dev/v1beta1
kind: AthensProxy
metadata: {name: go}
spec: {storage: {type: memory, memory: {}}}
"""


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000 + "]" * 5000,
        "{{ .Values.name }}: y\n",
        "kind: DownloadPolicy\nmetadata: 5\n",
        "kind: DownloadPolicy\nmetadata: {name: a, labels: 5}\n",
        "kind: Namespace\nmetadata: [a]\n",
        "kind: ConfigMap\nmetadata: {name: a}\ndata: x\n",
        "kind: AthensProxy\nmetadata: {name: a, annotations: [b]}\n",
    ],
    ids=["depth", "template", "metadata", "labels", "namespace", "data", "annotations"],
)
def test_a_file_that_holds_no_objects_is_told_in_one_line(run: Run, tmp_path: Path, text: str) -> None:
    file = tmp_path / "strange.yaml"
    file.write_text(text)

    done = run("policy", "lint", str(file))

    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert str(file) in done.err


def test_a_list_that_is_none_is_told_in_words_of_yaml(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("kind: DownloadPolicy\nmetadata: {name: a}\nspec: {rules: 5, proxySelector: 7}\n")

    done = run("policy", "lint", str(file), "-o", "json")

    assert {(found["path"], found["message"]) for found in json.loads(done.out)} >= {
        ("spec.proxySelector", "write fields with values")
    }


def test_standard_input_is_read_as_kubectl_does_and_put_into_the_namespace_of_the_option(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PROXY_OF_NO_NAMESPACE.encode())))

    done = run("-n", "team-b", "explain", "team-b/go", "example.com/x", "-f", "-", "-o", "json")

    assert json.loads(done.out)["verdict"] == "sync"


def test_a_report_that_cannot_be_written_is_told(run: Run, fleet: str, tmp_path: Path) -> None:
    tests = tmp_path / "tests.yaml"
    tests.write_text("proxy: team-a/go\nexpect: [{module: example.com/evil, verdict: deny}]\n")

    done = run("policy", "test", str(tests), "-f", fleet, "--junit", str(tmp_path / "no" / "report.xml"))

    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "cannot be written: No such file or directory" in done.err
