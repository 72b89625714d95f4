"""Which claims get a folder of the machine, and when it goes."""

from pathlib import Path
from typing import Any

import pytest

from localcluster import volumes


def claim(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "team-a", "name": "cache", "uid": "u-1"},
        "spec": {
            "storageClassName": "local",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "5Gi"}},
            **spec,
        },
        "status": {"phase": "Pending"},
    }


def test_a_claim_of_our_class_without_a_volume_waits() -> None:
    assert volumes.is_waiting(claim())


@pytest.mark.parametrize("spec", [{"storageClassName": "manual"}, {"storageClassName": ""}, {"volumeName": "pv"}])
def test_other_claims_are_left_to_others(spec: dict[str, str]) -> None:
    assert not volumes.is_waiting(claim(**spec))


def test_the_volume_fits_its_claim_and_only_it() -> None:
    made = volumes.volume_for(claim(), Path("/volumes/x"))
    assert made["spec"]["capacity"] == {"storage": "5Gi"}
    assert made["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert made["spec"]["claimRef"]["uid"] == "u-1"
    assert made["spec"]["hostPath"]["path"] == "/volumes/x"


def test_a_volume_is_abandoned_once_its_claim_is_gone() -> None:
    made = volumes.volume_for(claim(), Path("/volumes/x"))
    assert not volumes.is_abandoned(made, {"u-1"})
    assert volumes.is_abandoned(made, {"u-2"})


def test_volumes_made_by_hand_and_retained_ones_are_never_abandoned() -> None:
    by_hand = volumes.volume("v", "1Gi", "manual", Path("/volumes/v"))
    retained = volumes.volume_for(claim(), Path("/volumes/x"))
    retained["spec"]["persistentVolumeReclaimPolicy"] = "Retain"
    assert not volumes.is_abandoned(by_hand, set())
    assert not volumes.is_abandoned(retained, set())
