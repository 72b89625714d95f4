"""The answer of a checksum database to a lookup: a record, and a signed tree that holds it; pure.

Source: https://go.dev/ref/mod#checksum-database; golang.org/x/mod/sumdb/client.go (Lookup)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from athens_proxy.checksums.note import InvalidNote, TreeHead, VerifierKey, open_note, tree_head
from athens_proxy.modules import ModuleVersion

_LOOKUP: Final = re.compile(rb"(?P<id>0|[1-9]\d{0,18})\n(?P<record>(?:[^\n]+\n)+)\n(?P<note>.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LookupAnswer:
    """One answer, its signature checked; whether the record is in the tree is still to be proven.

    Attributes:
        record_id: the record's place in the log.
        record: its text: lines as in go.sum.
        note: the signed tree head.
        head: what the note says.
    """

    record_id: int
    record: bytes
    note: bytes
    head: TreeHead

    @classmethod
    def parse(cls, data: bytes, key: VerifierKey) -> LookupAnswer:
        """The answer in these bytes.

        Raises:
            InvalidNote: it is malformed, or its tree is not signed with this key.
        """
        match = _LOOKUP.match(data)
        if match is None:
            raise InvalidNote("the lookup is malformed")
        head = tree_head(open_note(match["note"], key))
        return cls(int(match["id"]), match["record"], match["note"], head)

    def sums_of(self, wanted: ModuleVersion) -> tuple[str, str]:
        """The `h1:` sums of zip and go.mod that the record has for a version, "" for what it does not have."""
        return sums_in(self.record, wanted)


def sums_in(record: bytes, wanted: ModuleVersion) -> tuple[str, str]:
    """The `h1:` sums of zip and go.mod of a version in the text of a record, "" for a line that is missing."""
    lines: Sequence[str] = record.decode("utf-8", "replace").splitlines()
    sums = {tuple(fields[:2]): fields[2] for line in lines if len(fields := line.split(" ")) == 3}
    name = wanted.path.text
    return sums.get((name, wanted.version), ""), sums.get((name, f"{wanted.version}/go.mod"), "")


def with_newer_head(answer: bytes, note: bytes) -> bytes:
    """A lookup's answer that shows another tree, when that is the larger one.

    Every tree that holds a record is as good a proof of it; with one tree in all answers a client needs no proof that
    one continues the other. Signatures are not checked here: both texts were when they were kept.
    """
    match = _LOOKUP.match(answer)
    if match is None or _size(note) <= max(_size(match["note"]), int(match["id"])):
        return answer
    return answer[: match.start("note")] + note


def _size(note: bytes) -> int:
    try:
        return tree_head(note.decode("utf-8", "replace")).size
    except InvalidNote:
        return -1
