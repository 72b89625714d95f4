"""The conditions of an AthensProxy that judge one thing each, in the order in which Ready asks them. Pure.

A condition that does not apply (no Secret is named, no policy file exists yet) is left out.
"""

from __future__ import annotations

from athens_operator.attachment import MissingPolicy, MissingReason
from athens_operator.conditions import Condition, Verdict
from athens_operator.desired.names import claim_name, service_name
from athens_operator.desired.optional import missing_kinds
from athens_operator.desired.sharing import shares_lock
from athens_operator.manifests import Manifest, Ref
from athens_operator.resources import CLAIMS
from athens_operator.shared_stores import Sharing
from athens_operator.spec.proxy import AthensProxy
from athens_operator.spec.references import BASIC_AUTH_SECRET
from athens_operator.spec.storage import StorageType
from athens_operator.status_observed import ApplyFailure, FailureReason, MissingSecret, Observed, PolicyState
from athens_operator.status_pods import AVAILABLE, is_serving, pod_trouble, replica_failure

CONFIGURATION_VALID = "ConfigurationValid"
SECRETS_RESOLVED = "SecretsResolved"
POLICIES_RESOLVED = "PoliciesResolved"
STORAGE_READY = "StorageReady"
EXPOSURE_READY = "ExposureReady"
HIGHLY_AVAILABLE = "HighlyAvailable"
KEPT = "the last good file stays in force"
NOTHING_KEPT = "no pod starts before that"
CLOSED = "every module is refused until then, because spec.onError is FailClosed"


def deployment_of(proxy: AthensProxy, observed: Observed) -> Manifest | None:
    """The live Deployment, if there is one that is ours."""
    return observed.children.get(Ref("apps/v1", "Deployment", proxy.namespace, proxy.name))


def configuration_valid(observed: Observed) -> Condition:
    """Whether spec and merged policy can be rendered and were accepted by the API server."""
    failure = observed.policy.failure
    if failure is not None:
        kept = _meanwhile(observed.policy)
        return Condition(CONFIGURATION_VALID, Verdict.FALSE, failure.reason, f"{failure.message}; {kept}")
    invalid = [found for found in observed.failures if found.reason is FailureReason.INVALID_CHILD]
    if invalid:
        said = _refused(invalid[0])
        if invalid[0].ref.kind == CLAIMS.kind:
            said = (
                f"claim {invalid[0].ref.name} exists and cannot become what spec.storage asks for; write the size, "
                "class and access modes that it has, or name another one in spec.storage.disk.existingClaim: "
                f"{invalid[0].message}"
            )
        return Condition(CONFIGURATION_VALID, Verdict.FALSE, "InvalidChild", said)
    return Condition(CONFIGURATION_VALID, Verdict.TRUE, "Valid", "spec and policies can be rendered")


def secrets_resolved(proxy: AthensProxy, observed: Observed) -> Condition | None:
    """Whether every Secret and key that the spec names exists; None when it names none."""
    if not proxy.secret_references:
        return None
    if not observed.secrets_readable:
        return Condition(
            SECRETS_RESOLVED, Verdict.UNKNOWN, "SecretAccessDisabled", "the operator may not read Secrets; see the pods"
        )
    if not observed.missing_secrets:
        return Condition(SECRETS_RESOLVED, Verdict.TRUE, "Resolved", "every referenced Secret and key exists")
    reason = "SecretKeyMissing" if all(found.key for found in observed.missing_secrets) else "SecretNotFound"
    said = "; ".join(_missing_secret(proxy, found) for found in observed.missing_secrets)
    return Condition(SECRETS_RESOLVED, Verdict.FALSE, reason, said)


def policies_resolved(proxy: AthensProxy, observed: Observed) -> Condition:
    """Whether every policy that should apply was found, is shared and can be read."""
    policy = observed.policy
    if policy.missing:
        kept = _meanwhile(policy)
        said = "; ".join(_missing_policy(proxy, found) for found in policy.missing)
        return Condition(POLICIES_RESOLVED, Verdict.FALSE, policy.missing[0].reason.value, f"{said}; {kept}")
    if policy.text is None and deployment_of(proxy, observed) is not None:
        return Condition(
            POLICIES_RESOLVED,
            Verdict.FALSE,
            "LastGoodLost",
            f"ConfigMap {proxy.name}-policy is gone and cannot be rendered again; running pods keep their file, "
            "new pods wait: repair the policies",
        )
    return Condition(POLICIES_RESOLVED, Verdict.TRUE, "Resolved", "every policy that applies was found")


def _meanwhile(policy: PolicyState) -> str:
    """What pods do until the policies can be used."""
    if policy.closed:
        return CLOSED
    return KEPT if policy.kept_last_good else NOTHING_KEPT


