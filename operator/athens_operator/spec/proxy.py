"""One AthensProxy as the operator sees it: identity, spec, and what follows from both at a glance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from athens_operator.spec.exposure import BasicAuth, BasicAuthSecret
from athens_operator.spec.fields import ProxySpec
from athens_operator.spec.places import Place, place_of
from athens_operator.spec.references import mounted_files, secret_variables, trusted_certificates
from athens_operator.spec.storage import Claim
from athens_operator.spec.values import parsed

ANNOTATION_PREFIX = "athensproxy.dev/"
GO_SUM = "go.sum"
RECONCILE_ANNOTATION = ANNOTATION_PREFIX + "reconcile"
REQUESTED_AT_ANNOTATION = ANNOTATION_PREFIX + "requestedAt"
RESTARTED_AT_ANNOTATION = ANNOTATION_PREFIX + "restartedAt"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an object is, readable even when its spec is not.

    Args:
        namespace: empty for cluster-scoped objects.
        status: the object's status as last read, which a new status builds on.
        deleting: the object is on its way out.
        created: when it was made, as the API server writes times.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    status: Mapping[str, Any] = field(repr=False)
    deleting: bool = False
    created: str = ""

    @staticmethod
    def of(body: Mapping[str, Any]) -> Identity:
        """The identity in any object that the API server returned."""
        metadata = body["metadata"]
        return Identity(
            namespace=metadata.get("namespace") or "",
            name=metadata["name"],
            uid=metadata.get("uid") or "",
            generation=metadata.get("generation") or 0,
            labels=dict(metadata.get("labels") or {}),
            annotations=dict(metadata.get("annotations") or {}),
            status=body.get("status") or {},
            deleting=bool(metadata.get("deletionTimestamp")),
            created=str(metadata.get("creationTimestamp") or ""),
        )


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A Secret or ConfigMap that the spec names, in the proxy's own namespace.

    Args:
        path: the field that names it, for messages.
        keys: the keys that must exist; empty when any content will do.
        kind: Secret or ConfigMap.
        hot: running pods take up a new content by themselves.
        holds_pods: no pod of the proxy can start without it.
    """

    path: str
    name: str
    keys: tuple[str, ...]
    kind: str = "Secret"
    hot: bool = False
    holds_pods: bool = True


