"""`kubectl athens policy`: render, lint, diff, test and import policies, from files or a cluster."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from athens_cli.cluster import Cluster
from athens_cli.commands.session import files_option, found, pass_cluster
from athens_cli.compare import changes
from athens_cli.errors import InputError
from athens_cli.expectations import Outcome, junit, outcomes, suite
from athens_cli.explain import Explainer
from athens_cli.gosum import module_versions
from athens_cli.lint import Severity, findings
from athens_cli.located import documents, text_of
from athens_cli.objects import read_files
from athens_cli.output import Format, emit_document, emit_rows, output_option
from athens_cli.sarif import sarif
from athens_policy.render import render as rendered

_CHANGES = {
    "proxy": "PROXY",
    "module": "MODULE",
    "version": "VERSION",
    "before": "BEFORE",
    "after": "AFTER",
    "ruleAfter": "RULE",
    "reason": "REASON",
}


@click.group()
def policy() -> None:
    """Check download policies before a cluster sees them."""


@policy.command()
@click.argument("proxy")
@files_option
@pass_cluster
def render(cluster: Cluster, proxy: str, files: tuple[str, ...]) -> None:
    """The download file of PROXY, byte for byte as the operator writes it."""
    objects, wanted, _ = found(cluster, files, proxy)
    click.echo(rendered(objects.merged(wanted)), nl=False)


@policy.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml", "sarif"]),
    default="table",
    show_default=True,
    help="How to answer.",
)
def lint(paths: tuple[str, ...], strict: bool, output: str) -> None:
    """Find mistakes in the policies and proxies of files and folders.

    Exit code 0: nothing to correct. 1: something is. 2: the files cannot be read.
    """
    objects = read_files(paths)
    found = findings(objects)
    if output == "sarif":
        emit_document(sarif(found), Format.JSON)
    else:
        rows = [{**asdict(finding), "place": f"{finding.file}:{finding.line}"} for finding in found]
        rows = [{name: str(value) if name != "line" else value for name, value in row.items()} for row in rows]
        headings = {"place": "WHERE", "severity": "SEVERITY", "kind": "KIND", "path": "FIELD", "message": "MESSAGE"}
        emit_rows(rows, headings, output, empty=f"nothing to correct (policies and proxies: {objects.count})")
    if any(strict or finding.severity is Severity.ERROR for finding in found):
        raise click.exceptions.Exit(1)


@policy.command()
@click.argument("go_sums", nargs=-1, required=True, metavar="GO.SUM...")
@click.option("--from", "old", multiple=True, metavar="PATH", help="Files as they are; the cluster if left out.")
@click.option("--to", "new", multiple=True, required=True, metavar="PATH", help="Files as they are to be.")
@click.option("--proxy", "names", multiple=True, help="Only these proxies; all of --to if left out.")
@output_option
@pass_cluster
def diff(
    cluster: Cluster,
    go_sums: tuple[str, ...],
    old: tuple[str, ...],
    new: tuple[str, ...],
    names: tuple[str, ...],
    output: str,
) -> None:
    """Which modules of these go.sum files would change their verdict.

    Exit code 0: none. 1: some. 2: the question cannot be answered.
    """
    wanted = {pair: None for path in go_sums for pair in module_versions(text_of(path), path)}
    after = read_files(new, cluster.namespace)
    rows = []
    for name in names or [f"{proxy.namespace}/{proxy.name}" for proxy, _ in after.proxies]:
        before, was, _ = found(cluster, old, name)
        will = after.proxy(name, cluster.namespace)
        explainers = Explainer(before.merged(was)), Explainer(after.merged(will))
        rows += [{"proxy": name, **row} for row in changes(*explainers, wanted)]
    emit_rows(rows, _CHANGES, output, empty=f"no verdict of {len(wanted)} module versions changes")
    if rows:
        raise click.exceptions.Exit(1)


@policy.command("test")
@click.argument("tests", nargs=-1, required=True, metavar="TEST...")
@files_option
@click.option("--junit", "junit_path", type=click.Path(dir_okay=False), help="Write JUnit XML here too.")
@output_option
@pass_cluster
def check(
    cluster: Cluster, tests: tuple[str, ...], files: tuple[str, ...], junit_path: str | None, output: str
) -> None:
    """Check the expectations of test files: which module has which verdict.

    Exit code 0: all hold. 1: some do not. 2: they cannot be checked.
    """
    explainers: dict[str, Explainer] = {}
    results: list[Outcome] = []
    for path in tests:
        for document in documents(text_of(path), path):
            wanted = suite(document)
            if wanted.proxy not in explainers:
                objects, proxy, _ = found(cluster, files, wanted.proxy)
                explainers[wanted.proxy] = Explainer(objects.merged(proxy))
            results += outcomes(wanted, explainers[wanted.proxy])
    if junit_path:
        _write(junit_path, junit(results))
    rows = [
        {
            "proxy": outcome.proxy,
            "module": outcome.expectation.name,
            "result": "FAIL" if outcome.problem else "ok",
            "problem": outcome.problem,
            "place": outcome.expectation.place,
        }
        for outcome in results
    ]
    shown = rows if output != Format.TABLE else [row for row in rows if row["problem"]]
    headings = {"place": "WHERE", "proxy": "PROXY", "module": "MODULE", "problem": "PROBLEM"}
    emit_rows(shown, headings, output, empty=f"{len(rows)} expectations hold")
    if Counter(row["result"] for row in rows)["FAIL"]:
        raise click.exceptions.Exit(1)


@policy.command("import")
@click.option("--from", "source", required=True, metavar="FILE", help="download.hcl, or a filter file.")
@click.option("--name", default="imported", show_default=True, help="Name of the DownloadPolicy.")
@click.option("--direct-url", default="", help="The proxy for lines with D of a filter file.")
@pass_cluster
def take_over(cluster: Cluster, source: str, name: str, direct_url: str) -> None:
    """A DownloadPolicy that says what a file of Athens says."""
    # Reading HCL takes a quarter of the start of a command; only this one needs it.
    from athens_cli.imports import from_download_file, from_filter_file

    text = text_of(source)
    try:
        is_filter = Path(source).suffix != ".hcl" and "download " not in text and "downloadURL" not in text
        imported = from_filter_file(text, direct_url) if is_filter else from_download_file(text)
        document = imported.policy(name, cluster.namespace)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    for note in imported.notes:
        click.echo(f"{source}: {note}", err=True)
    emit_document(document, Format.YAML)


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; name a file in a folder that exists") from error
