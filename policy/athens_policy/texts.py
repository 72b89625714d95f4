"""Checks of the free texts of a rule, which reach users' terminals through the go command."""

from __future__ import annotations

from typing import Final

MAX_LENGTH: Final = 256


def reason_problem(text: str) -> str:
    """Why the text is no reason or name, as the end of a sentence that begins with the field; "" if it is one."""
    if len(text) > MAX_LENGTH:
        return f"has {len(text)} characters; at most {MAX_LENGTH} are allowed"
    if not text.isprintable():
        return "has a line break or another unprintable character; write one printable line"
    if "${" in text or "%{" in text:
        return "has a template sign (${ or %{); write plain text"
    return ""
