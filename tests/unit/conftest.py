"""Property tests give the same verdict on every machine: the same examples, however slow it is.

The first example may pay for building python-hcl2's grammar, so that a deadline per example would say nothing.
"""

import os

from hypothesis import settings

IS_FULL = bool(os.environ.get("ATHENS_TEST_FULL"))

settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=200 if IS_FULL else 100)
settings.load_profile("repeatable")
