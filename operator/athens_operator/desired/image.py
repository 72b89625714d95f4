"""Which image a proxy runs, and which version that is."""

from __future__ import annotations

from athens_operator.desired.inputs import Inputs
from athens_operator.spec.proxy import AthensProxy


def image_of(proxy: AthensProxy, inputs: Inputs) -> str:
    """The image reference: `spec.image`, or the default image, at `spec.version` if one is pinned.

    The tag follows the style of the default image's own: `v0.3.0` where that starts with a `v`, else `0.3.0`.
    """
    if proxy.spec.image:
        return proxy.spec.image
    if not proxy.spec.version:
        return inputs.default_image
    repository, tag = _parts(inputs.default_image)
    version = proxy.spec.version if not tag or tag.startswith("v") else proxy.spec.version.removeprefix("v")
    return f"{repository}:{version}"


def version_of(proxy: AthensProxy, inputs: Inputs) -> str:
    """The version of the image, as far as its reference tells; empty for an image by digest without a version."""
    if proxy.spec.image:
        return proxy.spec.version or _parts(proxy.spec.image)[1]
    if proxy.spec.version:
        return proxy.spec.version
    tag = _parts(inputs.default_image)[1]
    return f"v{tag}" if tag[:1].isdigit() else tag or inputs.operator_version


def _parts(image: str) -> tuple[str, str]:
    """Repository and tag of a reference; a colon before the last slash belongs to a registry's port."""
    without_digest = image.partition("@")[0]
    repository, colon, tag = without_digest.rpartition(":")
    if not colon or "/" in tag:
        return without_digest, ""
    return repository, tag
