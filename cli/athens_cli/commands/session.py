"""What every command shares: the cluster that the options name, and the choice between it and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from athens_cli.cluster import Cluster
from athens_cli.errors import InputError, NotAllowed
from athens_cli.objects import Objects, read_files
from athens_operator.spec import AthensProxy
from athens_policy.errors import PolicySyntaxError
from athens_policy.merge import MergedPolicy
from athens_policy.provenance import read_back

pass_cluster = click.make_pass_decorator(Cluster)

files_option = click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="PATH",
    help="Read files and folders, or - for standard input, instead of a cluster; may be repeated.",
)


def found(cluster: Cluster, files: Sequence[str], proxy: str) -> tuple[Objects, AthensProxy, dict[str, Any]]:
    """The objects, the proxy among them, and its status ({} offline).

    Raises:
        CliError: a file, the proxy or the cluster cannot be read.
    """
    if files:
        objects = read_files(files, cluster.namespace)
        return objects, objects.proxy(proxy, cluster.namespace), {}
    body = cluster.proxy(proxy)
    objects = cluster.objects(body)
    return objects, objects.proxy(body["metadata"]["name"]), body.get("status") or {}


def merged(cluster: Cluster, files: Sequence[str], proxy: str) -> tuple[MergedPolicy, dict[str, Any], str]:
    """The proxy's policy, its status ({} offline), and what the policy was taken from if not from the objects.

    Whoever may not read the policies of the cluster may read the file that came of them, which names every rule.

    Raises:
        CliError: a file, the proxy or the cluster cannot be read.
    """
    try:
        objects, wanted, status = found(cluster, files, proxy)
        return objects.merged(wanted), status, ""
    except NotAllowed as refused:
        body = cluster.proxy(proxy)
        name = f"{body['metadata']['namespace']}/{body['metadata']['name']}-policy"
        try:
            return read_back(cluster.rendered(body)), body.get("status") or {}, f"ConfigMap {name}; {refused}"
        except PolicySyntaxError as error:
            raise InputError(f"ConfigMap {name}: {error}; see: kubectl athens status {proxy}") from error
