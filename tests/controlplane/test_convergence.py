"""An operator that is killed after any of its writes, and started again, ends where an undisturbed one ends."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from athens_operator.manifests import Manifest
from athens_operator.resources import CHILDREN, POLICIES, PROXIES
from support.api_front import ApiFront
from support.controlplane import ControlPlane
from support.engine_run import run_until_at_rest
from support.installation import kubeconfig_for
from support.kube_api import NAMESPACE, KubeApi, condition, until
from support.proxies import deny, deployment_ref, policy, proxy

DISK = {"type": "disk", "disk": {"persistentVolumeClaim": {"size": "1Gi"}}}
DIGEST = re.compile(r"(?<=sha256:)[0-9a-f]{64}")
OF_THE_SERVER = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "namespace", "selfLink")
OF_CONTROLLERS = ("Deployment", "PersistentVolumeClaim")  # write status and annotations of their own
_numbers = itertools.count(1)
Make = Callable[[], "Lives"]


@pytest.fixture(scope="module")
def front(plane: ControlPlane) -> Iterator[ApiFront]:
    with ApiFront(plane.url, plane.ca) as front:
        yield front


@pytest.fixture(scope="module")
def kubeconfig(
    front: ApiFront, plane: ControlPlane, api: KubeApi, shipped_role: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    assert shipped_role.exists()
    return kubeconfig_for(plane, api, tmp_path_factory.mktemp("lives") / "kubeconfig", server=front.url)


@pytest.fixture
def make(api: KubeApi, front: ApiFront, kubeconfig: Path) -> Make:
    """Makes another team."""
    return lambda: Lives(api, front, kubeconfig)


class Lives:
    """One team, and an operator that lives for as many writes as it is allowed."""

    def __init__(self, api: KubeApi, front: ApiFront, kubeconfig: Path) -> None:
        self.namespace = f"lives-{next(_numbers):03}"
        self._api, self._front, self._kubeconfig = api, front, kubeconfig
        self._deployment = deployment_ref(self.namespace)
        api.create({"apiVersion": "v1", "kind": NAMESPACE.kind, "metadata": {"name": self.namespace}})
        api.create(policy(self.namespace, "base", deny("example.com/evil")))
        api.create(proxy(self.namespace, storage=DISK, replicas=0))

    async def live(self, writes: int | None = None) -> int:
        """One life; how many writes it made."""
        self._front.allow(self.namespace, writes)
        await run_until_at_rest(self._kubeconfig, self._front, self.namespace)
        return self._front.written(self.namespace)

    def until_rolled_out(self) -> None:
        """Wait until the controllers have had their say as well."""
        until(self._is_rolled_out, "the Deployment is rolled out", context=lambda: self._api.get(self._deployment))

    def _is_rolled_out(self) -> bool:
        deployment = self._api.get(self._deployment) or {"metadata": {}}
        is_seen = (deployment.get("status") or {}).get("observedGeneration") == deployment["metadata"].get("generation")
        is_complete = condition(deployment, "Progressing").get("reason") == "NewReplicaSetAvailable"
        return is_seen and is_complete and condition(deployment, "Available").get("status") == "True"

    def change(self) -> None:
        """Another rule."""
        self._api.edit(policy(self.namespace, "base", deny("example.com/worse")))

    def objects(self) -> list[Manifest]:
        return [body for kind in (*CHILDREN, PROXIES, POLICIES) for body in self._api.list(kind, self.namespace)]

    def versions(self) -> dict[str, str]:
        """Resource versions of the children that nobody else writes."""
        return {
            f"{body['kind']} {body['metadata']['name']}": body["metadata"]["resourceVersion"]
            for body in self.objects()
            if body["kind"] not in (*OF_CONTROLLERS, PROXIES.kind, POLICIES.kind)
        }

    def state(self) -> str:
        """Everything that does not differ between two teams anyway; rules carry the namespace, so digests do differ."""
        lasting = [_lasting(body) for body in self.objects() if body["metadata"]["name"] != "kube-root-ca.crt"]
        text = json.dumps(lasting, indent=1, sort_keys=True).replace(self.namespace, "TEAM")
        for digest in sorted(set(DIGEST.findall(text))):
            text = text.replace(digest, "DIGEST").replace(digest[:8], "REVISION")
        return text


def _lasting(body: Manifest) -> Manifest:
    metadata = {name: value for name, value in body["metadata"].items() if name not in OF_THE_SERVER}
    metadata["ownerReferences"] = [owner["kind"] for owner in metadata.get("ownerReferences", ())]
    if body["kind"] == "PersistentVolumeClaim":
        metadata.pop("annotations", None)
    kept = {**body, "metadata": metadata}
    if body["kind"] in OF_CONTROLLERS:
        del kept["status"]
    return dict(_without(kept, {"lastTransitionTime", "clusterIP", "clusterIPs"}))


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(inner, names) for name, inner in value.items() if name not in names}
    return [_without(inner, names) for inner in value] if isinstance(value, list) else value


async def to_the_end(teams: Sequence[Lives]) -> list[int]:
    """A life of each as long as it takes, whose writes are counted, and one that sees what the controllers did."""
    writes = list(await asyncio.gather(*(team.live() for team in teams)))
    for team in teams:
        team.until_rolled_out()
    await asyncio.gather(*(team.live() for team in teams))
    return writes


async def killed_after_each(make: Make, changed: Callable[[Lives], None], *, at_least: int) -> None:
    """One team is left undisturbed, of the others each is killed after another number of writes."""
    undisturbed = make()
    if changed is not nothing:
        await to_the_end([undisturbed])
    changed(undisturbed)
    (writes,) = await to_the_end([undisturbed])
    assert writes >= at_least
    teams = [make() for _ in range(writes)]
    if changed is not nothing:
        await to_the_end(teams)
    before = [team.versions() for team in teams]
    for team in teams:
        changed(team)

    done = await asyncio.gather(*(team.live(number) for number, team in enumerate(teams, start=1)))
    at_death = [team.versions() for team in teams]
    await to_the_end(teams)

    assert done == list(range(1, writes + 1))
    for number, team in enumerate(teams):
        assert team.state() == undisturbed.state(), f"killed after write {number + 1} of {writes}"
        moved = team.versions()
        for name, version in at_death[number].items():
            times = len({before[number].get(name), version, moved[name]} - {None})
            again = f"{name} was written again after write {number + 1} of {writes}"
            assert times <= (2 if name in before[number] else 1), again


def nothing(_: Lives) -> None:
    """What is there is all that happens."""


def test_a_first_pass_that_is_cut_off_after_any_write_is_finished_by_the_next_life(make: Make) -> None:
    """Six children and two statuses."""
    asyncio.run(killed_after_each(make, nothing, at_least=8))


def test_a_policy_change_that_is_cut_off_after_any_write_is_finished_by_the_next_life(make: Make) -> None:
    """The file and two statuses; a new life recognises the children that an earlier one wrote."""
    asyncio.run(killed_after_each(make, Lives.change, at_least=3))
