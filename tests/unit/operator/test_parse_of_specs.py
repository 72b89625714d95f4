"""What users write becomes a value, or a list of fields with what to do about each."""

from __future__ import annotations

import pytest

from athens_operator.errors import SpecError
from athens_operator.spec import AthensProxy, Identity
from athens_operator.spec.values import bytes_of, seconds_of
from support.operator_values import MEMORY, policy_value, proxy_body, proxy_value, rule


def test_a_minimal_object_needs_storage_only() -> None:
    proxy = proxy_value()

    assert (proxy.key, proxy.generation, proxy.spec.replicas) == (("team-a", "go"), 4, 1)
    assert proxy.claim is not None
    assert proxy.claim.size == "20Gi"


def test_unknown_fields_are_ignored_so_that_a_newer_schema_works() -> None:
    assert proxy_value({"fromTheFuture": {"x": 1}}).spec == proxy_value().spec


def test_values_are_frozen() -> None:
    proxy = proxy_value()

    with pytest.raises(Exception, match="frozen"):
        setattr(proxy.spec, "replicas", 3)  # noqa: B010 - mypy knows that it cannot work


def test_every_problem_is_listed_with_its_field_path() -> None:
    body = proxy_body(
        {"storage": {"type": "floppy"}, "replicas": "many", "download": {"rules": [{"name": "x", "mode": "sync"}]}}
    )

    with pytest.raises(SpecError) as caught:
        AthensProxy.parse(body)

    assert {problem.path for problem in caught.value.problems} == {
        "spec.storage.type",
        "spec.replicas",
        "spec.download.rules[0].patterns",
    }


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"storage": {"type": "disk", "disk": {}}}, "spec.storage.disk: set exactly one of"),
        ({"storage": {"type": "memory"}}, "spec.storage: type memory needs the member memory and no other"),
        ({"storage": {**MEMORY, "disk": {"ephemeral": {}}}}, "spec.storage: type memory needs"),
        ({"storage": {"type": "s3"}}, "spec.storage: type s3 needs the member s3 and no other"),
        ({"storage": {"type": "s3", "s3": {"bucket": "b"}}}, "spec.storage.s3.region: Field required"),
        (
            {
                "storage": {
                    "type": "azureBlob",
                    "azureBlob": {
                        "accountName": "a",
                        "containerName": "c",
                        "accountKeySecretRef": {"name": "a"},
                        "managedIdentity": {"resourceID": "/x"},
                    },
                }
            },
            "spec.storage.azureBlob: set accountKeySecretRef or managedIdentity, not both",
        ),
        (
            {"storage": {"type": "mongo", "mongo": {"connectionSecretRef": {"name": "a"}, "caRef": {}}}},
            "spec.storage.mongo.caRef: set exactly one of configMapRef and secretRef",
        ),
        ({"singleFlight": {"type": "etcd"}}, "spec.singleFlight: type etcd needs the member etcd and no other"),
        (
            {"singleFlight": {"etcd": {"endpoints": ["a:1"]}}},
            "spec.singleFlight: type Auto takes no settings; remove etcd",
        ),
        ({"index": {"mysql": {"host": "a", "user": "b"}}}, "spec.index: type none takes no settings; remove mysql"),
        ({"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}, "spec.autoscaling: minReplicas must not be larger"),
        ({"extraVolumes": [{"name": "a"}, {"name": "a"}]}, "spec: extraVolumes names a volume twice"),
        ({"extraEnv": [{"name": "A"}, {"name": "A"}]}, "spec: extraEnv names a variable twice"),
        ({"server": {"timeouts": {"stash": "5"}}}, "spec.server.timeouts.stash: not a duration"),
        ({"scratch": {"sizeLimit": []}}, "spec.scratch.sizeLimit: not a quantity"),
        ({"scratch": {"sizeLimit": -1}}, "spec.scratch.sizeLimit: a quantity is not negative"),
        ({"rollout": {"maxSurge": True}}, "spec.rollout.maxSurge: not a number or percentage"),
        ({"auth": {"basic": {"secretRef": {"name": "../x"}}}}, "spec.auth.basic.secretRef.name: not the name of an"),
        ({"serviceAccount": {"name": "a/b"}}, "spec.serviceAccount.name: not the name of an object"),
        (
            {"storage": {"type": "disk", "disk": {"existingClaim": "../../victim/secrets/x"}}},
            "spec.storage.disk.existingClaim: not the name of an object",
        ),
        (
            {"extraEnv": [{"name": "A", "valueFrom": {"secretKeyRef": "oops"}}]},
            "spec.extraEnv[0].valueFrom.secretKeyRef",
        ),
        (
            {"extraEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "../x", "key": "k"}}}]},
            "spec.extraEnv[0].valueFrom.secretKeyRef.name: not the name of an object",
        ),
    ],
)
def test_what_the_schema_refuses_is_refused_again(spec: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match="^" + said.replace("[", r"\[")):
        proxy_value(spec)


def test_messages_never_repeat_a_value() -> None:
    with pytest.raises(SpecError) as caught:
        proxy_value({"server": {"timeouts": {"stash": "hunter2"}}, "replicas": "hunter2"})

    assert "hunter2" not in str(caught.value)


def test_the_identity_can_be_read_when_the_spec_cannot() -> None:
    identity = Identity.of(proxy_body({"storage": {"type": "s3"}}))

    assert (identity.namespace, identity.name, identity.generation) == ("team-a", "go", 4)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("0s", 0), ("2m1s", 121)])
