"""What keeps a proxy going, and its tenant within bounds, by an operator of a restricted installation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from athens_operator.manifests import Manifest
from athens_operator.purge_nudges import PURGE_ANNOTATION
from athens_operator.resources import JOBS, PODS, PROXIES, SECRETS
from support.installation import OPERATOR_NAMESPACE
from support.kube_api import RBAC, KubeApi, condition, until
from support.operator_process import OperatorProcess
from support.proxies import deployment_ref, policy_file_ref, proxy, proxy_ref


@pytest.fixture(scope="module")
def strict(shipped_role: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """An operator with the shipped rights that restricts its tenants and was told to make logins."""
    log = tmp_path_factory.mktemp("strict") / "operator.log"
    settings = {"TENANCY": "Restricted", "FEATURES": "generatedSecrets"}
    process = OperatorProcess(shipped_role, log, NAMESPACE=OPERATOR_NAMESPACE, POD_NAME="strict", **settings)
    try:
        yield process.start().until_leading()
    finally:
        process.stop()


def edit(api: KubeApi, namespace: str, **spec: Any) -> None:
    """Change fields of the proxy; None removes one."""
    identity = {"namespace": namespace, "name": "go"}
    api.edit({"apiVersion": PROXIES.api_version, "kind": PROXIES.kind, "metadata": identity, "spec": spec})


def only_job(api: KubeApi, namespace: str, argument: str) -> Manifest | None:
    """The one Job of a namespace, if its command has this argument."""
    jobs = [job for job in api.list(JOBS, namespace) if not job["metadata"].get("deletionTimestamp")]
    if len(jobs) != 1:
        return None
    arguments = jobs[0]["spec"]["template"]["spec"]["containers"][0]["args"]
    return jobs[0] if argument in arguments else None


def test_each_list_to_prefetch_is_one_job(strict: OperatorProcess, api: KubeApi, namespace: str) -> None:
    api.create(proxy(namespace, prefetch={"modules": ["example.com/x@v1.0.0"]}))
    first = until(
        lambda: only_job(api, namespace, "/etc/athens/prefetch/modules"), "a Job is made", context=strict.tail
    )
    edit(api, namespace, prefetch={"modules": None, "goSumConfigMapRef": {"name": "build"}})
    second = until(
        lambda: only_job(api, namespace, "/etc/athens/prefetch/go.sum"), "another took its place", context=strict.tail
    )
    edit(api, namespace, prefetch=None)

    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert f"http://go.{namespace}.svc.cluster.local" in first["spec"]["template"]["spec"]["containers"][0]["args"]
    until(lambda: not api.list(JOBS, namespace), "no Job is left", context=strict.tail)


def test_purged_versions_reach_the_pods_without_replacing_them(
    strict: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    api.create(proxy(namespace))
    before = until(lambda: api.get(deployment_ref(namespace)), "pods are asked for", context=strict.tail)
    edit(api, namespace, purge=[{"module": "example.com/evil", "version": "v1.0.0"}])
    until(
        lambda: "example.com/evil" in (api.get(policy_file_ref(namespace)) or {})["data"].get("purge.json", ""),
        "the list is there",
        context=strict.tail,
    )
    digests = until(lambda: purge_digests(api, namespace), "the pod is nudged", context=strict.tail)
    edit(api, namespace, purge=None)
    until(
        lambda: "purge.json" not in (api.get(policy_file_ref(namespace)) or {})["data"],
        "the list is gone",
        context=strict.tail,
    )

    until(lambda: purge_digests(api, namespace) == {"none"}, "the pod is nudged again", context=strict.tail)
    after = api.get(deployment_ref(namespace)) or {}
    assert [digest.partition(":")[0] for digest in digests] == ["sha256"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def purge_digests(api: KubeApi, namespace: str) -> set[str]:
    """What the pods were told of purged versions."""
    pods = api.list(PODS, namespace)
    return {digest for pod in pods if (digest := (pod["metadata"].get("annotations") or {}).get(PURGE_ANNOTATION))}


def let_make_secrets(api: KubeApi, namespace: str) -> None:
    """The right that comes with the install value features.generatedSecrets."""
    metadata = {"namespace": namespace, "name": "make-secrets"}
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "patch"]}]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "make-secrets"}
    subjects = [{"kind": "ServiceAccount", "namespace": OPERATOR_NAMESPACE, "name": "athens-operator"}]
    api.create({"apiVersion": RBAC, "kind": "Role", "metadata": metadata, "rules": rules})
    api.create(
        {"apiVersion": RBAC, "kind": "RoleBinding", "metadata": metadata, "roleRef": reference, "subjects": subjects}
    )


def test_a_login_is_made_once_the_operator_may_and_stays_as_users_change_it(
    strict: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    secret = SECRETS.ref(namespace, "go-auth")
    api.create(proxy(namespace, auth={"basic": {"generate": True}}))
    until(
        lambda: condition(api.get(proxy_ref(namespace)), "SecretsResolved").get("reason") == "SecretNotFound",
        "what is missing is said",
        context=strict.tail,
    )
    let_make_secrets(api, namespace)
    made = until(lambda: api.get(secret), "the login is made", context=strict.tail)
    api.edit({**made, "data": {"password": "aHVudGVyMg=="}})
    edit(api, namespace, replicas=0)
    until(
        lambda: (api.get(deployment_ref(namespace)) or {"spec": {}})["spec"].get("replicas") == 0,
        "the next pass is over",
        context=strict.tail,
    )

    assert made["type"] == "kubernetes.io/basic-auth"
    assert (api.get(secret) or {})["data"] == {**made["data"], "password": "aHVudGVyMg=="}


def test_a_proxy_for_clients_alone_runs_with_a_login_for_the_operator_where_that_may_be_made(
    strict: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """Without the right to make it no pod waits for it."""
    lines = {"tokens": "ci:$sha256$00000000$" + "0" * 64}
    metadata = {"namespace": namespace, "name": "builds"}
    api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": lines})
    api.create(proxy(namespace, auth={"clients": [{"name": "builds", "secretRef": {"name": "builds"}}]}))

    def secrets_of_the_pods() -> set[str] | None:
        deployment = api.get(deployment_ref(namespace))
        if deployment is None:
            return None
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        sources = [variable.get("valueFrom") or {} for variable in container["env"]]
        return {source["secretKeyRef"]["name"] for source in sources if "secretKeyRef" in source}

    until(lambda: secrets_of_the_pods() == set(), "the pods are wanted without it", context=strict.tail)
    let_make_secrets(api, namespace)
    edit(api, namespace, replicas=0)
    until(lambda: secrets_of_the_pods() == {"go-operator-login"}, "the pods know the login", context=strict.tail)

    made = api.get(SECRETS.ref(namespace, "go-operator-login")) or {}
    assert [owner["name"] for owner in made["metadata"]["ownerReferences"]] == ["go"]


def test_a_tenant_who_asks_for_too_much_gets_nothing_until_the_spec_is_corrected(
    strict: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    host = [{"name": "host", "hostPath": {"path": "/"}}]
    api.create(proxy(namespace, extraVolumes=host))
    ready = until(lambda: condition(api.get(proxy_ref(namespace)), "Ready"), "the status tells", context=strict.tail)
    held = api.get(deployment_ref(namespace))
    edit(api, namespace, extraVolumes=None)

    assert (ready["reason"], held) == ("TenancyViolation", None)
    assert ready["message"].startswith("spec.extraVolumes[host]: ")
    until(lambda: api.get(deployment_ref(namespace)), "the corrected one runs", context=strict.tail)


def test_a_proxy_that_waits_for_a_store_starts_when_the_other_one_goes(
    strict: OperatorProcess, api: KubeApi, namespace: str
) -> None:
    """Nobody touches the one that waits."""
    other = f"{namespace}-other"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    bucket = {"type": "s3", "s3": {"bucket": f"modules-{namespace}", "region": "eu"}}
    api.create(proxy(other, storage=bucket))
    until(lambda: api.get(deployment_ref(other)), "the first one runs", context=strict.tail)
    created = api.get(proxy_ref(other)) or {}
    until(lambda: second_of(api) > created["metadata"]["creationTimestamp"], "a second has passed", context=strict.tail)
    api.create(proxy(namespace, storage=bucket))
    until(
        lambda: condition(api.get(proxy_ref(namespace)), "StorageReady").get("reason") == "StorageShared",
        "the younger one waits",
        context=strict.tail,
    )
    held = api.get(deployment_ref(namespace))
    api.delete(proxy_ref(other))

    assert held is None
    until(lambda: api.get(deployment_ref(namespace)), "it starts", context=strict.tail)


def second_of(api: KubeApi) -> str:
    """The API server's clock; ages are compared by whole seconds."""
    probe = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "clock"}}
    return str(api.call("POST", "/api/v1/namespaces?dryRun=All", probe)["metadata"]["creationTimestamp"])
