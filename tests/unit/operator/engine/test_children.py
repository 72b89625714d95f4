"""Applying children: what is sent, what is skipped, what is never touched."""

from __future__ import annotations

import asyncio
from typing import Any

from athens_operator.cache import Cache
from athens_operator.children import Children
from athens_operator.cluster import Immutable, Unavailable
from athens_operator.drift import CALM_S, FIGHT_COUNT, FIGHT_PAUSE_S, Fight, drift_of
from athens_operator.manifests import Manifest, ref_of
from athens_operator.metrics import Metrics
from athens_operator.spec import AthensProxy
from athens_operator.status_observed import FailureReason
from support.fake_cluster import FakeCluster, nobody_told
from support.proxies import proxy, service_ref
from support.virtual_time import in_virtual_time


def owner(uid: str = "owner") -> AthensProxy:
    body = proxy("a")
    return AthensProxy.parse({**body, "metadata": {**body["metadata"], "uid": uid, "generation": 1}})


def child(kind: str = "Service", uid: str = "owner", **spec: Any) -> Manifest:
    reference = {"apiVersion": "athensproxy.dev/v1beta1", "kind": "AthensProxy", "name": "go", "uid": uid}
    metadata = {
        "namespace": "a",
        "name": "go",
        "labels": {"athensproxy.dev/proxy": "go"},
        "ownerReferences": [{**reference, "controller": True}],
    }
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": {"port": 80, **spec}}


