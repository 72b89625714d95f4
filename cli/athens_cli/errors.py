"""What can go wrong for somebody at a prompt; each message is one line that ends in the next step."""

from __future__ import annotations


class CliError(Exception):
    """The command cannot answer; `str(error)` is the line to show."""


class InputError(CliError):
    """A file, an object or an argument cannot be used."""


class ClusterUnavailable(CliError):
    """The cluster did not answer, or does not allow the question."""


class NotAllowed(ClusterUnavailable):
    """The caller lacks a right in the cluster."""


class NobodyReads(Exception):
    """Whoever read the answer has left, such as `head` after its lines."""