def test_durations_are_seconds(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "-5s", "1.5h", "1d", "5 s", None, 5])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="such as 1h30m"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("1k", 1000), ("1Ki", 1024), ("1.5Gi", 3 * 2**29), ("2e9", 2 * 10**9), ("2E", 2 * 10**18), ("1500m", 2)],
)
def test_quantities_are_bytes(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "1 Gi", "-1", "1Zi", "Gi", "1e", "1e999"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2Gi"):
        bytes_of(text)


def test_secrets_are_named_with_the_keys_that_pods_need() -> None:
    proxy = proxy_value(
        {
            "auth": {"basic": {"secretRef": {"name": "users", "passwordKey": "pw"}}},
            "extraEnv": [
                {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}},
                {"name": "MAYBE", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y", "optional": True}}},
                {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
        }
    )

    assert [(found.path, found.name, found.keys) for found in proxy.secret_references] == [
        ("spec.auth.basic.secretRef", "users", ("username", "pw")),
        ("spec.extraEnv[TOKEN].valueFrom.secretKeyRef", "token", ("value",)),
    ]


def test_everything_that_pods_take_from_secrets_and_config_maps_is_looked_up() -> None:
    proxy = proxy_value(
        {
            "storage": {
                "type": "mongo",
                "mongo": {"connectionSecretRef": {"name": "db"}, "caRef": {"configMapRef": {"name": "ca"}}},
            },
            "tls": {"secretRef": {"name": "certificate"}},
            "trustedCA": [{"secretRef": {"name": "root", "key": "pem"}}],
            "credentials": [{"name": "git", "type": "gitConfig", "secretRef": {"name": "git"}}],
            "extraEnvFrom": [{"secretRef": {"name": "more"}}, {"configMapRef": {"name": "no", "optional": True}}],
        }
    )

    assert [(found.kind, found.name, found.keys, found.hot) for found in proxy.secret_references] == [
        ("Secret", "db", ("url",), False),
        ("Secret", "more", (), False),
        ("ConfigMap", "ca", ("ca.crt",), False),
        ("Secret", "certificate", ("tls.crt", "tls.key"), True),
        ("Secret", "git", ("gitconfig",), True),
        ("Secret", "root", ("pem",), False),
    ]


def test_a_proxy_is_suspended_by_its_field_or_by_its_annotation() -> None:
    by_field = proxy_value({"suspend": True}).suspension
    by_annotation = proxy_value(annotations={"athensproxy.dev/reconcile": "disabled"}).suspension

    assert by_field is not None
    assert by_field.reason == "SpecSuspend"
    assert by_annotation is not None
    assert by_annotation.reason == "Annotation"
    assert proxy_value(annotations={"athensproxy.dev/reconcile": "no"}).suspension is None


def test_a_policy_whose_rules_cannot_be_read_still_attaches() -> None:
    """Ignoring it would silently drop its deny rules; the proxies keep their last good file instead."""
    policy = policy_value(rules=[rule(mode="bogus")])

    assert policy.problems[0].path == "spec.rules[0].mode"
    assert policy.content.rules == ()
    assert policy.reach.proxy_selector is not None


def test_a_cluster_policy_without_enforcement_is_refused() -> None:
    with pytest.raises(SpecError, match=r"spec\.enforcement: required"):
        policy_value(kind="ClusterDownloadPolicy")


def test_what_rotates_without_a_restart_is_known_as_such() -> None:
    """New logins for origins and clients, and a new home page, replace no pod; what is read at the start does."""
    entry = {"secretRef": {"name": "a"}}
    hosts = {"configMapRef": {"name": "hosts"}}
    proxy = proxy_value(
        {
            "credentials": [
                *({"name": kind.lower(), "type": kind, **entry} for kind in ("netrc", "gitConfig", "hgrc")),
                *({"name": kind, "type": kind, "match": f"{kind}.example.com", **entry} for kind in ("basic", "token")),
                {"name": "ssh", "type": "ssh", "match": "ssh.example.com", "knownHosts": hosts, **entry},
            ],
            "auth": {"clients": [{"name": "builds", **entry}], "basic": {"generate": True}},
            "server": {"homePage": {"configMapRef": {"name": "pages"}}},
            "egressProxy": entry,
            "trustedCA": [entry],
        }
    )
    hot = {found.path: found.hot for found in proxy.secret_references}

    assert {path for path, is_hot in hot.items() if not is_hot} == {
        "spec.auth.basic.secretRef",
        "spec.egressProxy.secretRef",
        "spec.trustedCA[0].secretRef",
    }
    assert len(hot) == 12


def test_the_keys_of_a_credential_follow_its_type() -> None:
    kinds = {"basic": ("username", "password"), "token": ("token",), "ssh": ("ssh-privatekey",)}
    hosts = {"inline": "git.example.com ssh-ed25519 AAAA"}
    proxy = proxy_value(
        {
            "credentials": [
                {"name": kind, "type": kind, "match": kind, "secretRef": {"name": kind}, "knownHosts": hosts}
                for kind in kinds
            ]
        }
    )

    assert {found.name: found.keys for found in proxy.secret_references} == kinds
