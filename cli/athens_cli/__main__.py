"""`kubectl-athens`: runs the command, says in one line what went wrong."""

from __future__ import annotations

import sys

import click

from athens_cli.app import cli
from athens_cli.errors import CliError


def main() -> None:
    """Exit code 0: done. 1: the answer is no. 2: the question cannot be answered."""
    try:
        sys.exit(cli.main(prog_name="kubectl-athens", standalone_mode=False) or 0)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        print(f"kubectl-athens: {error.format_message()}; see: kubectl athens --help", file=sys.stderr)
        sys.exit(2)
    except CliError as error:
        print(f"kubectl-athens: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