class Bench:
    """A cluster, a cache that is told everything as a watch would, and the children between them."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.cache = Cache()
        self.children = Children(self.cluster, self.cache, Metrics(), nobody_told())

    def watch(self) -> None:
        """Deliver the present state of everything."""
        for body in list(self.cluster.objects.values()):
            self.cache.put(body)

    def writes(self) -> int:
        return len(self.cluster.writes)


def test_a_second_pass_sends_nothing() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.children.apply(owner(), [child()])
        sent = bench.writes()

        outcome = await bench.children.apply(owner(), [child()])

        assert sent == 1
        assert bench.writes() == sent
        assert outcome.drifts == ()

    asyncio.run(main())


def test_a_new_child_costs_one_request() -> None:
    bench = Bench()

    asyncio.run(bench.children.apply(owner(), [child()]))

    assert [verb for verb, _ in bench.cluster.writes] == ["apply"]
    assert bench.cluster.reads == []


def test_an_unseen_child_of_ours_is_found_and_brought_up_to_date() -> None:
    async def main() -> None:
        bench = Bench()
        bench.cluster.put(child(port=81))

        outcome = await bench.children.apply(owner(), [child()])

        assert outcome.failures == ()
        assert bench.cluster.objects[ref_of(child())]["spec"]["port"] == 80

    asyncio.run(main())


def test_a_status_written_by_a_controller_is_no_reason_to_apply() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.children.apply(owner(), [child()])
        bench.cluster.put({**child(), "status": {"readyReplicas": 1}})
        bench.watch()

        await bench.children.apply(owner(), [child()])

        assert bench.writes() == 1

    asyncio.run(main())


def test_a_changed_field_is_restored_and_reported_with_its_path() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.children.apply(owner(), [child()])
        bench.cluster.put(child(port=81, extra="foreign"))
        bench.watch()

        outcome = await bench.children.apply(owner(), [child()])

        assert [drift.paths for drift in outcome.drifts] == [("spec.port",)]
        assert bench.cluster.objects[service_ref("a")]["spec"] == {"port": 80, "extra": "foreign"}

    asyncio.run(main())


def test_only_what_somebody_changed_is_named_and_the_subresource_of_a_writer_does_not_hide_it() -> None:
    """The API server stores no empty texts, so what it left out was not changed by anybody."""

    async def main() -> None:
        bench = Bench()
        wanted = child(env=[{"name": "PINNED", "value": ""}], data={})
        await bench.children.apply(owner(), [wanted])
        live = child(env=[{"name": "PINNED"}], port=3)
        entries = [{"manager": "kubectl", "subresource": "scale"}, {"manager": "kubelet", "subresource": "status"}]
        live["metadata"]["managedFields"] = entries
        bench.cluster.put(live)
        bench.watch()

        outcome = await bench.children.apply(owner(), [wanted])

        assert [(drift.paths, drift.manager) for drift in outcome.drifts] == [(("spec.port",), "kubectl")]

    asyncio.run(main())


def test_an_edit_by_the_user_is_no_drift() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.children.apply(owner(), [child()])

        outcome = await bench.children.apply(owner(), [child(port=8080)])

        assert outcome.drifts == ()
        assert bench.cluster.objects[service_ref("a")]["spec"]["port"] == 8080

    asyncio.run(main())


async def provoke(bench: Bench, times: int = FIGHT_COUNT + 4) -> list[Fight]:
    """Change the child again and again; the fights that the last pass tells of."""
    fights: tuple[Fight, ...] = ()
    for number in range(times):
        theirs = child(port=1000 + number)
        theirs["metadata"]["managedFields"] = [{"manager": "rival"}]
        bench.cluster.put(theirs)
        bench.watch()
        fights = (await bench.children.apply(owner(), [child()])).fights
    return list(fights)


def port(bench: Bench) -> int:
    return int(bench.cluster.objects[service_ref("a")]["spec"]["port"])


def test_a_child_that_somebody_keeps_changing_is_left_alone_for_a_while() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.children.apply(owner(), [child()])

        said = [str(fight) for fight in await provoke(bench)]

        assert len(said) == 1
        assert said[0].startswith("Service a/go: rival keeps changing spec.port; it is left alone")
        assert port(bench) != 80

        await asyncio.sleep(FIGHT_PAUSE_S + 1)
        outcome = await bench.children.apply(owner(), [child()])

        assert port(bench) == 80
        assert len(outcome.fights) == 1  # whether there is peace is not known yet

        await asyncio.sleep(CALM_S)
        assert (await bench.children.apply(owner(), [child()])).fights == ()

    in_virtual_time(main())


def test_a_fight_that_goes_on_after_a_pause_costs_two_corrections_per_pause() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.children.apply(owner(), [child()])
        await provoke(bench)
        sent = bench.writes()

        await asyncio.sleep(FIGHT_PAUSE_S + 1)

        assert len(await provoke(bench)) == 1
        assert bench.writes() == sent + 2

    in_virtual_time(main())


def test_an_edit_of_the_spec_reaches_a_child_that_is_fought_over() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.children.apply(owner(), [child()])
        await provoke(bench)

        await bench.children.apply(owner(), [child(port=8080)])

        assert port(bench) == 8080

    in_virtual_time(main())


def test_changes_of_different_fields_are_no_fight() -> None:
    """Several people who each correct something once are not one who insists."""

    async def main() -> None:
        bench = Bench()
        wanted = child(**{f"field{at}": "ours" for at in range(3)})
        await bench.children.apply(owner(), [wanted])

        for number in range(3 * FIGHT_COUNT):
            bench.cluster.put({**wanted, "spec": {**wanted["spec"], f"field{number % 3}": f"theirs {number}"}})
            bench.watch()
            outcome = await bench.children.apply(owner(), [wanted])
            assert outcome.fights == ()

        bench.cluster.put({**wanted, "spec": {**wanted["spec"], "field1": "theirs"}})
        bench.watch()
        outcome = await bench.children.apply(owner(), [wanted])

        assert [fight.drift.paths for fight in outcome.fights] == [("spec.field1",)]

    in_virtual_time(main())


def test_a_foreign_object_is_reported_and_not_written() -> None:
    async def main() -> None:
        bench = Bench()
        foreign = child()
        foreign["metadata"] = {"namespace": "a", "name": "go"}
        bench.cluster.put(foreign)

        outcome = await bench.children.apply(owner(), [child()])

        assert [failure.reason for failure in outcome.failures] == [FailureReason.CHILD_CONFLICT]
        assert bench.writes() == 0
        assert not outcome.errors[0].transient

    asyncio.run(main())


def test_a_conflict_says_what_to_do_about_it() -> None:
    async def main() -> None:
        bench = Bench()
        account, sibling = child(kind="ServiceAccount"), child(uid="another")
        account["metadata"] = {"namespace": "a", "name": "go"}
        sibling["metadata"]["ownerReferences"][0]["name"] = "sibling"
        bench.cluster.put(account)
        bench.cluster.put(sibling)

        outcome = await bench.children.apply(owner(), [child(kind="ServiceAccount"), child()])

        said = [failure.message for failure in outcome.failures]
        assert "set spec.serviceAccount.create to false to use it" in said[0]
        assert said[1] == "Service a/go belongs to AthensProxy sibling; choose another name in one of the two specs"

    asyncio.run(main())


def test_a_child_of_an_earlier_namesake_is_waited_for() -> None:
    async def main() -> None:
        bench = Bench()
        bench.cluster.put(child(uid="earlier"))
        bench.watch()

        outcome = await bench.children.apply(owner(), [child()])

        assert bench.writes() == 0
        assert outcome.errors[0].transient

    asyncio.run(main())


def test_one_failure_does_not_stop_the_others() -> None:
    async def main() -> None:
        bench = Bench()
        foreign = child()
        foreign["metadata"] = {"namespace": "a", "name": "go"}
        bench.cluster.put(foreign)

        outcome = await bench.children.apply(owner(), [child(), child("ServiceAccount")])

        assert len(outcome.failures) == 1
        assert bench.writes() == 1

    asyncio.run(main())


def test_an_outage_becomes_a_failure_that_is_worth_another_try() -> None:
    async def main() -> None:
        bench = Bench()
        bench.cluster.fail_with = Unavailable("down")

        outcome = await bench.children.apply(owner(), [child()])

        assert outcome.failures[0].reason is FailureReason.UNAVAILABLE
        assert outcome.errors[0].transient

    asyncio.run(main())


def test_a_paused_child_is_left_as_it_is() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.children.apply(owner(), [child()])
        paused = child(port=81)
        paused["metadata"]["annotations"] = {"athensproxy.dev/reconcile": "disabled"}
        bench.cluster.put(paused)
        bench.watch()

        await bench.children.apply(owner(), [child()])

        assert bench.writes() == 1

    asyncio.run(main())


def test_only_the_object_that_is_known_is_deleted() -> None:
    async def main() -> None:
        bench = Bench()
        bench.cluster.put(child())
        bench.watch()
        bench.cluster.objects[service_ref("a")]["metadata"]["uid"] = "another"

        outcome = await bench.children.delete([service_ref("a")])

        assert outcome.errors[0].transient
        assert service_ref("a") in bench.cluster.objects

    asyncio.run(main())


def test_a_process_that_begins_anew_writes_nothing_that_an_earlier_one_has_written() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.children.apply(owner(), [child()])
        bench.cluster.put({**child(), "status": {"readyReplicas": 1}})
        bench.watch()
        anew = Children(bench.cluster, bench.cache, Metrics(), nobody_told())

        await anew.apply(owner(), [child()])

        assert bench.writes() == 1

    asyncio.run(main())


def test_a_process_that_begins_anew_restores_what_was_changed_meanwhile() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.children.apply(owner(), [child()])
        bench.cluster.put(child(port=81))
        bench.watch()

        await Children(bench.cluster, bench.cache, Metrics(), nobody_told()).apply(owner(), [child()])

        assert bench.cluster.objects[service_ref("a")]["spec"]["port"] == 80

    asyncio.run(main())


def test_a_process_that_begins_anew_applies_what_it_wants_otherwise_even_where_only_a_field_is_given_up() -> None:
    """Values alone do not tell: a field that is no longer wanted has to be given up by an apply."""

    async def main() -> None:
        bench = Bench()
        await bench.children.apply(owner(), [child(extra=1)])
        bench.watch()

        await Children(bench.cluster, bench.cache, Metrics(), nobody_told()).apply(owner(), [child()])

        assert bench.writes() == 2

    asyncio.run(main())


class Immovable(FakeCluster):
    """Refuses another port for ever, as an API server does for immutable fields."""

    async def apply(self, manifest: Manifest, **options: Any) -> Manifest:
        live = self.objects.get(ref_of(manifest))
        if live is not None and live["spec"] != manifest["spec"]:
            raise Immutable("apply: spec: field is immutable")
        return await super().apply(manifest, **options)


def test_what_holds_no_state_and_cannot_change_is_made_anew_and_a_deployment_is_not() -> None:
    async def main() -> None:
        anew = ["apply", "delete", "apply"]
        for kind, verbs in (("Job", anew), ("ConfigMap", anew), ("Deployment", ["apply"])):
            cluster, cache = Immovable(), Cache()
            children = Children(cluster, cache, Metrics(), nobody_told())
            await children.apply(owner(), [child(kind)])

            outcome = await children.apply(owner(), [child(kind, port=81)])

            assert [verb for verb, _ in cluster.writes] == verbs
            assert [failure.reason for failure in outcome.failures] == (
                [] if verbs == anew else [FailureReason.INVALID_CHILD]
            )

    asyncio.run(main())


def test_a_value_that_an_admission_rule_sets_at_every_write_is_not_said_to_be_restored() -> None:
    wanted = child(image="ours", color="green")

    def live(version: str, color: str) -> Manifest:
        found = child(image="a-mirror", color=color)
        return {**found, "metadata": {**found["metadata"], "resourceVersion": version}}

    drift = drift_of(wanted, live("1", "red"), live("2", "green"))

    assert drift is not None
    assert drift.paths == ("spec.color",)
    assert drift_of(wanted, live("1", "green"), live("2", "green")) is None
