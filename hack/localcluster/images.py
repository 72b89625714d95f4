"""Builds the project's images and gives them to the local node; does neither twice for the same content."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from localcluster import engine as engines
from localcluster import node, packages
from localcluster.engine import Engine
from localcluster.errors import ClusterError
from localcluster.places import REPOSITORY, Places
from localcluster.progress import step

NAMES: Final = ("proxy", "operator")
_DEFAULT_BASE: Final = "python:3.13-slim-bookworm"
_LOCAL_BASE: Final = "athens-operator-local/python:3.11"
_CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_SOURCES: Final = ("operator", "policy", "proxy", "pyproject.toml", "README.md", "LICENSE")


def version(repository: Path = REPOSITORY) -> str:
    """The project's version, which is the images' tag."""
    return str(tomllib.loads((repository / "pyproject.toml").read_text())["project"]["version"])


def reference(name: str) -> str:
    """The full name of one of our images."""
    return f"athens-operator/{name}:{version()}"


def build(name: str, engine: Engine, places: Places) -> str:
    """Build an image unless the engine has it from the same content; returns its reference.

    Args:
        name: One of `NAMES`.
        engine: Where to build.
        places: Where the base image's cache is.

    Raises:
        ClusterError: The build failed; the message holds its last output.
    """
    image = reference(name)
    base = _base(engine, places)
    digest = content_digest(REPOSITORY, name, str((engine.image(base) or {}).get("Id", base)))
    if engine.inputs(image) == digest:
        return image
    with step(f"building {image}"):
        engine.run(
            "build",
            f"--file={REPOSITORY / f'Dockerfile.{name}'}",
            f"--build-arg=BASE={base}",
            f"--build-arg=VERSION={version()}",
            f"--label={engines.inputs_label(digest)}",
            "--network=host",
            f"--tag={image}",
            str(REPOSITORY),
        )
    return image


def content_digest(repository: Path, name: str, base: str) -> str:
    """A digest of everything an image is built from."""
    files = [repository / f"Dockerfile.{name}", repository / ".dockerignore"]
    files += [repository / "requirements" / f"{part}.txt" for part in ("build", name)]
    for source in (repository / part for part in _SOURCES):
        files += sorted(source.rglob("*")) if source.is_dir() else [source]
    digest = hashlib.sha256(base.encode())
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            content = file.read_bytes()
            digest.update(f"{file.relative_to(repository)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def load(images: Sequence[str], engine: Engine, places: Places) -> None:
    """Copy images from the engine into the local node's containerd, as far as they are not there.

    Raises:
        ClusterError: The engine has no such image, or the copy failed.
    """
    missing = [image for image in images if _image_id(image, engine) not in _loaded_ids(image, places)]
    if not missing:
        return
    with step(f"loading {', '.join(missing)}"):  # in one archive: layers they share travel once
        with subprocess.Popen([*engine.command, "save", *missing], stdout=subprocess.PIPE) as save:
            if save.stdout is None:
                raise ClusterError(f"`docker save {' '.join(missing)}` has no output")
            node.ctr(places, "images", "import", "-", stdin=save.stdout.fileno())
        if save.returncode != 0:
            raise ClusterError(f"`docker save {' '.join(missing)}` failed with exit code {save.returncode}")


def _image_id(image: str, engine: Engine) -> str:
    found = engine.image(image)
    if found is None:
        raise ClusterError(f"the Docker engine has no image {image}; build it with `hack/cluster build-image`")
    return str(found["Id"])


def _loaded_ids(image: str, places: Places) -> set[str]:
    """Digests of the manifest and of the configuration under a name: engines use one or the other as the id."""
    full = image if "." in image.partition("/")[0] else f"docker.io/{image}"
    listed = node.ctr(places, "images", "list", f"name=={full}").splitlines()[1:]
    if not listed:
        return set()
    manifest = listed[0].split()[2]
    config = json.loads(node.ctr(places, "content", "get", manifest)).get("config", {})
    return {manifest, str(config.get("digest"))}


def _base(engine: Engine, places: Places) -> str:
    """The image ours are built on: BASE_IMAGE, else the official one, else one made from Debian packages."""
    named = os.environ.get("BASE_IMAGE")
    if named:
        return named
    if engine.image(_DEFAULT_BASE) is not None:
        return _DEFAULT_BASE
    digest = _local_base_digest()
    if engine.inputs(_LOCAL_BASE) == digest:
        return _LOCAL_BASE
    if engine.can_get(_DEFAULT_BASE):
        return _DEFAULT_BASE
    _import_local_base(engine, places, digest)
    return _LOCAL_BASE


def _local_base_digest() -> str:
    script = REPOSITORY / "hack/base-image/build"
    return hashlib.sha256(script.read_bytes() + _CERTIFICATES.read_bytes()).hexdigest()


def _import_local_base(engine: Engine, places: Places, digest: str) -> None:
    archive = places.cache / f"base-image/python-3.11-{digest[:12]}.tar"
    if not archive.exists():
        packages.ensure(packages.IMAGES)
        archive.parent.mkdir(parents=True, exist_ok=True)
        with step(f"making {_LOCAL_BASE} from Debian packages"):
            script = [str(REPOSITORY / "hack/base-image/build"), str(archive)]
            made = subprocess.run(script, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise ClusterError(f"`hack/base-image/build` failed: {made.stderr.strip()[-2000:]}")
    changes = [
        f"LABEL {engines.inputs_label(digest)}",
        f"ENV PIP_CERT={_CERTIFICATES} SSL_CERT_FILE={_CERTIFICATES}",
        'CMD ["python3"]',
    ]
    with step(f"importing {_LOCAL_BASE}"):
        engine.run("import", *(f"--change={change}" for change in changes), str(archive), _LOCAL_BASE)
