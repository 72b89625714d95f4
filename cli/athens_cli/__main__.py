"""`kubectl-athens`: runs the command, says in one line what went wrong."""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

import click

from athens_cli.app import cli
from athens_cli.errors import CliError, NobodyReads

_NOBODY_READS: Final = 128 + signal.SIGPIPE  # what a shell says of programs that this signal ended


def main() -> None:
    """Exit code 0: done. 1: the answer is no. 2: the question cannot be answered. 141: nobody reads the answer."""
    try:
        code = _run()
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a failure can still be told
    except (BrokenPipeError, NobodyReads):
        _leave_output()
        code = _NOBODY_READS
    except OSError as error:
        _leave_output()
        what = error.filename or "writing the answer"
        print(f"kubectl-athens: {what}: {error.strerror}; see: kubectl athens --help", file=sys.stderr)
        code = 2
    sys.exit(code)


def _run() -> int:
    try:
        return cli.main(prog_name="kubectl-athens", standalone_mode=False) or 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        return 130
    except click.ClickException as error:
        print(f"kubectl-athens: {error.format_message()}; see: kubectl athens --help", file=sys.stderr)
        return 2
    except CliError as error:
        print(f"kubectl-athens: {error}", file=sys.stderr)
        return 2


def _leave_output() -> None:
    """Have the end of the process write what is left to nowhere: Python would end with status 120 otherwise."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


if __name__ == "__main__":
    main()
