"""A pass over a proxy at rest renders and judges nothing, and whatever goes into it ends that rest."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from athens_operator.advisories import AdvisoryReader
from athens_operator.at_rest import AtRest, Basis, basis_of, is_calm
from athens_operator.attachment import Attachment, MissingPolicy, MissingReason
from athens_operator.cache import Cache
from athens_operator.children import Applied, Children
from athens_operator.credential_states import CredentialStates
from athens_operator.events import Announcer
from athens_operator.fanout import Fanout
from athens_operator.gather import Gathered, Gatherer
from athens_operator.manifests import PROXY_LABEL, Manifest
from athens_operator.metrics import Metrics
from athens_operator.propagation import Propagation
from athens_operator.publish import Publisher
from athens_operator.purge_nudges import PurgeNudges
from athens_operator.readback import Listener, Target
from athens_operator.reconcile import ProxyReconciler, Steps
from athens_operator.resources import CONFIG_MAPS, DEPLOYMENTS, INGRESSES, PROMETHEUS_RULES, SERVICES, Key, Resource
from athens_operator.secrets import SecretFacts, SecretReader
from athens_operator.settings import Settings
from athens_operator.shared_stores import UNSHARED, Sharing
from athens_operator.spec import AthensProxy
from athens_operator.status_observed import PolicyState, Readback
from support.fake_cluster import FakeCluster, nobody_told
from support.observations import judged
from support.operator_values import INPUTS, MEMORY, policy_value, proxy_body, proxy_value, rule

GO = Key("AthensProxy", "team-a", "go")
PODLESS: dict[str, Any] = {"storage": MEMORY, "replicas": 0}
READY: dict[str, Any] = {"phase": "Ready", "conditions": [{"type": "Ready", "status": "True"}]}


def gathered(**changes: Any) -> Gathered:
    facts: dict[str, Any] = {
        "proxy": proxy_value(PODLESS),
        "attachment": Attachment((), (), ()),
        "policy": PolicyState("mode", "sha256:1"),
        "secrets": SecretFacts(),
        "claim": None,
        "claim_missing": False,
        "deployment": None,
        "inputs": INPUTS,
        "sharing": UNSHARED,
    }
    return Gathered(**{**facts, **changes})


def described(name: str, version: str) -> Manifest:
    return {"kind": "Service", "metadata": {"name": name, "uid": f"u-{name}", "resourceVersion": version}}


LOST = MissingPolicy("DownloadPolicy team-a/gone", MissingReason.NOT_FOUND)
OTHERS: dict[str, Any] = {
    "proxy": proxy_value({**PODLESS, "suspend": True}),
    "attachment": Attachment((), (policy_value(),), ()),
    "policy": PolicyState("mode", "sha256:1", missing=(LOST,)),
    "secrets": SecretFacts(hash="1"),
    "claim": {"metadata": {"resourceVersion": "2"}},
    "claim_missing": True,
    "deployment": {"metadata": {"resourceVersion": "2"}},
    "inputs": dataclasses.replace(INPUTS, served=frozenset({"HTTPRoute"})),
    "sharing": Sharing("bucket", ("other/go",)),
}


def test_equal_objects_in_equal_circumstances_are_the_same_basis() -> None:
    one, other = (basis_of([described("go", "1"), None], gathered(), ["pods"]) for _ in range(2))

    assert one == other


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Gathered)])
def test_everything_that_is_gathered_counts(field: str) -> None:
    assert basis_of([], gathered(), []) != basis_of([], gathered(**{field: OTHERS[field]}), [])


@pytest.mark.parametrize(
    "other",
    [
        basis_of([described("go", "2")], gathered(), []),
        basis_of([described("go", "1"), described("more", "1")], gathered(), []),
        basis_of([], gathered(), []),
        basis_of([described("go", "1")], gathered(), ["pods"]),
    ],
    ids=["another version", "one more", "one less", "a right is missing"],
)
def test_every_object_and_every_missing_right_counts(other: Basis) -> None:
    assert basis_of([described("go", "1")], gathered(), []) != other


def test_no_password_is_kept() -> None:
    basis = basis_of([], gathered(secrets=SecretFacts(hash="1", login=("ann", "secret"))), [])

    assert basis.gathered.secrets == SecretFacts(hash="1")


def test_what_pods_say_counts_for_the_status_alone() -> None:
    rest, basis = AtRest(), basis_of([], gathered(), [])
    rest.note("u", basis, {"readback": {"go-0": Readback("sha256:1")}})

    assert rest.has_children("u", basis)
    assert rest.has_status("u", basis, {"readback": {"go-0": Readback("sha256:1")}})
    assert not rest.has_status("u", basis, {"readback": {"go-0": Readback("", "no answer")}})
    assert not rest.has_status("u", basis, {})


def test_nothing_is_known_of_another_proxy_nor_of_one_that_is_forgotten() -> None:
    rest, basis = AtRest(), basis_of([], gathered(), [])
    rest.note("u", basis, {})
    assert not rest.has_children("another", basis)
    rest.forget("u")

    assert not rest.has_children("u", basis)
    assert not rest.has_status("u", basis, {})


def test_a_basis_outlives_a_status_of_our_own_and_nothing_else() -> None:
    basis = basis_of([], gathered(), [])
    status = {"phase": "Ready"}
    written = proxy_value(PODLESS, status=status)

    assert basis.after(written, status) == basis_of([], gathered(proxy=written), [])
    assert basis.after(proxy_value(PODLESS, status={"phase": "Failed"}), status) is None
    assert basis.after(proxy_value(PODLESS, status=status, labels={"a": "b"}), status) is None
    assert basis.after(None, status) is None


@pytest.mark.parametrize(
    ("calm", "spec", "status"),
    [
        (True, PODLESS, READY),
        (False, PODLESS, {**READY, "phase": "Suspended"}),
        (False, PODLESS, {"phase": "Ready", "conditions": [{"type": "Reconciling", "status": "True"}]}),
        (False, PODLESS, {"phase": "Ready", "conditions": [{"type": "Stalled", "status": "True"}]}),
        (
            False,
            {
                **PODLESS,
                "credentials": [{"name": "g", "type": "token", "hosts": ["example.com"], "secretRef": {"name": "t"}}],
            },
            READY,
        ),
        (False, PODLESS, {}),
    ],
)
def test_time_changes_what_is_under_way_and_what_ends(
    calm: bool,
    spec: dict[str, Any],
    status: dict[str, Any],
) -> None:
    assert is_calm(proxy_value(spec), status) is calm


class CountingChildren(Children):
    """Children that count how often they were looked at, and name those of the last time."""

    looks = 0
    looked_at: Sequence[Manifest] = ()

    async def apply(self, proxy: AthensProxy, wanted: Sequence[Manifest]) -> Applied:
        self.looks += 1
        self.looked_at = wanted
        return await super().apply(proxy, wanted)


class Pods:
    """Pods that enforce the wanted policy, once they answer."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.answer = True

    async def read(self, pod: Manifest, target: Target) -> Readback:
        return Readback(target.digest) if self.answer else Readback("", "no answer")


