"""A line-by-line port of Go's `path.Match` and Athens' `MatchesPattern`: slow, plain, and only for comparison.

Source: src/path/match.go of Go, pkg/paths/path.go of Athens. ASCII only.
"""

from __future__ import annotations


class BadPattern(Exception):
    """Go's ErrBadPattern."""


def match_prefix(pattern: str, target: str) -> bool:
    """Athens' MatchesPattern."""
    n = pattern.count("/")
    prefix = target
    for i, character in enumerate(target):
        if character == "/":
            if n == 0:
                prefix = target[:i]
                break
            n -= 1
    if n > 0:
        return False
    try:
        return path_match(pattern, prefix)
    except BadPattern:
        return False


def path_match(pattern: str, name: str) -> bool:
    """Go's path.Match; raises BadPattern."""
    while pattern:
        star, chunk, pattern = _scan_chunk(pattern)
        if star and not chunk:
            return "/" not in name
        rest = _match_chunk(chunk, name)
        if rest is not None and (not rest or pattern):
            name = rest
            continue
        advanced = False
        if star:
            for i, character in enumerate(name):
                if character == "/":
                    break
                rest = _match_chunk(chunk, name[i + 1 :])
                if rest is not None and (pattern or not rest):
                    name, advanced = rest, True
                    break
        if advanced:
            continue
        while pattern:
            _, chunk, pattern = _scan_chunk(pattern)
            _match_chunk(chunk, "")
        return False
    return not name


def _scan_chunk(pattern: str) -> tuple[bool, str, str]:
    stripped = pattern.lstrip("*")
    star, in_range, i = stripped != pattern, False, 0
    while i < len(stripped):
        match stripped[i]:
            case "\\":
                i += i + 1 < len(stripped)
            case "[":
                in_range = True
            case "]":
                in_range = False
            case "*" if not in_range:
                return star, stripped[:i], stripped[i:]
        i += 1
    return star, stripped, ""


def _match_chunk(chunk: str, text: str) -> str | None:
    failed = False
    while chunk:
        failed = failed or not text
        head, chunk = chunk[0], chunk[1:]
        if head == "[":
            character = "" if failed else text[0]
            text = text[1:]
            negated = chunk.startswith("^")
            chunk = chunk[negated:]
            matched, ranges = False, 0
            while not (chunk.startswith("]") and ranges > 0):
                low, chunk = _escaped(chunk)
                high = low
                if chunk.startswith("-"):
                    high, chunk = _escaped(chunk[1:])
                matched = matched or low <= character <= high
                ranges += 1
            chunk = chunk[1:]
            failed = failed or matched == negated
            continue
        if head == "\\":
            if not chunk:
                raise BadPattern
            head, chunk = chunk[0], chunk[1:]
            wildcard = False
        else:
            wildcard = head == "?"
        if not failed:
            failed = text[0] == "/" if wildcard else head != text[0]
            text = text[1:]
    return None if failed else text


def _escaped(chunk: str) -> tuple[str, str]:
    if not chunk or chunk[0] in "-]":
        raise BadPattern
    if chunk[0] == "\\":
        chunk = chunk[1:]
        if not chunk:
            raise BadPattern
    if not chunk[1:]:
        raise BadPattern
    return chunk[0], chunk[1:]
