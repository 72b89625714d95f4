"""The commands of `kubectl athens`, as a table of contents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from athens_cli.cluster import Cluster
from athens_cli.commands import proxy
from athens_cli.commands.catalog import catalog
from athens_cli.commands.completion import completion
from athens_cli.commands.explain import explain
from athens_cli.commands.policy import policy
from athens_cli.errors import NobodyReads

_EVERYWHERE: Final = ("-n", "--namespace", "--context", "--kubectl")


class AsKubectl(click.Group):
    """Takes the options of the cluster behind a command too, as kubectl does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What is left for the command once these options stand in front."""
        return super().parse_args(ctx, in_front(args))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click would end the process with status 1, an answer of ours, where nobody reads."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise NobodyReads from error


def in_front(args: Sequence[str]) -> list[str]:
    """The same words with the options of the cluster first; what follows `--` stays where it is."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _EVERYWHERE:
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        elif word.startswith(tuple(f"{name}=" for name in _EVERYWHERE[1:])):
            front.append(word)
        else:
            rest.append(word)
    return [*front, *rest]


@click.group(cls=AsKubectl, context_settings={"help_option_names": ["-h", "--help"]})
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
    catalog,
    proxy.reconcile,
    proxy.suspend,
    proxy.resume,
    completion,
):
    cli.add_command(command)