def storage_ready(proxy: AthensProxy, observed: Observed) -> Condition | None:
    """Whether the claim is bound, or the pods reach the service; None before a pod has proven that."""
    name = claim_name(proxy)
    kind = proxy.spec.storage.type
    if observed.sharing.blocked_by:
        return _store_is_taken(observed.sharing)
    if kind not in (StorageType.DISK, StorageType.MEMORY):
        if not any(is_serving(pod) for pod in observed.pods):
            return None  # a pod that does not get that far says why in Available
        return Condition(STORAGE_READY, Verdict.TRUE, "Reachable", f"ready pods reach the {kind.value} store")
    if not name:
        where = "memory" if kind is StorageType.MEMORY else "an emptyDir"
        return Condition(STORAGE_READY, Verdict.TRUE, "Ephemeral", f"modules are kept in {where} and lost with the pod")
    if observed.claim is None:
        return _claim_absent(proxy, observed, name)
    phase = observed.claim.get("status", {}).get("phase", "Pending")
    if phase == "Lost":
        return Condition(
            STORAGE_READY, Verdict.FALSE, "ClaimLost", f"claim {name} has lost its volume; restore the volume it names"
        )
    if phase != "Bound":
        return _unbound(proxy, name, str(observed.claim["spec"].get("storageClassName") or ""))
    return _resizing(observed.claim, name) or Condition(STORAGE_READY, Verdict.TRUE, "Bound", f"claim {name} is bound")


def available(proxy: AthensProxy, observed: Observed) -> Condition:
    """Whether enough pods are ready, as the Deployment counts; else the most telling reason why not."""
    for failure in observed.failures:
        if failure.reason not in (FailureReason.INVALID_CHILD, FailureReason.UNAVAILABLE):
            return Condition(AVAILABLE, Verdict.FALSE, failure.reason.value, _refused(failure))
    deployment = deployment_of(proxy, observed)
    if deployment is None:
        return Condition(AVAILABLE, Verdict.FALSE, "NoReadyReplicas", "there is no Deployment yet")
    if not deployment["spec"].get("replicas", 1):
        return Condition(AVAILABLE, Verdict.TRUE, "ScaledToZero", "no pod is wanted")
    status = deployment.get("status", {})
    ready, wanted = status.get("readyReplicas", 0), deployment["spec"].get("replicas", 1)
    conditions = {entry.get("type"): entry.get("status") for entry in status.get("conditions") or ()}
    if conditions.get("Available") == "True":
        return Condition(AVAILABLE, Verdict.TRUE, "MinimumReplicasAvailable", f"{ready}/{wanted} pods are ready")
    trouble = pod_trouble(observed.pods) or replica_failure(deployment)
    return trouble or Condition(AVAILABLE, Verdict.FALSE, "NoReadyReplicas", f"{ready}/{wanted} pods are ready")


def exposure_ready(proxy: AthensProxy, observed: Observed) -> Condition | None:
    """Whether load balancer and gateway serve the proxy; None when nothing outside the cluster is asked for."""
    asked = proxy.spec.service.type == "LoadBalancer", proxy.spec.http_route is not None
    if not any(asked):
        return None
    trouble = (_without_address(proxy, observed) if asked[0] else None) or (
        _without_route(proxy, observed) if asked[1] else None
    )
    return trouble or Condition(EXPOSURE_READY, Verdict.TRUE, "Exposed", _exposed(proxy))


def _exposed(proxy: AthensProxy) -> str:
    address = [f"Service {service_name(proxy)} has an address"] if proxy.spec.service.type == "LoadBalancer" else []
    route = [f"HTTPRoute {proxy.name} is accepted"] if proxy.spec.http_route else []
    return " and ".join([*address, *route])


def _without_address(proxy: AthensProxy, observed: Observed) -> Condition | None:
    name = service_name(proxy)
    service = observed.children.get(Ref("v1", "Service", proxy.namespace, name), {})
    if service.get("status", {}).get("loadBalancer", {}).get("ingress"):
        return None
    return Condition(
        EXPOSURE_READY,
        Verdict.FALSE,
        "LoadBalancerPending",
        f"Service {name} waits for an address; check that the cluster has a load balancer",
    )


def _without_route(proxy: AthensProxy, observed: Observed) -> Condition | None:
    """What keeps requests from reaching the proxy through a gateway; every parent must have accepted the route."""
    if "HTTPRoute" in missing_kinds(proxy, observed.inputs):
        said = (
            "spec.httpRoute needs the Gateway API (gateway.networking.k8s.io/v1), which this cluster does not serve "
            "or the operator may not use; install it, or remove spec.httpRoute"
        )
        return Condition(EXPOSURE_READY, Verdict.FALSE, "GatewayAPIMissing", said)
    route = observed.children.get(Ref("gateway.networking.k8s.io/v1", "HTTPRoute", proxy.namespace, proxy.name), {})
    parents = route.get("status", {}).get("parents") or ()
    verdicts = [entry for parent in parents for entry in parent.get("conditions") or () if entry["type"] == "Accepted"]
    refused = next((entry for entry in verdicts if entry.get("status") != "True"), None)
    if verdicts and refused is None:
        return None
    why = f"{refused.get('reason')}: {refused.get('message')}" if refused else "no gateway has answered yet"
    said = (
        f"HTTPRoute {proxy.name} is not accepted ({why}); check spec.httpRoute.parentRefs and the gateway's listeners"
    )
    return Condition(EXPOSURE_READY, Verdict.FALSE, "RouteNotAccepted", said[:1000])


