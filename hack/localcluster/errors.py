"""The one error of this package."""


class ClusterError(Exception):
    """Something a developer has to know: what was attempted, why it failed and what to do."""