@dataclass(frozen=True, slots=True)
class Suspension:
    """Why the children are frozen: the condition's reason and how to undo it."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class AthensProxy:
    """A parsed AthensProxy.

    Args:
        place: where its modules are, if that can be compared with other proxies; many do so at every pass.
    """

    identity: Identity
    spec: ProxySpec
    place: Place | None = None

    @staticmethod
    def parse(body: Mapping[str, Any]) -> AthensProxy:
        """The object as a value.

        Raises:
            SpecError: with the path of every field that cannot be read; use `Identity.of` to report it.
        """
        identity = Identity.of(body)
        spec = _with_login(parsed(ProxySpec, body.get("spec") or {}, root="spec"), identity.name)
        return AthensProxy(identity, spec, place_of(spec.storage))

    @property
    def namespace(self) -> str:
        """The namespace of the object and of all its children."""
        return self.identity.namespace

    @property
    def name(self) -> str:
        """The object's name, from which the children's names are built."""
        return self.identity.name

    @property
    def uid(self) -> str:
        """The uid that the children's owner references carry."""
        return self.identity.uid

    @property
    def generation(self) -> int:
        """The generation that a status of this value speaks of."""
        return self.identity.generation

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that policies select by."""
        return self.identity.labels

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name, the queue's key."""
        return (self.namespace, self.name)

    @property
    def claim(self) -> Claim | None:
        """The claim that the operator makes for this proxy, if it is to make one."""
        return self.spec.storage.disk.persistent_volume_claim if self.spec.storage.disk else None

    @property
    def existing_claim(self) -> str:
        """The name of a claim that somebody else made, or an empty text."""
        return self.spec.storage.disk.existing_claim if self.spec.storage.disk else ""

    @property
    def lacks_login(self) -> bool:
        """Whether pods let in nobody but clients whose secrets only these know."""
        return bool(self.spec.auth.clients) and self.spec.auth.basic is None

    @property
    def with_login(self) -> AthensProxy:
        """The same with a login that the operator makes for itself: its questions, the prefetch Job and the metrics."""
        named = BasicAuthSecret(name=operators_login(self.name))
        basic = BasicAuth.model_construct(secret_ref=named, generate=False)
        auth = self.spec.auth.model_copy(update={"basic": basic})
        return replace(self, spec=self.spec.model_copy(update={"auth": auth}))

    @property
    def secret_references(self) -> tuple[SecretReference, ...]:
        """Every Secret and ConfigMap that the pods need, for the operator to look up by name."""
        return (*self._variable_secrets(), *self._environment_secrets(), *self._mounted(), *self._prefetched())

    @property
    def suspension(self) -> Suspension | None:
        """Why the children must not be written now, or None."""
        if self.spec.suspend:
            return Suspension("SpecSuspend", "spec.suspend is true; set it to false to resume")
        if self.identity.annotations.get(RECONCILE_ANNOTATION) == "disabled":
            return Suspension("Annotation", f"remove the annotation {RECONCILE_ANNOTATION} to resume")
        return None

    def _variable_secrets(self) -> Iterator[SecretReference]:
        """One reference per field, with all keys that variables take from it."""
        by_field: dict[tuple[str, str], list[str]] = {}
        for variable in secret_variables(self.spec):
            by_field.setdefault((variable.path, variable.secret), []).append(variable.key)
        for (path, name), keys in by_field.items():
            yield SecretReference(path, name, tuple(dict.fromkeys(keys)))

    def _mounted(self) -> Iterator[SecretReference]:
        for mount in (*mounted_files(self.spec), *trusted_certificates(self.spec)):
            keys = tuple(key for key, _ in mount.files)
            yield SecretReference(mount.path, mount.name, keys, kind=mount.kind, hot=mount.hot)

    def _prefetched(self) -> Iterator[SecretReference]:
        """What only the Job needs."""
        given = self.spec.prefetch.go_sum_config_map_ref if self.spec.prefetch else None
        if given is not None:
            path, keys = "spec.prefetch.goSumConfigMapRef", (given.key or GO_SUM,)
            yield SecretReference(path, given.name, keys, kind="ConfigMap", hot=True, holds_pods=False)

    def _environment_secrets(self) -> Iterator[SecretReference]:
        """Those of `extraEnv` and `extraEnvFrom` without which a pod does not start; optional ones may be missing."""
        for variable in self.spec.extra_env:
            secret = variable.value_from.secret_key_ref if variable.value_from else None
            if secret is not None and not secret.optional:
                path = f"spec.extraEnv[{variable.name}].valueFrom.secretKeyRef"
                yield SecretReference(path, secret.name, (secret.key,))
        for number, source in enumerate(self.spec.extra_env_from):
            path = f"spec.extraEnvFrom[{number}]"
            if source.secret_ref is not None and not source.secret_ref.optional:
                yield SecretReference(f"{path}.secretRef", source.secret_ref.name, ())
            if source.config_map_ref is not None and not source.config_map_ref.optional:
                yield SecretReference(f"{path}.configMapRef", source.config_map_ref.name, (), kind="ConfigMap")


def _with_login(spec: ProxySpec, name: str) -> ProxySpec:
    """The spec with the Secret that the operator makes in the place of one that the user names."""
    basic = spec.auth.basic
    if basic is None or not basic.generate:
        return spec
    made = basic.model_copy(update={"secret_ref": BasicAuthSecret(name=generated_login(name))})
    return spec.model_copy(update={"auth": spec.auth.model_copy(update={"basic": made})})


def generated_login(name: str) -> str:
    """The Secret with the login that the operator makes for a proxy."""
    return f"{name}-auth"


def operators_login(name: str) -> str:
    """The Secret with the login that the operator makes where a proxy would let in nobody but its users' clients."""
    return f"{name}-operator-login"
