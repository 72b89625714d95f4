"""The one error of this package."""


class DemoError(Exception):
    """A step failed: what was attempted, on what, why it failed and what to do."""
