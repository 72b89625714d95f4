"""What users write, as frozen values: parsed once from the untyped object, then trusted.

`fields.py` and `storage.py` mirror the schema of `crds/athensproxies.yaml`, `values.py` holds the scalar types,
`proxy.py` the object as a whole. Unknown fields are ignored, so that an older operator can work beside a newer schema.
What a user left out takes the default that the field's description names; defaults are never written back.
"""

from __future__ import annotations

from athens_operator.spec.proxy import AthensProxy, Identity, SecretReference, Suspension

__all__ = ["AthensProxy", "Identity", "SecretReference", "Suspension"]
