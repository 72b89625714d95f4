"""The page for people who open the proxy's address in a browser."""

from __future__ import annotations

from html import escape

from athens_proxy.policy.enforced import LoadedPolicy

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Go module proxy</title></head>
<body>
<main>
<h1>Go module proxy</h1>
<p>Let the go command use it:</p>
<pre>go env -w GOPROXY={url}</pre>
<h2>Download policy</h2>
<dl>
<dt>Default mode</dt><dd>{mode}</dd>
<dt>Rules</dt><dd>{rules}</dd>
<dt>Digest</dt><dd><code>{digest}</code></dd>
<dt>Loaded</dt><dd>{loaded_at} from {source}</dd>
</dl>
</main>
</body>
</html>
"""


def home_page(*, host: str, secure: bool, policy: LoadedPolicy) -> str:
    """The HTML text; every value is escaped.

    Args:
        host: the Host header of the request.
        secure: whether the client speaks https to us or to what stands in front of us.
        policy: what is enforced.
    """
    return _PAGE.format(
        url=escape(f"{'https' if secure else 'http'}://{host}"),
        mode=escape(str(policy.file.mode)),
        rules=len(policy.file.blocks),
        digest=escape(policy.digest),
        loaded_at=f"{policy.loaded_at:%Y-%m-%d %H:%M:%S} UTC",
        source=escape(policy.source),
    )
