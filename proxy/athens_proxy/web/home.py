"""The page for people who open the proxy's address in a browser: ours, or the template of `HomeTemplatePath`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from athens_proxy.policy.enforced import LoadedPolicy
from athens_proxy.web.go_template import Template, TemplateError

MAX_TEMPLATE_BYTES: Final = 1024 * 1024
_LOG: Final = logging.getLogger(__name__)
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Go module proxy</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ overflow-x: auto; padding: .75rem; border: 1px solid }}
dt {{ font-weight: bold }} dd {{ margin: 0 0 .5rem; overflow-wrap: anywhere }}
</style>
</head>
<body>
<main>
<h1>Go module proxy</h1>
<h2>Use it</h2>
<pre tabindex="0">go env -w GOPROXY={url}</pre>
{no_sum}<h2>Download policy</h2>
<dl>
<dt>Default mode</dt><dd>{mode}</dd>
<dt>Rules</dt><dd>{rules} (<a href="{prefix}/-/policy">all of them, as JSON</a>)</dd>
<dt>Digest</dt><dd><code>{digest}</code></dd>
<dt>Loaded</dt><dd>{loaded_at} from {source}</dd>
</dl>
<h2>Cache</h2>
<dl>
<dt>Files served from the store since the start</dt><dd>{hits}</dd>
<dt>Files that were not stored yet</dt><dd>{misses}</dd>
<dt>Stored modules</dt><dd>{page}<a href="{prefix}/catalog">catalogue, as JSON</a></dd>
</dl>
</main>
</body>
</html>
"""
_NO_SUM: Final = """<h2>Modules outside the checksum database</h2>
<pre tabindex="0">go env -w GONOSUMDB={patterns}</pre>
"""


_LINK: Final = '<a href="{prefix}/-/ui">page with search</a>, '


@dataclass(frozen=True, slots=True)
class HomeFacts:
    """What a page tells.

    Attributes:
        prefix: where everything is mounted.
        no_sum_patterns: modules that clients must not look up in the checksum database.
        policy: what is enforced now.
        lookups: stored and not stored files that were asked for.
        has_page: whether stored modules can be looked at in a browser.
    """

    prefix: str
    no_sum_patterns: Sequence[str]
    policy: Callable[[], LoadedPolicy]
    lookups: Callable[[], tuple[int, int]]
    has_page: bool = False


class HomePage:
    """Renders the page; a template that changed is read again, one that is absent or broken leaves the built-in page.

    Args:
        template: the path of a Go template with `.Host` and `.NoSumPatterns`.
        facts: for the built-in page.
    """

    def __init__(self, template: Path, facts: HomeFacts) -> None:
        self._path = template
        self._facts = facts
        self._template: Template | None = None
        self._seen: tuple[int, int, int] | None = None

    async def render(self, *, host: str, secure: bool) -> str:
        """The HTML text; every value is escaped.

        Args:
            host: the Host header of the request.
            secure: whether the client speaks https to us or to what stands in front of us.
        """
        await asyncio.to_thread(self._refresh)
        address = f"{'https' if secure else 'http'}://{host}"
        if self._template is None:
            return self._built_in(address)
        return self._template.render({"Host": address, "NoSumPatterns": ",".join(self._facts.no_sum_patterns)})

    def _refresh(self) -> None:
        try:
            stat = self._path.stat()
        except OSError:
            self._template = self._seen = None
            return
        seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if seen != self._seen:
            self._seen = seen
            self._template = _read(self._path)

    def _built_in(self, address: str) -> str:
        policy, (hits, misses) = self._facts.policy(), self._facts.lookups()
        patterns = ",".join(self._facts.no_sum_patterns)
        prefix = escape(self._facts.prefix)
        return _PAGE.format(
            url=escape(address + self._facts.prefix),
            prefix=prefix,
            page=_LINK.format(prefix=prefix) if self._facts.has_page else "",
            no_sum=_NO_SUM.format(patterns=escape(patterns)) if patterns else "",
            mode=escape(str(policy.file.mode)),
            rules=len(policy.file.blocks),
            digest=escape(policy.digest),
            loaded_at=f"{policy.loaded_at:%Y-%m-%d %H:%M:%S} UTC",
            source=escape(policy.source),
            hits=hits,
            misses=misses,
        )


def _read(path: Path) -> Template | None:
    """The template of a file; None, with one line in the log, when it cannot be used."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TEMPLATE_BYTES + 1)
        if len(data) > MAX_TEMPLATE_BYTES:
            raise TemplateError(f"it is larger than {MAX_TEMPLATE_BYTES} bytes")
        return Template.parse(data.decode("utf-8"))
    except OSError as error:
        why = error.strerror or type(error).__name__
    except ValueError as error:
        why = str(error) if isinstance(error, TemplateError) else "it is not UTF-8 text"
    _LOG.error("HomeTemplatePath: %s cannot be used, the built-in page is shown: %s", path, why)
    return None