def highly_available(proxy: AthensProxy, observed: Observed) -> Condition:
    """Whether the proxy outlives a node; advice, not part of Ready."""
    modes = proxy.claim.access_modes if proxy.claim else observed.inputs.claim_access_modes or ()
    disk = proxy.spec.storage.type in (StorageType.DISK, StorageType.MEMORY)
    if proxy.spec.least_replicas < 2:
        reason, said = "SingleReplica", "one replica; raise spec.replicas"
    elif disk and not claim_name(proxy):
        reason, said = "EphemeralStorage", "modules are lost with each pod; use storage that replicas share"
    elif disk and "ReadWriteMany" not in modes:
        reason, said = "NodeLocalStorage", "all replicas need the node of the claim; use ReadWriteMany"
    elif not shares_lock(proxy.spec):
        reason, said = "UnsharedSingleFlight", "replicas share the store, and each may fetch the same module once"
    else:
        said = "replicas share store and lock"
        return Condition(HIGHLY_AVAILABLE, Verdict.TRUE, "Redundant", said)
    return Condition(HIGHLY_AVAILABLE, Verdict.FALSE, reason, said)


def _store_is_taken(sharing: Sharing) -> Condition:
    first, *more = sharing.blocked_by
    also = f" and {len(more)} more" if more else ""
    return Condition(
        STORAGE_READY,
        Verdict.FALSE,
        "StorageShared",
        f"{sharing.place} already holds the modules of AthensProxy {first}{also}; choose another bucket or prefix, or "
        "set spec.storage.allowSharing on both",
    )


def _claim_absent(proxy: AthensProxy, observed: Observed, name: str) -> Condition:
    if proxy.existing_claim:
        return Condition(
            STORAGE_READY,
            Verdict.FALSE,
            "ClaimNotFound",
            f"claim {name} does not exist in namespace {proxy.namespace}; create it or correct "
            "spec.storage.disk.existingClaim",
        )
    refused = [found.message for found in observed.failures if found.ref.kind == CLAIMS.kind]
    said = f"claim {name} cannot be made: {refused[0]}" if refused else f"claim {name} does not exist yet"
    return Condition(STORAGE_READY, Verdict.FALSE, "ClaimPending", said)


def _unbound(proxy: AthensProxy, name: str, storage_class: str) -> Condition:
    """A claim without a volume; many classes make one for the first pod only, and without replicas there is none."""
    if not proxy.spec.replicas:
        return Condition(
            STORAGE_READY, Verdict.UNKNOWN, "ClaimPending", f"claim {name} may get its volume with the first pod"
        )
    wanted = f"class {storage_class}" if storage_class else "the default class"
    return Condition(
        STORAGE_READY,
        Verdict.FALSE,
        "ClaimPending",
        f"claim {name} waits for a volume of {wanted}; check that the class exists and can provision one",
    )


def _resizing(claim: Manifest, name: str) -> Condition | None:
    status = claim.get("status", {})
    states = (status.get("allocatedResourceStatuses") or {}).values()
    if any(str(state).endswith("Infeasible") for state in states):
        return Condition(
            STORAGE_READY,
            Verdict.FALSE,
            "ResizeRejected",
            f"the volume of claim {name} cannot grow to the wanted size; choose a size that its class allows",
        )
    active = [entry.get("type") for entry in status.get("conditions") or () if entry.get("status") == "True"]
    if "Resizing" in active or "FileSystemResizePending" in active:
        return Condition(STORAGE_READY, Verdict.FALSE, "ResizeInProgress", f"the volume of claim {name} is growing")
    return None


def _missing_secret(proxy: AthensProxy, found: MissingSecret) -> str:
    reference = found.reference
    if found.key:
        return f"{reference.kind} {reference.name} has no key {found.key}; add it or correct {reference.path}"
    keys = f" with the keys {' and '.join(reference.keys)}" if reference.keys else ""
    absent = f"{reference.kind} {reference.name} does not exist in namespace {proxy.namespace}; create it{keys}, or"
    basic = proxy.spec.auth.basic
    if basic is not None and basic.generate and reference.path == BASIC_AUTH_SECRET:
        return f"{absent} let the operator make it, which the install value features.generatedSecrets allows"
    return f"{absent} correct {reference.path}"


def _missing_policy(proxy: AthensProxy, found: MissingPolicy) -> str:
    match found.reason:
        case MissingReason.NOT_FOUND:
            return f"{found.label} does not exist; create it or remove it from spec.policyRefs"
        case MissingReason.NOT_SHARED:
            return (
                f"{found.label} is not shared with namespace {proxy.namespace}; extend its spec.shareWith or remove it "
                "from spec.policyRefs"
            )
        case MissingReason.REJECTED:
            return f"{found.label} cannot be read: {'; '.join(map(str, found.problems))}"


def _refused(failure: ApplyFailure) -> str:
    return f"{failure.ref.kind} {failure.ref.name}: {failure.message}"
