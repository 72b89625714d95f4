"""Checks of the free texts of a rule, which reach users' terminals through the go command."""

from __future__ import annotations

from typing import Final

MAX_REASON: Final = 256
MAX_NAME: Final = 512  # namespace, object and rule name of Kubernetes together have at most 381


def reason_problem(text: str) -> str:
    """Why the text is no reason, as the end of a sentence that begins with the field; "" if it is one."""
    return _problem(text, MAX_REASON)


def name_problem(text: str) -> str:
    """Why the text is no rule name of a file, as the end of a sentence that begins with the field; "" if it is one."""
    return _problem(text, MAX_NAME)


def _problem(text: str, max_length: int) -> str:
    if len(text) > max_length:
        return f"has {len(text)} characters; at most {max_length} are allowed"
    if not text.isprintable():
        return "has a line break or another unprintable character; write one printable line"
    if "${" in text or "%{" in text:
        return "has a template sign (${ or %{); write plain text"
    return ""
