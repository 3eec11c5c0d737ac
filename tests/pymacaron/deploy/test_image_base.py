"""Base images for several machines, in a real registry."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from images import Registry, run_registry
from pymacaron.deploy.image_base import default_base, find_base
from pymacaron.deploy.image_layer import LayerArchive, tidy_cache, write_layer
from pymacaron.exceptions import TargetError

_KIND = "application/vnd.docker.distribution.manifest"


def push_base(registry: Registry) -> str:
    """Push an image for two machines, in Docker's older format, and return its name."""
    entries: list[dict[str, object]] = []
    for machine in ("amd64", "arm64"):
        layer = registry.push_blob("python", f"not really a layer for {machine}".encode())
        config = {
            "architecture": machine,
            "os": "linux",
            "config": {"Env": ["PATH=/bin", "PYTHON_VERSION=3.12.4"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(machine.encode()).hexdigest()}"]},
        }
        content = json.dumps(config).encode()
        digest = registry.push_blob("python", content)
        kinds = ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip")
        manifest: dict[str, object] = {
            "schemaVersion": 2,
            "mediaType": f"{_KIND}.v2+json",
            "config": {"mediaType": kinds[0], "digest": digest, "size": len(content)},
            "layers": [{"mediaType": kinds[1], "digest": layer, "size": 33}],
        }
        pushed = registry.push_manifest("python", machine, manifest)
        size = len(json.dumps(manifest))
        platform = {"os": "linux", "architecture": machine}
        entries.append({"mediaType": f"{_KIND}.v2+json", "digest": pushed, "size": size, "platform": platform})
    index: dict[str, object] = {"schemaVersion": 2, "mediaType": f"{_KIND}.list.v2+json", "manifests": entries}
    registry.push_manifest("python", "3.12", index)
    return f"{registry.host}/python:3.12"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_chooses_the_machine(registry: Registry) -> None:
    """Of several manifests the machine's own is taken; its Python is the one that it says; layers get OCI's names."""
    name = push_base(registry)
    here, there = (find_base(name, machine) for machine in ("amd64", "arm64"))

    assert here.reference.digest != there.reference.digest
    assert (str(here.platform), str(there.platform)) == (
        "Python 3.12 on linux/amd64",
        "Python 3.12 on linux/arm64",
    )
    assert here.kinds == ("application/vnd.oci.image.layer.v1.tar+gzip",)
    with pytest.raises(TargetError) as raised:
        find_base(name, "riscv64")
    assert str(raised.value) == (
        f"{name}: it is not there for linux/riscv64, only for linux/amd64, linux/arm64. "
        "Choose another docker_base or --platform."
    )


def test_a_base_by_digest_is_asked_for_once(tmp_path: Path) -> None:
    """What is named by digest cannot change: once known, its registry is not needed."""
    with run_registry(tmp_path / "registry") as registry:
        by_tag = find_base(push_base(registry), "amd64")
        name = str(by_tag.reference)
        known = find_base(name, "amd64")
    assert find_base(name, "amd64") == known
    assert known.layers == by_tag.layers


def test_default_is_the_python_that_builds() -> None:
    """Without docker_base an image has the Python that its packages are compiled by."""
    assert default_base().startswith("python:3.")
    assert default_base().endswith("-slim")


def test_layers_that_nobody_uses_are_forgotten() -> None:
    """The cache keeps what was used of late."""

    def fill(archive: LayerArchive) -> None:
        archive.add_bytes("a/b", b"text")

    file = write_layer(fill, moment=0).blob.file
    assert file
    tidy_cache()
    assert file.is_file()
    tidy_cache(older_than_s=-10)
    assert not file.exists()
