"""Create, edit, repair, restart, delete: what a user sees of one AthensProxy, against a real API server."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from athens_operator.manifests import Manifest, Ref
from athens_operator.resources import CHILDREN, CONFIG_MAPS, EVENTS, PROXIES
from support.fake_pods import running_pod
from support.kube_api import KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import account_ref, deployment_ref, policy_file_ref, proxy, proxy_ref, service_ref

# An operator that is told of nothing compares its children with the cluster every five minutes.
BEFORE_ANY_LIST_S = 30.0
CONTAINER_PATH = ("spec", "template", "spec")


def settled(operator: OperatorProcess, api: KubeApi, namespace: str, generation: int = 1) -> Any:
    """The proxy once its status speaks of this generation."""
    return until(
        lambda: (
            (found := api.get(proxy_ref(namespace)))
            and found.get("status", {}).get("observedGeneration") == generation
            and found
        ),
        f"the status speaks of generation {generation}",
        context=operator.tail,
    )


def configs(api: KubeApi, namespace: str) -> set[str]:
    names = {body["metadata"]["name"] for body in api.list(CONFIG_MAPS, namespace)}
    return {name for name in names if name.startswith("go-config-")}


def mounted_config(deployment: Manifest) -> str:
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    return next(str(volume["configMap"]["name"]) for volume in volumes if volume["name"] == "config")


def event_notes(api: KubeApi, namespace: str, reason: str) -> list[str]:
    return [body.get("note", "") for body in api.list(EVENTS, namespace) if body.get("reason") == reason]


def versions(api: KubeApi, namespace: str) -> dict[str, str]:
    """Resource versions of the proxy and of everything that was made for it."""
    found = [body for resource in (PROXIES, *CHILDREN) for body in api.list(resource, namespace)]
    return {f"{body['kind']} {body['metadata']['name']}": body["metadata"]["resourceVersion"] for body in found}


def is_another(api: KubeApi, ref: Ref, before: Manifest) -> bool:
    """Whether an object of that name exists and is not the one from before."""
    found = api.get(ref)
    return found is not None and bool(found["metadata"]["uid"] != before["metadata"]["uid"])


def test_creating_a_proxy_creates_its_children_and_a_status(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    created = api.create(proxy(namespace))

    for ref in (service_ref(namespace), account_ref(namespace), policy_file_ref(namespace), deployment_ref(namespace)):
        child = until(partial(api.get, ref), f"{ref} appears", context=operator.tail)
        owner = child["metadata"]["ownerReferences"][0]
        assert owner["uid"] == created["metadata"]["uid"]
        assert (owner["controller"], owner["blockOwnerDeletion"]) == (True, False)
    body = settled(operator, api, namespace)
    assert body["status"]["phase"] == "Progressing"
    assert condition(body, "ConfigurationValid")["status"] == "True"
    assert condition(body, "Reconciling")["status"] == "True"
    assert body["status"]["policy"]["digest"].startswith("sha256:")
    assert "finalizers" not in body["metadata"]
    assert "annotations" not in body["metadata"]


def test_a_proxy_whose_pods_run_becomes_ready(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    api.create(proxy(namespace, rollout={"minReadySeconds": 0}))

    with running_pod(api, namespace):
        body = until(
            lambda: (
                (found := api.get(proxy_ref(namespace))) and condition(found, "Ready").get("status") == "True" and found
            ),
            "the proxy is Ready",
            context=lambda: (api.get(proxy_ref(namespace)) or {}).get("status"),
        )

    assert body["status"]["phase"] == "Ready"
    assert body["status"]["policy"]["programmed"] == "1/1"
    assert condition(body, "Reconciling") == {}
    assert condition(body, "Stalled") == {}


def test_an_edit_of_the_configuration_rolls_the_pods_and_keeps_the_old_file(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(proxy(namespace))
    before = until(lambda: api.get(deployment_ref(namespace)), "the Deployment appears", context=operator.tail)

    api.edit(proxy(namespace, server={"logLevel": "debug"}))

    after = until(
        lambda: (
            (found := api.get(deployment_ref(namespace))) and mounted_config(found) != mounted_config(before) and found
        ),
        "the Deployment mounts another configuration",
        context=operator.tail,
    )
    assert configs(api, namespace) == {mounted_config(before), mounted_config(after)}
    assert settled(operator, api, namespace, generation=2)["status"]["observedGeneration"] == 2


def test_deleting_a_proxy_leaves_nothing_behind(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    api.create(proxy(namespace))
    settled(operator, api, namespace)

    api.delete(proxy_ref(namespace))

    left = [resource for resource in CHILDREN if resource.kind not in ("ServiceAccount", "ConfigMap")]
    until(
        lambda: (
            not any(api.list(resource, namespace) for resource in left)
            and not configs(api, namespace)
            and api.get(account_ref(namespace)) is None
            and api.get(policy_file_ref(namespace)) is None
        ),
        "garbage collection",
        within_s=60,
        context=lambda: versions(api, namespace),
    )


def test_a_proxy_that_a_finalizer_of_others_holds_says_that_it_is_leaving(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    held = proxy(namespace)
    held["metadata"]["finalizers"] = ["example.com/backup"]
    api.create(held)
    settled(operator, api, namespace)

    api.delete(proxy_ref(namespace))

    until(
        lambda: (api.get(proxy_ref(namespace)) or {}).get("status", {}).get("phase") == "Terminating",
        "it says so",
        context=operator.tail,
    )
    api.edit({**proxy(namespace), "metadata": {"namespace": namespace, "name": "go", "finalizers": []}})
    until(lambda: api.get(proxy_ref(namespace)) is None, "it goes", context=operator.tail)


def test_a_hand_edited_child_is_repaired_and_the_editor_is_named_in_an_event(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(proxy(namespace))
    settled(operator, api, namespace)
    wrong = {"spec": {"ports": [{"name": "http", "port": 81, "targetPort": "http"}]}}
    meta = {"namespace": namespace, "name": "go", "labels": {"mine": "kept"}}

    api.edit({"apiVersion": "v1", "kind": "Service", "metadata": meta, **wrong}, manager="somebody")

    service = until(
        lambda: (
            (found := api.get(service_ref(namespace)))
            and 80 in [port["port"] for port in found["spec"]["ports"]]
            and found
        ),
        "the port is back",
        context=operator.tail,
    )
    assert service["metadata"]["labels"]["mine"] == "kept"
    notes = until(lambda: event_notes(api, namespace, "DriftCorrected"), "an Event tells", context=operator.tail)
    assert "Service" in notes[0]
    assert "spec.ports" in notes[0]
    assert "somebody" in notes[0]


def test_a_deleted_child_is_back_before_any_list_could_tell(
    operator: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(proxy(namespace))
    settled(operator, api, namespace)

    for ref in (service_ref(namespace), policy_file_ref(namespace), deployment_ref(namespace)):
        before = api.get(ref)
        assert before is not None
        deleted_at = time.monotonic()
        api.delete(ref)
        until(partial(is_another, api, ref, before), f"{ref} is back", context=operator.tail)
        assert time.monotonic() - deleted_at < BEFORE_ANY_LIST_S


def test_a_child_whose_label_was_removed_gets_it_back(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    """The watch selects by that label, so for it the object is gone."""
    api.create(proxy(namespace))
    settled(operator, api, namespace)
    labels = {"labels": {"athensproxy.dev/proxy": None}}

    api.edit({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": "go", **labels}})

    until(
        lambda: (found := api.get(service_ref(namespace))) and "athensproxy.dev/proxy" in found["metadata"]["labels"],
        "the label is back",
        context=operator.tail,
    )


def test_a_restarted_operator_writes_nothing(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    api.create(proxy(namespace, rollout={"minReadySeconds": 0}))
    with running_pod(api, namespace):
        until(partial(is_at_rest, api, namespace), "nobody has anything left to write", context=operator.tail)
        before = versions(api, namespace)

        operator.restart()
        passes = 'reconcile_total{kind="AthensProxy",result="ok"}'
        known = len(api.list(PROXIES))
        name, labels = passes.split("{")
        until(
            lambda: (operator.metric(name, "{" + labels) or 0) >= known,
            "every proxy was looked at",
            context=operator.tail,
        )

        assert versions(api, namespace) == before


def is_at_rest(api: KubeApi, namespace: str) -> bool:
    """Whether the proxy is Ready with its policy, and its Deployment rolled out to its end."""
    found = api.get(proxy_ref(namespace))
    is_ready = all(condition(found, kind).get("status") == "True" for kind in ("Ready", "PolicyProgrammed"))
    progress = condition(api.get(deployment_ref(namespace)), "Progressing")
    return is_ready and progress.get("reason") == "NewReplicaSetAvailable"


def test_a_suspended_proxy_is_left_alone_and_says_so(operator: OperatorProcess, api: KubeApi, namespace: str) -> None:
    api.create(proxy(namespace))
    settled(operator, api, namespace)
    before = api.get(deployment_ref(namespace))

    api.edit(proxy(namespace, suspend=True, server={"logLevel": "debug"}))

    body = settled(operator, api, namespace, generation=2)
    assert condition(body, "Suspended")["status"] == "True"
    after = api.get(deployment_ref(namespace))
    assert before is not None
    assert after is not None
    assert after["spec"] == before["spec"]
    until(lambda: event_notes(api, namespace, "Suspended"), "an Event tells", context=operator.tail)
