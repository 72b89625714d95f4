"""What every command shares: the cluster that the options name, and the choice between it and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from athens_cli.cluster import Cluster
from athens_cli.objects import Objects, read_files
from athens_operator.spec import AthensProxy

pass_cluster = click.make_pass_decorator(Cluster)

files_option = click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="PATH",
    help="Read files and folders instead of a cluster; may be repeated.",
)


def found(cluster: Cluster, files: Sequence[str], proxy: str) -> tuple[Objects, AthensProxy, dict[str, Any]]:
    """The objects, the proxy among them, and its status ({} offline).

    Raises:
        CliError: a file, the proxy or the cluster cannot be read.
    """
    if files:
        objects = read_files(files)
        return objects, objects.proxy(proxy, cluster.namespace), {}
    body = cluster.proxy(proxy)
    objects = cluster.objects(body)
    return objects, objects.proxy(body["metadata"]["name"]), body.get("status") or {}