class Scene:
    """One proxy without pods, with all that a pass needs; what a controller would write, the scene writes."""

    def __init__(self, **spec: Any) -> None:
        self.cluster, self.cache, metrics = FakeCluster(), Cache(), Metrics()
        self.served: set[Resource] = set()
        self.lacking: set[str] = set()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.pods = Pods(spec.get("replicas", 0))
        self.children = CountingChildren(self.cluster, self.cache, metrics, nobody_told())
        secrets = SecretReader(self.cluster, namespace="ops", allowed=True)
        advisories = AdvisoryReader(self.cluster, now=lambda: self.now)
        steps = Steps(
            gatherer=Gatherer(self.cluster, self.cache, secrets, Settings(), advisories, self.served),
            children=self.children,
            propagation=Propagation(self.cluster, Listener(self.pods), metrics),
            credentials=CredentialStates(None),  # type: ignore[arg-type]  # asked for no proxy without credentials
            publisher=Publisher(self.cluster, self.cache, Announcer(self.cluster, instance="one")),
            fanout=Fanout(self.cache),
            purges=PurgeNudges(self.cluster),
        )
        self.reconciler = ProxyReconciler(
            self.cache, steps, Settings(), metrics, later=lambda key, delay_s: None, lacking=self.lacking
        )
        self.put(proxy_body({**PODLESS, **spec}))

    def put(self, body: Manifest) -> None:
        """Somebody writes an object, and the watch tells of it."""
        self.cache.put(self.cluster.put(body))

    def change(self, resource: Resource, name: str, **parts: Any) -> None:
        metadata = {"namespace": "team-a", "name": name}
        self.put({"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **parts})

    async def looks(self) -> int:
        """How often one more pass looks at the children."""
        before = self.children.looks
        await self.reconciler.reconcile(GO)
        return self.children.looks - before

    async def come_to_rest(self) -> None:
        """The pass that makes the children, and the one after their controller has seen them."""
        await self.reconciler.reconcile(GO)
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), self.pods.count)
        available = [{"type": "Available", "status": "True"}]
        self.change(DEPLOYMENTS, "go", status={"observedGeneration": 1, "conditions": available, **counts})
        for _ in range(self.pods.count):
            self.put(_pod())
        await self.reconciler.reconcile(GO)

    def status(self) -> Mapping[str, Any]:
        proxy = self.cache.parsed(GO)
        assert isinstance(proxy, AthensProxy)
        return proxy.identity.status


async def test_the_pass_after_the_last_change_of_status_looks_at_no_child() -> None:
    scene = Scene()
    await scene.come_to_rest()
    assert scene.status()["phase"] == "Ready"
    done = len(scene.cluster.writes)

    assert [await scene.looks() for _ in range(3)] == [0, 0, 0]
    assert len(scene.cluster.writes) == done


def _pod() -> Manifest:
    labels = {PROXY_LABEL: "go", "app.kubernetes.io/component": "proxy"}
    metadata = {"namespace": "team-a", "name": "go-0", "labels": labels}
    ready = [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    status = {"phase": "Running", "podIP": "192.0.2.1", "conditions": ready}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}, "status": status}


