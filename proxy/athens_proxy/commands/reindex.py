"""`athens-proxy reindex [-config_file PATH]`: record everything the store holds in the index, while proxies may serve.

For modules that were stored before there was an index, by Athens or by hand. Prints one JSON document. Exit status: 0
when the index holds everything, 1 when it does not, 2 for a wrong command line, 130 when interrupted. Running it again
changes nothing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

import uvloop

from athens_proxy.commands.summary import told
from athens_proxy.config.load import ConfigError, ReadFile, UsageError, load
from athens_proxy.config.sections import Config
from athens_proxy.errors import CannotStart, NotSupported, ProxyError
from athens_proxy.replicas import open_index
from athens_proxy.stores import open_storage

PAGE: Final = 1000
_OF_ONE_PROCESS: Final = ("none", "", "memory")


def main(argv: Sequence[str], environ: Mapping[str, str], read_file: ReadFile) -> int:
    """Run the command; returns its exit status.

    Args:
        argv: what follows `reindex`.
        environ: the process environment.
        read_file: reads configuration files.
    """
    begun = time.monotonic()
    try:
        config = load(argv, environ, read_file)
        found, recorded = uvloop.run(_recorded(config, environ))
    except KeyboardInterrupt:
        return told("interrupted; run the same command again to go on", 130)
    except UsageError as error:
        return told(f"{error}\nUsage: athens-proxy reindex [-config_file PATH]", 2)
    except NotSupported as error:
        return told(f"{error}; index the store behind it", 1)
    except (ConfigError, CannotStart, ProxyError) as error:
        return told(str(error), 1)
    print(json.dumps({"found": found, "recorded": recorded, "seconds": round(time.monotonic() - begun, 3)}, indent=2))
    return 0


async def _recorded(config: Config, environ: Mapping[str, str]) -> tuple[int, int]:
    """How many versions the store holds, and how many of them were new to the index."""
    if config.index.type in _OF_ONE_PROCESS:
        origin = config.origins["IndexType"]
        raise CannotStart(f'{origin.name}: "{config.index.type}" keeps nothing; use mysql or postgres')
    found = recorded = 0
    async with AsyncExitStack() as closing:
        storage = await open_storage(config, environ)
        closing.push_async_callback(storage.close)
        index = await open_index(config)
        closing.push_async_callback(index.close)
        token = ""
        while True:
            page = await storage.catalog(token=token, limit=PAGE)
            for entry in page.entries:
                recorded += await index.record(entry)
                found += 1
                _show(found)
            token = page.next_token
            if not token:
                return found, recorded


def _show(found: int) -> None:
    """A counter for people at a terminal; the catalogue does not say how much is left."""
    if sys.stderr.isatty() and found % 100 == 0:
        sys.stderr.write(f"\r\x1b[K{found} versions")
        sys.stderr.flush()
