"""Writes an image as one file that `docker load`, podman and skopeo read: an OCI layout that Docker knows too."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from pathlib import Path

from pymacaron.deploy.engine import run_docker
from pymacaron.deploy.image import Image, fetch_layer
from pymacaron.deploy.registry import OCI, RegistryClient
from pymacaron.json_types import Json

_LOAD_TIMEOUT_S = 600.0


def write_archive(image: Image, file: Path, name: str) -> None:
    """Write *image* to *file*, as *name*, ``shop:1.2``; layers of its base are fetched if they are not here yet.

    Source: OCI image specification 1.1, "Image Layout"; ``manifest.json`` is what `docker load` reads.
    """
    source = RegistryClient(image.base)
    layers = [layer.blob.file or fetch_layer(source, layer.blob) for layer in image.layers]
    places = [_place(layer.blob.digest) for layer in image.layers]
    described = {
        "mediaType": image.manifest.kind,
        "digest": image.manifest.digest,
        "size": len(image.manifest.data),
        "annotations": {"org.opencontainers.image.ref.name": name},
    }
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": [described]}
    docker = [{"Config": _place(image.config.digest), "RepoTags": [name], "Layers": places}]
    with tarfile.open(file, "w") as archive:
        _add(archive, "oci-layout", _dump({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", _dump(index))
        _add(archive, "manifest.json", _dump(docker))
        _add(archive, _place(image.manifest.digest), image.manifest.data)
        _add(archive, _place(image.config.digest), image.config.data)
        for place, layer in dict(zip(places, layers, strict=True)).items():
            archive.add(layer, place)


def load_image(image: Image, name: str) -> None:
    """Give *image* to the Docker engine here, as *name*. Raises: PlacementError: it refuses."""
    with tempfile.TemporaryDirectory(prefix="pymacaron-image-") as work:
        write_archive(image, Path(work) / "image.tar", name)
        run_docker("load", "--quiet", "--input", str(Path(work) / "image.tar"), timeout_s=_LOAD_TIMEOUT_S)


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _dump(content: Json) -> bytes:
    return json.dumps(content).encode()


def _add(archive: tarfile.TarFile, place: str, data: bytes) -> None:
    entry = tarfile.TarInfo(place)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))