def _policy(**spec: Any) -> Manifest:
    kind = {"apiVersion": "athensproxy.dev/v1beta1", "kind": "DownloadPolicy"}
    metadata = {"namespace": "team-a", "name": "base", "generation": 1}
    return {**kind, "metadata": metadata, "spec": {"proxySelector": {}, "rules": [], **spec}}


CHANGES: dict[str, Callable[[Scene], object]] = {
    "a child is edited": lambda scene: scene.change(SERVICES, "go", spec={"type": "NodePort"}),
    "a child is deleted": lambda scene: scene.cache.remove(scene.cluster.objects.pop(SERVICES.ref("team-a", "go"))),
    "an object with the label appears": lambda scene: scene.put(
        {"apiVersion": INGRESSES.api_version, "kind": INGRESSES.kind}
        | {"metadata": {"namespace": "team-a", "name": "go", "labels": {PROXY_LABEL: "go"}}}
    ),
    "the spec is edited": lambda scene: scene.put(proxy_body({**PODLESS, "replicas": 1})),
    "the spec is looked at by request": lambda scene: scene.put(
        proxy_body(PODLESS, annotations={"athensproxy.dev/requestedAt": "now"})
    ),
    "somebody else writes a status": lambda scene: scene.put({**proxy_body(PODLESS), "status": {"phase": "Failed"}}),
    "a policy attaches": lambda scene: scene.put(_policy()),
    "a kind is served": lambda scene: scene.served.add(PROMETHEUS_RULES),
    "a right is missing": lambda scene: scene.lacking.add("services: patch"),
    "a pod appears": lambda scene: scene.put(_pod()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_every_change_ends_the_rest(change: Callable[[Scene], object]) -> None:
    scene = Scene()
    await scene.come_to_rest()
    await scene.looks()
    change(scene)

    assert await scene.looks() == 1


async def test_an_edit_of_a_policy_renders_no_child_but_the_file() -> None:
    scene = Scene()
    await scene.come_to_rest()
    scene.put(_policy(rules=[rule()]))
    done = len(scene.cluster.writes)
    await scene.looks()

    assert [manifest["metadata"]["name"] for manifest in scene.children.looked_at] == ["go-policy"]
    assert [(verb, ref.kind) for verb, ref in scene.cluster.writes[done:]] == [
        ("apply", "ConfigMap"),
        ("apply", "AthensProxy"),
    ]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_whatever_else_has_changed_with_a_policy_has_every_child_looked_at(
    change: Callable[[Scene], object],
) -> None:
    scene = Scene()
    await scene.come_to_rest()
    scene.put(_policy(rules=[rule()]))
    change(scene)
    await scene.looks()

    is_the_policy = change is CHANGES["a policy attaches"]
    assert len(scene.children.looked_at) == (1 if is_the_policy else 5)


async def test_a_file_that_cannot_be_made_has_every_child_looked_at() -> None:
    scene = Scene()
    await scene.come_to_rest()
    scene.put(_policy(rules=[rule(mode="redirect", downloadURL="http://go.team-a.svc")]))
    await scene.looks()

    assert judged(scene.status(), "ConfigurationValid") == "False/RedirectLoop"
    assert len(scene.children.looked_at) > 1


async def test_the_status_of_a_policy_is_no_news_to_its_proxies() -> None:
    scene = Scene()
    scene.put(_policy())
    await scene.come_to_rest()
    scene.put({**_policy(), "status": {"attachedProxies": 1}})

    assert await scene.looks() == 0


async def test_a_pod_that_begins_to_answer_is_heard_although_no_object_changes() -> None:
    scene = Scene(replicas=1)
    scene.pods.answer = False
    await scene.come_to_rest()
    before = judged(scene.status(), "PolicyProgrammed")
    scene.pods.answer = True

    assert await scene.looks() == 0
    assert (before, judged(scene.status(), "PolicyProgrammed")) == ("Unknown/PodsUnreachable", "True/Programmed")


async def test_a_waiver_that_ends_while_the_proxy_rests_is_noticed() -> None:
    scene = Scene()
    ranges = [{"type": "SEMVER", "events": [{"introduced": "0"}]}]
    affected = [{"package": {"ecosystem": "Go", "name": "example.com/x"}, "ranges": ranges}]
    scene.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "data": {"GO-1.json": json.dumps({"id": "GO-1", "affected": affected})},
        }
        | {"metadata": {"namespace": "team-a", "name": "known"}}
    )
    waived = [{"id": "GO-1", "until": "2026-01-31"}]
    scene.put(_policy(advisories={"configMapRef": {"name": "known"}, "waivers": waived}))
    await scene.come_to_rest()
    assert await scene.looks() == 0
    policy = CONFIG_MAPS.ref("team-a", "go-policy")
    before = scene.cluster.objects[policy]["data"]["download.hcl"]
    scene.now = datetime(2026, 2, 2, tzinfo=UTC)

    assert await scene.looks() == 1
    assert "example.com/x" not in before
    assert "example.com/x" in scene.cluster.objects[policy]["data"]["download.hcl"]
