"""An echo of our own write costs no pass, and nothing that somebody else wrote is lost behind one."""

from __future__ import annotations

import pytest

from athens_operator.echoes import Echoes
from athens_operator.manifests import Manifest, ref_of


def version(number: int, name: str = "go") -> Manifest:
    metadata = {"namespace": "a", "name": name, "uid": name, "resourceVersion": str(number)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


class Told:
    """The versions that concern somebody."""

    def __init__(self) -> None:
        self.versions: list[tuple[str, str]] = []
        self.echoes = Echoes(self.changed)

    def changed(self, before: Manifest | None, after: Manifest) -> None:
        self.versions.append((after["metadata"]["name"], after["metadata"]["resourceVersion"]))


def test_an_echo_that_overtakes_the_answer_concerns_nobody() -> None:
    told = Told()
    with told.echoes.writing(ref_of(version(1))) as answered:
        told.echoes.told(version(1), version(2))
        answered(version(2))

    assert told.versions == []


@pytest.mark.parametrize("foreign", [2, 4])
def test_what_somebody_else_wrote_meanwhile_is_told_after_the_write(foreign: int) -> None:
    told = Told()
    with told.echoes.writing(ref_of(version(1))) as answered:
        for number in sorted((3, foreign)):
            told.echoes.told(version(1), version(number))
        assert told.versions == []
        answered(version(3))

    assert told.versions == [("go", str(foreign))]


def test_a_write_that_failed_hides_nothing() -> None:
    told = Told()

    def write() -> None:
        with told.echoes.writing(ref_of(version(1))):
            told.echoes.told(version(1), version(2))
            raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        write()
    assert told.versions == [("go", "2")]


def test_other_objects_are_told_of_at_once() -> None:
    told = Told()
    with told.echoes.writing(ref_of(version(1))):
        told.echoes.told(None, version(7, "other"))
        assert told.versions == [("other", "7")]
    told.echoes.told(version(1), version(2))

    assert told.versions == [("other", "7"), ("go", "2")]
