"""`kubectl athens status, env, events`, and the switches `reconcile`, `suspend`, `resume`."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.text import Text
from rich.tree import Tree

from athens_cli.cluster import ATHENSPROXIES, Cluster
from athens_cli.commands.session import pass_cluster
from athens_cli.errors import ClusterUnavailable
from athens_cli.output import Format, console, emit_document, emit_rows, output_option
from athens_operator.spec.proxy import REQUESTED_AT_ANNOTATION

_CHILDREN: Final = "deployment,pod,service,persistentvolumeclaim,horizontalpodautoscaler,poddisruptionbudget,ingress"
_READY: Final = "ready"
_SHELL_NAME: Final = re.compile(r"[A-Z]+")


@click.command()
@click.argument("proxy")
@output_option
@pass_cluster
def status(cluster: Cluster, proxy: str, output: str) -> None:
    """The tree of PROXY: conditions, policies, children, pods with what they enforce."""
    body = cluster.proxy(proxy)
    metadata = body["metadata"]
    selector = f"--selector=athensproxy.dev/proxy={metadata['name']}"
    children = cluster.get(_CHILDREN, selector, namespace=metadata["namespace"])["items"]
    document = {
        "proxy": f"{metadata['namespace']}/{metadata['name']}",
        "phase": (body.get("status") or {}).get("phase", "Unknown"),
        "conditions": (body.get("status") or {}).get("conditions", []),
        "policy": (body.get("status") or {}).get("policy", {}),
        "children": [
            {"kind": child["kind"], "name": child["metadata"]["name"], "state": _state(child)} for child in children
        ],
    }
    if output == Format.TABLE:
        console().print(_tree(document))
    else:
        emit_document(document, output)


@click.command()
@click.argument("proxy")
@output_option
@pass_cluster
def env(cluster: Cluster, proxy: str, output: str) -> None:
    """The settings of a go client that uses PROXY, for `eval "$(kubectl athens env PROXY)"`."""
    client = (cluster.proxy(proxy).get("status") or {}).get("client") or {}
    settings = {name.upper(): str(value) for name, value in client.items() if value}
    if not settings:
        raise ClusterUnavailable(f"AthensProxy {proxy} has no address yet; see: kubectl athens status {proxy}")
    if output != Format.TABLE:
        emit_document(settings, output)
        return
    for name, value in settings.items():
        if _SHELL_NAME.fullmatch(name):
            click.echo(f"export {name}={shlex.quote(value)}")


@click.command()
@click.argument("proxy")
@output_option
@pass_cluster
def events(cluster: Cluster, proxy: str, output: str) -> None:
    """What happened to PROXY lately, oldest first."""
    metadata = cluster.proxy(proxy)["metadata"]
    fields = f"--field-selector=involvedObject.kind=AthensProxy,involvedObject.name={metadata['name']}"
    rows = [
        {
            "when": event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp"),
            "type": event.get("type", ""),
            "reason": event.get("reason", ""),
            "message": event.get("message", ""),
        }
        for event in cluster.get("events", fields, namespace=metadata["namespace"])["items"]
    ]
    rows.sort(key=lambda row: str(row["when"]))
    headings = {"when": "WHEN", "type": "TYPE", "reason": "REASON", "message": "MESSAGE"}
    emit_rows(rows, headings, output, empty="nothing happened lately")


@click.command()
@click.argument("proxy")
@pass_cluster
def reconcile(cluster: Cluster, proxy: str) -> None:
    """Ask the operator to look at PROXY now."""
    nonce = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    _change(cluster, proxy, {"metadata": {"annotations": {REQUESTED_AT_ANNOTATION: nonce}}})
    click.echo(f"asked; status.lastHandledReconcileAt becomes {nonce}")


@click.command()
@click.argument("proxy")
@pass_cluster
def suspend(cluster: Cluster, proxy: str) -> None:
    """Freeze the children of PROXY; status is still written."""
    _change(cluster, proxy, {"spec": {"suspend": True}})
    click.echo(f"suspended; undo it with: kubectl athens resume {proxy}")


@click.command()
@click.argument("proxy")
@pass_cluster
def resume(cluster: Cluster, proxy: str) -> None:
    """Let the operator write the children of PROXY again."""
    _change(cluster, proxy, {"spec": {"suspend": False}})
    click.echo("resumed")


def _change(cluster: Cluster, proxy: str, patch: Mapping[str, Any]) -> None:
    namespace, _, name = proxy.rpartition("/")
    arguments = ("patch", ATHENSPROXIES, name, "--type=merge", f"--patch={json.dumps(patch)}")
    cluster.run(*arguments, namespace=namespace or None)


def _state(child: Mapping[str, Any]) -> str:
    found = child.get("status") or {}
    match child["kind"]:
        case "Deployment":
            return f"{found.get('readyReplicas', 0)}/{child['spec'].get('replicas', 1)} ready"
        case "Pod":
            ready = any(one["type"] == "Ready" and one["status"] == "True" for one in found.get("conditions", ()))
            return _READY if ready else str(found.get("phase", "unknown")).lower()
        case "PersistentVolumeClaim":
            return str(found.get("phase", "unknown")).lower()
        case _:
            return ""


def _tree(document: Mapping[str, Any]) -> Tree:
    tree = Tree(Text(f"AthensProxy {document['proxy']}: {document['phase']}"))
    conditions = tree.add("conditions")
    for one in document["conditions"]:
        conditions.add(Text(f"{one['type']}={one['status']} {one['reason']}: {one['message']}"))
    policy = document["policy"]
    listed = tree.add(Text(f"policy {policy.get('revision', 'none')}, programmed {policy.get('programmed', '0/0')}"))
    for source in policy.get("sources", ()):
        name = "/".join(filter(None, (source.get("namespace", ""), source["name"])))
        listed.add(Text(f"{source['kind']} {name} ({source['tier']}), {source['rules']} rules"))
    lagging = {pod.get("pod"): pod.get("digest") or "unreachable" for pod in policy.get("lagging", ())}
    for conflict in policy.get("conflicts", ()):
        by = f" by {conflict['by']}" if conflict.get("by") else ""
        listed.add(Text(f"{conflict['class']}: {conflict['rule']} {conflict['pattern']}{by}"))
    children = tree.add("children")
    for child in document["children"]:
        serves = child["kind"] == "Pod" and child["state"] == _READY
        enforces = f", enforces {lagging.get(child['name'], policy.get('revision', 'nothing'))}" if serves else ""
        children.add(Text(f"{child['kind']} {child['name']} {child['state']}{enforces}".rstrip()))
    return tree
