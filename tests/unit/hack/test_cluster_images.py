"""When an image is built again, and the sandbox image that no registry has."""

import json
import tarfile
from pathlib import Path

import pytest

from localcluster import images, pause_image


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("Dockerfile.proxy", "Dockerfile.operator", ".dockerignore", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / name).write_text(name)
    for folder, file in (
        ("requirements", "build.txt"),
        ("requirements", "proxy.txt"),
        ("proxy/athens_proxy", "app.py"),
    ):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / file).write_text(file)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    return tmp_path


def test_the_tag_is_the_version_of_the_project(repository: Path) -> None:
    assert images.version(repository) == "1.2.3"


@pytest.mark.parametrize("changed", ["Dockerfile.proxy", "requirements/proxy.txt", "proxy/athens_proxy/app.py"])
def test_a_changed_input_means_a_new_image(repository: Path, changed: str) -> None:
    before = images.content_digest(repository, "proxy", "base")
    (repository / changed).write_text("another")
    assert images.content_digest(repository, "proxy", "base") != before


def test_a_new_base_means_a_new_image(repository: Path) -> None:
    assert images.content_digest(repository, "proxy", "a") != images.content_digest(repository, "proxy", "b")


@pytest.mark.parametrize("unrelated", ["Dockerfile.operator", "docs.md", "proxy/athens_proxy/__pycache__/app.pyc"])
def test_what_is_not_in_an_image_does_not_rebuild_it(repository: Path, unrelated: str) -> None:
    before = images.content_digest(repository, "proxy", "base")
    (repository / unrelated).parent.mkdir(exist_ok=True)
    (repository / unrelated).write_text("another")
    assert images.content_digest(repository, "proxy", "base") == before


def test_the_sandbox_image_holds_one_program_that_sleeps(tmp_path: Path) -> None:
    (tmp_path / "busybox").write_bytes(b"program")
    pause_image.write(tmp_path / "busybox", tmp_path / "pause.tar")
    with tarfile.open(tmp_path / "pause.tar") as archive:
        manifest = json.loads(read(archive, "manifest.json"))[0]
        config = json.loads(read(archive, manifest["Config"]))
    assert manifest["RepoTags"] == [pause_image.NAME]
    assert config["config"]["Entrypoint"][:2] == ["/busybox", "sleep"]


def read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    assert member is not None
    return member.read()
