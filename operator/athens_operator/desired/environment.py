"""The environment of the container: secrets, pins, what only the environment can say, and what the user adds."""

from __future__ import annotations

from athens_operator.desired.configuration import BUNDLE_FILE, DOWNLOAD_MODE, SCRATCH_FOLDER
from athens_operator.desired.egress import egress_variables
from athens_operator.desired.inputs import Inputs
from athens_operator.desired.stores import storage_variables
from athens_operator.manifests import Manifest
from athens_operator.spec.proxy import AthensProxy
from athens_operator.spec.references import SecretVariable, secret_variables
from athens_operator.spec.workload import EnvVar

HOME_FOLDER = "/home/athens"
RUNTIME_FOLDER = "/run/athens"
"""Where the proxy writes what git and the go command need of its credentials: memory, never a disk."""
IMAGE_PATH = "/opt/app/bin:/opt/venv/bin:/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin"
PROGRAM_PINS = {
    "PATH": IMAGE_PATH,
    **dict.fromkeys(("PYTHONPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX"), ""),
    "PYTHONNOUSERSITE": "1",
    **dict.fromkeys(("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "OPENSSL_CONF", "GCONV_PATH"), ""),
}
"""What could put another program in the proxy's place, as the image has it; an empty text is the same as none."""


def environment(proxy: AthensProxy, inputs: Inputs) -> list[Manifest]:
    """Variables in a fixed order; the two pins have the form that beats every other, also what `envFrom` sets."""
    fixed: list[Manifest] = [
        {"name": "ATHENS_ATHENS_DOWNLOAD_MODE", "value": DOWNLOAD_MODE},
        {"name": "ATHENS_ATHENS_FILTER_FILE", "value": ""},
        {"name": "HOME", "value": HOME_FOLDER},
        {"name": "TMPDIR", "value": SCRATCH_FOLDER},
        *([{"name": "SSL_CERT_FILE", "value": BUNDLE_FILE}] if proxy.spec.trusted_ca else []),
        *([{"name": "XDG_RUNTIME_DIR", "value": RUNTIME_FOLDER}] if proxy.spec.credentials else []),
        *storage_variables(proxy.spec.storage),
        *map(_from_secret, secret_variables(proxy.spec)),
        *egress_variables(proxy, inputs),
    ]
    if proxy.spec.extra_env_from:  # whose names nobody has seen
        written = {variable.name for variable in proxy.spec.extra_env}  # by objects older than the rule against them
        fixed += [{"name": name, "value": value} for name, value in PROGRAM_PINS.items() if name not in written]
    return fixed + [_extra(variable) for variable in proxy.spec.extra_env]


def environment_sources(proxy: AthensProxy) -> list[Manifest]:
    """Secrets and ConfigMaps all of whose keys become variables; ours beat them."""
    return [source.model_dump(by_alias=True, exclude_unset=True) for source in proxy.spec.extra_env_from]


def _from_secret(variable: SecretVariable) -> Manifest:
    reference = {"name": variable.secret, "key": variable.key}
    return {"name": variable.name, "valueFrom": {"secretKeyRef": reference}}


def _extra(variable: EnvVar) -> Manifest:
    if variable.value_from is None:
        return {"name": variable.name, "value": variable.value or ""}
    return {
        "name": variable.name,
        "valueFrom": variable.value_from.model_dump(by_alias=True, exclude_unset=True, exclude_none=True),
    }
