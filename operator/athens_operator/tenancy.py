"""What an installation with `tenancy: Restricted` lets no AthensProxy have. Pure.

Whoever writes an AthensProxy runs pods and mounts Secrets in its namespace; this keeps such a tenant to our images, our
service accounts, and volumes that reach nothing outside the namespace. What runs stays as it is until the spec is
corrected.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from athens_operator.errors import Problem, TenancyError
from athens_operator.settings import Settings, Tenancy
from athens_operator.spec import AthensProxy
from athens_operator.spec.fields import ProxySpec

VOLUMES: Final = frozenset({"configMap", "secret", "emptyDir", "persistentVolumeClaim"})
OUTWARD: Final = frozenset({"LoadBalancer", "NodePort"})


def tenancy_problem(proxy: AthensProxy, settings: Settings) -> TenancyError | None:
    """Every field that asks for too much, or None."""
    if settings.tenancy is not Tenancy.RESTRICTED:
        return None
    problems = [*_workload(proxy.spec, settings), *_exposure(proxy, settings)]
    return TenancyError(problems) if problems else None


def _workload(spec: ProxySpec, settings: Settings) -> Iterator[Problem]:
    if spec.image and not _is_allowed(spec.image, (_repository(settings.proxy_image), *settings.allowed_images)):
        yield Problem(
            "spec.image", "this installation runs images of its allow-list only; remove the field or ask for it"
        )
    if spec.extra_env_from:
        yield Problem("spec.extraEnvFrom", "this installation takes no variables from whole objects; use extraEnv")
    for volume in spec.extra_volumes:
        kinds = set(volume) - {"name"}
        if kinds - VOLUMES:
            allowed = "configMap, secret, emptyDir or persistentVolumeClaim"
            yield Problem(f"spec.extraVolumes[{volume.get('name')}]", f"this installation mounts {allowed} only")
    if not spec.service_account.create or spec.service_account.name:
        yield Problem(
            "spec.serviceAccount", "this installation runs pods under an account of their own; remove name and create"
        )
    for credential in spec.credentials:
        if credential.insecure_ignore_host_key:
            path = f"spec.credentials[{credential.name}].insecureIgnoreHostKey"
            yield Problem(path, "this installation checks the keys of ssh servers; write knownHosts instead")


def _exposure(proxy: AthensProxy, settings: Settings) -> Iterator[Problem]:
    kind = proxy.spec.service.type
    if kind in OUTWARD and proxy.namespace not in settings.load_balancer_namespaces:
        yield Problem(
            "spec.service.type", f"this installation gives this namespace no {kind}; use ClusterIP or ask for it"
        )


def _repository(image: str) -> str:
    """A reference without tag and digest; a colon before the last slash belongs to a port."""
    path, slash, last = image.partition("@")[0].rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}"


def _is_allowed(image: str, allowed: tuple[str, ...]) -> bool:
    """Whether the image is one of the list, or a tag, digest or folder below one."""
    return any(
        image == entry or image.startswith((f"{entry}:", f"{entry}@", f"{entry.rstrip('/')}/")) for entry in allowed
    )
