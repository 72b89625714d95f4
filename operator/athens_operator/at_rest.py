"""Whether a pass would find what the last one found: then nothing is rendered, compared and judged anew. No I/O.

The same computation over equal values gives equal children and an equal status, so what goes in is compared instead of
what comes out. A pass still reads all that it reads, and hears its pods; what is left out is rendering the children and
judging the status, and only where the last pass had nothing left to do and time alone changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from athens_operator.conditions import is_true
from athens_operator.gather import Gathered
from athens_operator.manifests import Manifest
from athens_operator.spec import AthensProxy
from athens_operator.spec.proxy import Identity
from athens_operator.status_progress import RECONCILING, STALLED, Phase

Heard = Mapping[str, Any]
"""What pods said, as fields of `Observed`."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a pass is built on, apart from the clock and from what pods say.

    Args:
        objects: every object with the proxy's label, and the claim under its name.
        gathered: the proxy itself, its download file, and whatever else was gathered.
        attached: keys of the policies that apply; what is in them has become the file.
        lacking: kinds that the operator may not read and rights that it lacks.
    """

    objects: tuple[Manifest, ...]
    gathered: Gathered
    attached: tuple[tuple[str, str, str], ...] = ()
    lacking: frozenset[str] = frozenset()

    def after(self, proxy: object, status: Mapping[str, Any]) -> Basis | None:
        """What the next pass is built on if nothing but the status has been written meanwhile.

        Args:
            proxy: the proxy as it is known after the write; anything else if it cannot be read any more.
            status: what was written.

        Returns:
            None when something else about the proxy has changed as well.
        """
        before = self.gathered.proxy
        if not isinstance(proxy, AthensProxy) or not _differs_by_status(before.identity, proxy.identity, status):
            return None
        return replace(self, gathered=replace(self.gathered, proxy=replace(before, identity=proxy.identity)))

    def apart_from_file(self) -> Basis:
        """What every child is built on but the one that holds the download file."""
        policy = self.gathered.policy
        text = None if policy.text is None else ""
        bare = replace(policy, text=text, digest="", merged=None, applied_at=None)
        return replace(self, gathered=replace(self.gathered, policy=bare), attached=())


def basis_of(objects: Iterable[Manifest | None], gathered: Gathered, lacking: Iterable[str]) -> Basis:
    """The basis of a pass, to be compared with that of another one.

    Args:
        objects: see `Basis`; None where there is none.
        gathered: as it was gathered. The login in it is left out, since passwords are not kept, and the policies, whose
            own status changes as proxies take them up; the file has everything else of them.
        lacking: see `Basis`.
    """
    attachment = gathered.attachment
    kept = replace(
        gathered,
        attachment=replace(attachment, sources=(), policies=()),
        secrets=replace(gathered.secrets, login=None),
    )
    attached = tuple(policy.key for policy in attachment.policies)
    return Basis(tuple(body for body in objects if body is not None), kept, attached, frozenset(lacking))


def is_calm(proxy: AthensProxy, status: Mapping[str, Any]) -> bool:
    """Whether time alone does not change this status: nothing is waited for, and nothing ends.

    Credentials end, and their end is announced in time, so a proxy that has some is judged at each pass.
    """
    conditions = status.get("conditions") or ()
    waits = is_true(conditions, RECONCILING) or is_true(conditions, STALLED)
    return status.get("phase") == Phase.READY.value and not waits and not proxy.spec.credentials


class AtRest:
    """Remembers of each proxy what its last pass was built on, if that found nothing to do."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Basis, Heard]] = {}

    def has_children(self, uid: str, basis: Basis) -> bool:
        """Whether the children that this basis leads to are as they should be."""
        known = self._known.get(uid)
        return known is not None and known[0] == basis

    def has_other_children(self, uid: str, basis: Basis) -> bool:
        """Whether all but the one with the download file are as they should be: only policies have changed."""
        known = self._known.get(uid)
        return known is not None and known[0].apart_from_file() == basis.apart_from_file()

    def has_status(self, uid: str, basis: Basis, heard: Heard) -> bool:
        """Whether the status that this leads to is written."""
        return self._known.get(uid) == (basis, heard)

    def note(self, uid: str, basis: Basis | None, heard: Heard) -> None:
        """A pass that is built on this has nothing to do; without a basis nothing is known."""
        if basis is not None:
            self._known[uid] = (basis, heard)

    def forget(self, uid: str) -> None:
        """Nothing is known of the proxy until a pass has come to its end."""
        self._known.pop(uid, None)


def _differs_by_status(before: Identity, after: Identity, status: Mapping[str, Any]) -> bool:
    return after.status == status and replace(after, status=before.status) == before
