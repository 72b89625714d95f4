"""The commands of `kubectl athens`, as a table of contents."""

from __future__ import annotations

import click

from athens_cli.cluster import Cluster
from athens_cli.commands import proxy
from athens_cli.commands.completion import completion
from athens_cli.commands.explain import explain
from athens_cli.commands.policy import policy


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="athens-operator", prog_name="kubectl-athens")
@click.option("-n", "--namespace", default="", help="Namespace of the proxy; the context's own if left out.")
@click.option("--context", "kube_context", default="", help="Context of the kubeconfig; the current one if left out.")
@click.option("--kubectl", default="kubectl", envvar="KUBECTL", show_default=True, help="The kubectl command.")
@click.pass_context
def cli(context: click.Context, namespace: str, kube_context: str, kubectl: str) -> None:
    """Ask Go module proxies why they serve what they serve, and check their download policies.

    explain and policy work without a cluster when --file names the objects.
    """
    context.obj = Cluster(kubectl, kube_context, namespace)


for command in (
    explain,
    policy,
    proxy.status,
    proxy.env,
    proxy.events,
    proxy.catalog,
    proxy.reconcile,
    proxy.suspend,
    proxy.resume,
    completion,
):
    cli.add_command(command)
