"""`athens-proxy hash-password --user NAME [--token | --new]`: a line for a file of AuthClientsDir.

Reads the password or the token from standard input, so that it is in no list of processes and no history. Prints the
line. Exit status: 0, 1 for a password, token or name that cannot be used, 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys
from collections.abc import Sequence

from athens_proxy.clients.lines import UnusableLine, password_line, token_line

NEW_TOKEN_BYTES = 32


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit status.

    Args:
        argv: what follows `hash-password`.
    """
    asked = _parser().parse_args(argv)
    try:
        if asked.new:
            token = secrets.token_urlsafe(NEW_TOKEN_BYTES)
            line = token_line(asked.user, token)
            sys.stderr.write(f"the token, told only now: {token}\n")
        elif asked.token:
            line = token_line(asked.user, _read("Token: "))
        else:
            line = password_line(asked.user, _read("Password: "))
    except (UnusableLine, UnicodeDecodeError) as error:
        sys.stderr.write(f"hash-password: {_why(error)}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(f"{line}\n")
    return 0


def _read(prompt: str) -> str:
    """One line of standard input, without its end; a terminal does not show it."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.buffer.readline().decode().removesuffix("\n").removesuffix("\r")


def _why(error: UnusableLine | UnicodeDecodeError) -> str:
    return str(error) if isinstance(error, UnusableLine) else "standard input is not UTF-8 text"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="athens-proxy hash-password", description="Print a line for a file of AuthClientsDir."
    )
    parser.add_argument("--user", required=True, help="the name that clients show with it")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--token", action="store_true", help="standard input holds a token, not a password")
    kind.add_argument("--new", action="store_true", help="make a random token and say it on standard error")
    return parser
