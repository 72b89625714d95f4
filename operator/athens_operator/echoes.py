"""Events about what is being written at this moment: mostly the echo of our own write, which may overtake its answer.

Such an echo concerns nobody, but until the answer is there it looks like somebody else's change, and would cost another
pass over the whole proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from athens_operator.cache import version_of
from athens_operator.manifests import Manifest, Ref, ref_of

Changed = Callable[[Manifest | None, Manifest], None]


class Echoes:
    """Holds such events back until the write has ended.

    Args:
        changed: is told the version before and after of what somebody else changed.
    """

    def __init__(self, changed: Changed) -> None:
        self._changed = changed
        self._held: dict[Ref, list[tuple[Manifest | None, Manifest]]] = {}

    def told(self, before: Manifest | None, after: Manifest) -> None:
        """A watch told of a version that was not known."""
        held = self._held.get(ref_of(after))
        if held is None:
            self._changed(before, after)
        else:
            held.append((before, after))

    @contextmanager
    def writing(self, ref: Ref) -> Iterator[Callable[[Manifest], None]]:
        """An object is written by one pass until the end of the block; call what it yields with the answer."""
        answers: list[int] = []
        self._held[ref] = []
        try:
            yield lambda answer: answers.append(version_of(answer))
        finally:
            for before, after in self._held.pop(ref):
                if version_of(after) not in answers:
                    self._changed(before, after)
