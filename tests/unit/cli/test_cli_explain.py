"""`kubectl athens explain` offline: which rule decides, from which object and tier, and what the others would do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from athens_policy.decide import compile_policy, digest
from athens_policy.parse import parse

Run = Callable[..., Any]


def test_a_denied_module_names_rule_object_tier_and_reason(run: Run, fleet: str) -> None:
    done = run("explain", "team-a/go", "example.com/evil@v1.0.0", "-f", fleet, "-o", "json")
    answer = json.loads(done.out)

    assert done.code == 0
    assert answer["verdict"] == "deny"
    assert answer["rule"] == "guard#evil"
    assert (answer["object"], answer["tier"]) == ("ClusterDownloadPolicy guard", "Mandatory")
    assert answer["reason"] == "SEC-112, typosquat"
    assert answer["answers"]["stored"].startswith("403")


@pytest.mark.parametrize(
    ("module", "verdict", "rule"),
    [
        ("example.org/crypto@v0.26.0", "deny", "guard#crypto"),
        ("example.org/crypto@v0.31.0", "sync", "default"),
        ("example.org/crypto", "sync", "default"),
        ("k8s.io/kubernetes@v1.30.0", "redirect", "team-a/base#big"),
        ("git.corp.example/x/y", "sync", "team-a/base#internal"),
    ],
)
def test_each_module_has_the_verdict_of_its_first_rule(
    run: Run, fleet: str, module: str, verdict: str, rule: str
) -> None:
    answer = yaml.safe_load(run("explain", "go", module, "-f", fleet, "-o", "yaml").out)

    assert (answer["verdict"], answer["rule"]) == (verdict, rule)


def test_latest_is_no_version_but_the_question_about_latest(run: Run, fleet: str) -> None:
    of_latest = run("explain", "go", "example.org/crypto@latest", "-f", fleet, "-o", "json")

    assert of_latest.out == run("explain", "go", "example.org/crypto", "-f", fleet, "-o", "json").out


@pytest.mark.parametrize(
    "asked",
    [
        *("", "@v1.0.0", "https://github.com/x/y", "example.com/x y", "example.com/x/"),
        *(f"example.com/x@{query}" for query in ("main", "v1", "v1.2", "v1.2.3+meta", "+incompatible")),
    ],
)
def test_what_names_no_module_or_version_gets_no_verdict(run: Run, fleet: str, asked: str) -> None:
    """A verdict about an address would be one about nothing, and look like a truth."""
    done = run("explain", "go", asked, "-f", fleet)

    assert (done.code, done.out) == (2, "")
    assert "write" in done.err


def test_other_rules_are_told_with_what_they_would_have_done(run: Run, fleet: str) -> None:
    answer = json.loads(run("explain", "go", "example.org/crypto@v1.0.0", "-f", fleet, "-o", "json").out)

    assert [(other["rule"], other["would"]) for other in answer["others"]] == [("guard#crypto", "deny")]
    assert ">=v0.25.0 <v0.31.0" in answer["others"][0]["why"]


def test_people_get_labelled_lines(run: Run, fleet: str) -> None:
    out = run("explain", "go", "example.com/evil@v1.0.0", "-f", fleet).out

    assert "verdict" in out
    assert "ClusterDownloadPolicy guard (Mandatory)" in out
    assert "SEC-112, typosquat" in out


def test_the_digest_is_that_of_the_rendered_file(run: Run, fleet: str) -> None:
    rendered = run("policy", "render", "go", "-f", fleet).out
    answer = json.loads(run("explain", "go", "x.example/y", "-f", fleet, "-o", "json").out)

    assert answer["digest"] == digest(rendered.encode())
    assert len(parse(rendered).blocks) == 4
    assert compile_policy(parse(rendered)).covering("example.com/evil")[0].name == "guard#evil"


def test_what_changes_no_rule_changes_no_byte(run: Run, fleet: str, tmp_path: Path) -> None:
    """Order of fields and documents, comments, labels, annotations, generations, times: the digest stays."""
    shuffled = []
    for document in reversed(list(yaml.safe_load_all(Path(fleet).read_text()))):
        metadata = {
            "generation": 7,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"a": "b"},
            "annotations": {"reviewed-by": "someone"},
            **document["metadata"],
        }
        shuffled.append({**document, "metadata": metadata, "spec": dict(reversed(document["spec"].items()))})
    other = tmp_path / "other.yaml"
    other.write_text("# another comment\n" + yaml.safe_dump_all(shuffled, default_flow_style=False))

    assert run("policy", "render", "go", "-f", str(other)).out == run("policy", "render", "go", "-f", fleet).out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["explain", "nope", "x.example/y", "-f", "{fleet}"], "there is team-a/go"),
        (["explain", "go", "x.example/y", "-f", "/no/such.yaml"], "name a YAML file or a folder"),
        (["explain", "go"], "Missing argument"),
        (["policy", "lint", "/no/such"], "does not exist"),
        (["explain", "go", "x.example/y", "--kubectl-typo"], "No such option"),
        (["--kubectl", "/no/kubectl", "explain", "go", "x.example/y"], "install it or work with --file"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(run: Run, fleet: str, arguments: list[str], says: str) -> None:
    done = run(*(argument.format(fleet=fleet) for argument in arguments))

    assert done.code == 2
    assert done.err.count("\n") == 1
    assert says in done.err
    assert "Traceback" not in done.err
