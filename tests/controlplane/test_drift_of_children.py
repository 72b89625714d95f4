"""What others do to children: every field and every object comes back, a fight ends in peace, and a pause is kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from athens_operator.cluster import FIELD_MANAGER
from athens_operator.desired.volume import RETAINED_FROM
from athens_operator.manifests import MANAGED_BY_LABEL, PROXY_LABEL, Manifest, Ref, ref_of
from athens_operator.resources import CHILDREN, CLAIMS, EVENTS, PROXIES, resource_of
from support.kube_api import KubeApi, Refused, condition, until
from support.operator_process import OperatorProcess
from support.owned_fields import OwnedField, changeable, owned_fields
from support.proxies import deployment_ref, proxy, proxy_ref, service_ref

REFUSED_BY_KUBERNETES = (
    re.compile(r"/data/config\.toml|/immutable"),  # of an immutable ConfigMap
    re.compile(r"/spec/(accessModes|resources/requests/storage)"),  # a claim that is not bound, or would shrink
    re.compile(r"/spec/selector|/spec/template/metadata/labels/.*~1(component|proxy)"),  # what a Deployment selects by
    re.compile(r"/spec/strategy/type|/spec/template/spec/containers/0/volumeMounts/\d+/name"),  # fits another field
    re.compile(r"/spec/rules|/spec/unhealthyPodEvictionPolicy"),  # the whole of an Ingress, a closed list of words
)
"""What nobody can change, so there is nothing to restore."""
MARKS_OF_A_CLAIM = {f"f:{mark}" for mark in (PROXY_LABEL, MANAGED_BY_LABEL, RETAINED_FROM)}
EVERYTHING: dict[str, Any] = {
    "storage": {
        "type": "disk",
        "disk": {"persistentVolumeClaim": {"size": "1Gi", "accessModes": ["ReadWriteMany"]}},
    },
    "autoscaling": {"minReplicas": 2, "maxReplicas": 4, "targetCPU": 60},
    "podMetadata": {"labels": {"tier": "build"}, "annotations": {"owner": "team"}},
    "service": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
    "ingress": {"hosts": ["goproxy.example.com"], "className": "edge", "tls": {"secretName": "certificate"}},
    "networkPolicy": {"enabled": True},
}


def is_ownership(ref: Ref, path: tuple[str, ...]) -> bool:
    """Whether it says whose the child is: changing that takes it from us and is no drift.

    A kept claim has no owner; it is told by its labels and the annotation of where it came from.
    """
    return "f:ownerReferences" in path or (ref.kind == CLAIMS.kind and path[-1] in MARKS_OF_A_CLAIM)


def settled(operator: OperatorProcess, api: KubeApi, namespace: str) -> dict[Ref, Manifest]:
    """The children, once every kind is there and the status speaks of them."""
    until(
        lambda: (
            all(children(api, namespace, kind.kind) for kind in CHILDREN)
            and (api.get(proxy_ref(namespace)) or {}).get("status", {}).get("observedGeneration")
        ),
        "every kind of child is there",
        context=operator.tail,
    )
    return {ref_of(child): child for kind in CHILDREN for child in children(api, namespace, kind.kind)}


def children(api: KubeApi, namespace: str, kind: str) -> list[Manifest]:
    resource = next(resource for resource in CHILDREN if resource.kind == kind)
    return api.list(resource, namespace, label="athensproxy.dev/proxy%3Dgo")


def change(api: KubeApi, ref: Ref, fields: Sequence[OwnedField], *, dry_run: bool = False) -> None:
    path = resource_of(ref).path(namespace=ref.namespace, name=ref.name)
    query = "?fieldManager=somebody" + ("&dryRun=All" if dry_run else "")
    operations = [field.operation for field in fields]
    api.call("PATCH", path + query, operations, content_type="application/json-patch+json")


def is_taken(api: KubeApi, ref: Ref, fields: Sequence[OwnedField]) -> bool:
    try:
        change(api, ref, fields, dry_run=True)
    except Refused:
        return False
    return True


def is_as_before(api: KubeApi, ref: Ref, before: dict[tuple[str, ...], OwnedField]) -> bool:
    live = api.get(ref)
    now = owned_fields(live, FIELD_MANAGER) if live else {}
    return all(path in now and now[path].value == field.value for path, field in before.items())


def notes(api: KubeApi, namespace: str, reason: str, *, about: str = "") -> list[str]:
    events = api.list(EVENTS, namespace)
    return [body["note"] for body in events if body["reason"] == reason and about in body["note"]]


def test_every_field_of_every_child_comes_back_and_whoever_changed_it_is_named(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(proxy(namespace, **EVERYTHING))
    for ref, child in settled(operator, api, namespace).items():
        before = owned_fields(child, FIELD_MANAGER)
        meant = [field for path, field in before.items() if not is_ownership(ref, path)]
        changed = changeable(meant, partial(is_taken, api, ref))
        change(api, ref, changed)

        until(partial(is_as_before, api, ref, before), f"{ref} is as before", context=operator.tail)
        told = until(
            partial(notes, api, namespace, "DriftCorrected", about=str(ref)),
            "an Event tells",
            context=lambda: notes(api, namespace, "DriftCorrected"),
        )
        assert "changed by somebody and restored" in told[0]

        refused = {field.pointer for field in meant} - {field.pointer for field in changed}
        assert [place for place in refused if not any(known.fullmatch(place) for known in REFUSED_BY_KUBERNETES)] == []


def test_every_child_that_is_deleted_comes_back(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    """But for the claim: what it held would not come back with it."""
    api.create(proxy(namespace, **EVERYTHING))
    before = {ref: child for ref, child in settled(operator, api, namespace).items() if ref.kind != CLAIMS.kind}
    for ref in before:
        api.delete(ref)

    for ref, child in before.items():
        until(partial(is_another, api, ref, child), f"{ref} is back", context=operator.tail)


def is_another(api: KubeApi, ref: Ref, before: Manifest) -> bool:
    """Whether an object of that name exists and is not the one from before."""
    found = api.get(ref)
    return found is not None and bool(found["metadata"]["uid"] != before["metadata"]["uid"])


def test_a_controller_that_keeps_changing_a_child_is_named_and_left_alone(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """After a few corrections nothing more is written, however long the other one insists."""
    api.create(proxy(namespace))
    until(lambda: api.get(service_ref(namespace)), "the Service appears", context=operator.tail)
    theirs: Manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": "go"}}

    def insist() -> bool:
        if (api.get(service_ref(namespace)) or {})["spec"]["sessionAffinity"] != "ClientIP":
            api.edit({**theirs, "spec": {"sessionAffinity": "ClientIP"}}, manager="stubborn")
        service = api.get(service_ref(namespace)) or {}
        if service["metadata"]["labels"]["app.kubernetes.io/name"] != "theirs":
            metadata = {**theirs["metadata"], "labels": {"app.kubernetes.io/name": "theirs"}}
            api.edit({**theirs, "metadata": metadata}, manager="stubborn")
        return condition(api.get(proxy_ref(namespace)), "Stalled").get("reason") == "FieldFight"

    until(insist, "the fight is given up", context=operator.tail)
    said = condition(api.get(proxy_ref(namespace)), "Stalled")["message"]
    told = until(lambda: notes(api, namespace, "FieldFight"), "an Event tells", context=operator.tail)
    before, cpu_s = editions(api, namespace), operator.cpu_s()
    for count in range(20):
        metadata = {**theirs["metadata"], "labels": {"app.kubernetes.io/name": f"theirs-{count}"}}
        api.edit({**theirs, "metadata": metadata}, manager="stubborn")
    until_seen(operator, api, namespace)

    assert "stubborn keeps changing metadata.labels.app.kubernetes.io/name" in said
    assert said in told[0]
    assert len(notes(api, namespace, "FieldFight")) == 1
    assert {name for name, edition in editions(api, namespace).items() if edition != before.get(name)} == {"Service go"}
    assert operator.cpu_s() - cpu_s < 2.0
    assert (api.get(service_ref(namespace)) or {})["metadata"]["labels"]["app.kubernetes.io/name"] == "theirs-19"


def editions(api: KubeApi, namespace: str) -> dict[str, str]:
    """Which edition there is of each child and Event, whatever a controller writes into their status."""
    found = [body for resource in (*CHILDREN, EVENTS) for body in api.list(resource, namespace)]
    return {
        f"{body['kind']} {body['metadata']['name']}": str(
            body["metadata"].get("generation") or body["metadata"]["resourceVersion"]
        )
        for body in found
    }


def until_seen(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    """Wait until a pass that begins now is over."""
    nonce = str(operator.writes())
    asked = {"namespace": namespace, "name": "go", "annotations": {"athensproxy.dev/requestedAt": nonce}}
    api.edit({"apiVersion": PROXIES.api_version, "kind": PROXIES.kind, "metadata": asked})
    until(
        lambda: (api.get(proxy_ref(namespace)) or {}).get("status", {}).get("lastHandledReconcileAt") == nonce,
        "the pass that was asked for",
        context=operator.tail,
    )


def test_an_annotation_freezes_all_children_or_one_of_them(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(proxy(namespace))
    service = until(lambda: api.get(service_ref(namespace)), "the Service appears", context=operator.tail)
    frozen = {"annotations": {"athensproxy.dev/reconcile": "disabled"}}
    wrong = {"apiVersion": "v1", "kind": "Service", "spec": {"type": "NodePort"}}
    where = {"namespace": namespace, "name": "go"}

    api.edit({**wrong, "metadata": {**where, **frozen}})
    api.edit(proxy(namespace, server={"logLevel": "debug"}))
    until_seen(operator, api, namespace)
    one = api.get(proxy_ref(namespace))
    assert condition(one, "Suspended")["reason"] == "ChildAnnotation"
    assert (api.get(service_ref(namespace)) or {})["spec"]["type"] == "NodePort"
    generation = (api.get(deployment_ref(namespace)) or {})["metadata"]["generation"]

    api.edit({**wrong, "metadata": {**where, "annotations": {"athensproxy.dev/reconcile": None}}})
    until(
        lambda: (api.get(service_ref(namespace)) or {})["spec"]["type"] == service["spec"]["type"],
        "the Service is written again",
        context=operator.tail,
    )

    api.edit({"apiVersion": PROXIES.api_version, "kind": PROXIES.kind, "metadata": {**where, **frozen}})
    api.edit(proxy(namespace, server={"logLevel": "error"}))
    api.edit({**wrong, "metadata": where})
    until_seen(operator, api, namespace)
    assert condition(api.get(proxy_ref(namespace)), "Suspended")["reason"] == "Annotation"
    assert (api.get(service_ref(namespace)) or {})["spec"]["type"] == "NodePort"
    assert (api.get(deployment_ref(namespace)) or {})["metadata"]["generation"] == generation


def test_two_appliers_own_parts_of_one_proxy_and_the_operator_owns_none(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """Git keeps the storage, a platform team the resources; each applies again without a conflict."""
    base = {"apiVersion": PROXIES.api_version, "kind": PROXIES.kind}
    where = {"metadata": {"namespace": namespace, "name": "go"}}
    parts = {
        "git": {"storage": {"type": "memory", "memory": {}}},
        "platform": {"resources": {"limits": {"memory": "3Gi"}}},
    }

    def apply(manager: str) -> Manifest:
        path = PROXIES.path(namespace=namespace, name="go") + f"?fieldManager={manager}"
        body = {**base, **where, "spec": parts[manager]}
        return api.call("PATCH", path, body, content_type="application/apply-patch+yaml")

    apply("git")
    apply("platform")
    until_seen(operator, api, namespace)
    again = [apply(manager)["metadata"]["generation"] for manager in parts]
    live = api.get(proxy_ref(namespace)) or {}

    assert again == [2, 2]
    assert live["spec"]["storage"]["type"] == "memory"
    limits = (api.get(deployment_ref(namespace)) or {})["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert limits["limits"]["memory"] == "3Gi"
    ours = [entry for entry in live["metadata"]["managedFields"] if entry["manager"] == FIELD_MANAGER]
    assert {entry.get("subresource") for entry in ours} == {"status"}
