"""The commands by the words that call them; each is imported when it is called, so that serving starts without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Final

from athens_proxy.config.load import ReadFile

Command = Callable[[Sequence[str], Mapping[str, str], ReadFile], int]
_MODULES: Final[Mapping[str, str]] = {
    "copy": "copy",
    "export": "export",
    "import": "import_command",
    "prefetch": "prefetch",
    "purge": "purge",
    "reindex": "reindex",
    "verify": "verify",
}


def command_named(argv: Sequence[str]) -> Command | None:
    """What the first argument calls, None when it is no command but a flag of the server."""
    module = _MODULES.get(argv[0]) if argv else None
    if module is None:
        return None
    command: Command = import_module(f"athens_proxy.commands.{module}").main
    return command
