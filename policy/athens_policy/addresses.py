"""Checks of the addresses in a policy: download URLs and upstream chains in Go's GOPROXY grammar. No I/O."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

MAX_LENGTH: Final = 2_048
_SEPARATORS: Final = re.compile(r"[,|]")
_SCHEMES: Final = ("http", "https")


def url_problem(text: str, *, with_user_info: bool) -> str:
    """Why the text is no download URL, as the end of a sentence that begins with the field; "" if it is one.

    Args:
        text: the URL.
        with_user_info: whether a user name and password may stand in it; not in objects that many may read.
    """
    problem = _text_problem(text)
    if problem:
        return problem
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL; write https://host/path"
    if parts.scheme.lower() not in _SCHEMES or not host:
        return "is not an absolute http or https URL; write https://host/path"
    if not with_user_info and "@" in parts.netloc:
        return "has a user name or password; remove it, this text is readable by many"
    return ""


def chain_problem(text: str, *, with_user_info: bool) -> str:
    """Why the text is no upstream chain, as the end of a sentence that begins with the field; "" if it is one.

    Source: https://go.dev/ref/mod#goproxy-protocol (GOPROXY: entries joined by `,` or `|`).
    """
    problem = _text_problem(text)
    if problem:
        return problem
    for entry in _SEPARATORS.split(text):
        if entry in ("direct", "off") or (entry.startswith("file:///") and len(entry) > len("file:///")):
            continue
        if url_problem(entry, with_user_info=True):
            return "is not a chain of http(s):// or file:/// addresses, direct or off, joined by ',' or '|'"
        if not with_user_info and "@" in urlsplit(entry).netloc:
            return "has a user name or password; configure credentials for the host instead"
    return ""


def _text_problem(text: str) -> str:
    if len(text) > MAX_LENGTH:
        return f"has {len(text)} characters; at most {MAX_LENGTH} are allowed"
    if not text.isascii() or not text.isprintable() or any(character in ' "\\`<>' for character in text):
        return "has a character that no address has: remove spaces, quotes and the like"
    if "${" in text or "%{" in text:
        return "has a template sign (${ or %{); write the address itself"
    return ""
