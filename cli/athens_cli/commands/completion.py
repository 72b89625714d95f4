"""`kubectl athens completion`: the script that completes commands in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from athens_cli.errors import InputError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """The completion script for SHELL.

    bash: put `source <(kubectl-athens completion bash)` into ~/.bashrc. kubectl completes plugins through a file
    `kubectl_complete-athens` on PATH, which the documentation shows.
    """
    found = get_completion_class(shell)
    if found is None:
        raise InputError(f"no completion for {shell}; choose bash, zsh or fish")
    root = context.find_root().command
    click.echo(found(root, {}, "kubectl-athens", "_KUBECTL_ATHENS_COMPLETE").source())
