"""`kubectl athens explain`: why a module is served as it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from athens_cli.cluster import Cluster
from athens_cli.commands.session import files_option, merged, pass_cluster
from athens_cli.explain import Explainer, Question, asked_about, lines_of
from athens_cli.output import Format, emit_document, emit_lines, emit_rows, output_option

_OTHERS = {"rule": "OTHER RULE", "tier": "TIER", "pattern": "PATTERN", "would": "WOULD", "why": "WHY NOT"}


@click.command()
@click.argument("proxy")
@click.argument("module")
@click.option("--first-seen", type=click.DateTime(), help="When the proxy first saw the version, in UTC; for minAge.")
@files_option
@output_option
@pass_cluster
def explain(
    cluster: Cluster, proxy: str, module: str, first_seen: datetime | None, files: tuple[str, ...], output: str
) -> None:
    """Why PROXY answers as it does for MODULE[@VERSION].

    PROXY is a name, or namespace/name. Without a version the question is about the list and @latest. Without the right
    to read every policy the answer is taken from the file that the operator rendered.
    """
    path, version = asked_about(module)
    policy, status, taken_from = merged(cluster, files, proxy)
    explainer = Explainer(policy)
    seen = first_seen.replace(tzinfo=UTC) if first_seen else None
    answer = explainer.explanation(Question(path, version, seen, datetime.now(UTC)))
    if status:
        answer["pods"] = enforced(status, explainer.digest)
    if taken_from:
        answer["takenFrom"] = taken_from
    if output != Format.TABLE:
        emit_document(answer, output)
        return
    pods = [("pods", answer["pods"]["says"])] if status else []
    emit_lines([*lines_of(answer), *pods, *([("taken from", taken_from)] if taken_from else [])])
    if answer["others"]:
        click.echo()
        emit_rows(answer["others"], _OTHERS, output, empty="")


def enforced(status: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """What the running pods enforce, compared with what is explained."""
    policy = status.get("policy") or {}
    programmed, live = policy.get("programmed", "0/0"), policy.get("digest", "")
    lagging = [f"{pod.get('pod')} ({pod.get('digest') or 'unreachable'})" for pod in policy.get("lagging") or ()]
    if live != digest:
        says = f"not yet: {programmed} pods enforce {live[7:15] or 'nothing'}; see: kubectl athens status"
    else:
        says = f"{programmed} pods enforce it" + (f"; lagging: {', '.join(lagging)}" if lagging else "")
    return {"programmed": programmed, "digest": live, "same": live == digest, "lagging": lagging, "says": says}
