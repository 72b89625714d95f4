"""What users write, as frozen values: parsed once from the untyped object, then trusted.

`fields.py` mirrors the schema of `crds/athensproxies.yaml`, `values.py` holds the scalar types, `proxy.py` the object
as a whole. Unknown fields are ignored, so that an older operator can work beside a newer schema. Defaults that the
schema does not set are applied while rendering, never here: a value of None means "not written by the user".
"""

from __future__ import annotations

from athens_operator.spec.proxy import AthensProxy, Identity, SecretReference, Suspension

__all__ = ["AthensProxy", "Identity", "SecretReference", "Suspension"]
