"""Remembers the image of a service that was built last, so that `pymacaron push` can push it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from pymacaron.deploy.image import Image
from pymacaron.deploy.image_config import Facts
from pymacaron.deploy.image_docker import DockerImage
from pymacaron.deploy.image_layer import Blob, Layer, cache_folder
from pymacaron.deploy.reference import parse_reference
from pymacaron.deploy.registry import OCI, Manifest
from pymacaron.exceptions import ConfigError, Finding
from pymacaron.json_types import JsonObject

_FIX = "Run pymacaron build first"


def _find_note(folder: Path) -> Path:
    return cache_folder("built") / f"{str(folder.resolve()).strip('/').replace('/', '-')[-200:]}.json"


def remember_image(folder: Path, image: Image | DockerImage) -> None:
    """Remember *image* as the last one of the service in *folder*."""
    facts = image.facts
    told: JsonObject = {
        "facts": {
            "name": facts.name,
            "version": facts.version,
            "env": facts.env,
            "revision": facts.revision,
            "spec_sha256": facts.spec_sha256,
            "created": facts.created.isoformat(),
            "packages_sha256": facts.packages_sha256,
        },
        "sbom": image.sbom.decode(),
    }
    if isinstance(image, DockerImage):
        told["tag"] = image.tag
    else:
        told |= {
            "base": str(image.base),
            "manifest": image.manifest.data.decode(),
            "config": image.config.data.decode(),
            "layers": [{**layer.to_json(), "file": str(layer.blob.file or "")} for layer in image.layers],
        }
    _find_note(folder).write_text(json.dumps(told), encoding="utf-8")


def recall_image(folder: Path) -> Image | DockerImage:
    """Return the image that was built last of the service in *folder*.

    Raises: ConfigError: there is none, or a part of it is gone from the cache.
    """
    note = _find_note(folder)
    if not note.is_file():
        raise ConfigError(Finding(str(folder), "no image of it was built here", _FIX))
    told = json.loads(note.read_text(encoding="utf-8"))
    facts = Facts(**{**told["facts"], "created": datetime.fromisoformat(told["facts"]["created"])})
    sbom = told["sbom"].encode()
    if "tag" in told:
        return DockerImage(facts, told["tag"], sbom)
    layers = []
    for layer in told["layers"]:
        file = Path(layer["file"]) if layer["file"] else None
        if file and not file.is_file():
            raise ConfigError(Finding(str(file), "this layer of the image is gone", _FIX))
        layers.append(Layer(Blob(layer["digest"], layer["size"], file), layer["diff_id"]))
    manifest = Manifest(told["manifest"].encode(), f"{OCI}.manifest.v1+json")
    config = Manifest(told["config"].encode(), f"{OCI}.config.v1+json")
    return Image(facts, parse_reference(told["base"], "base"), manifest, config, tuple(layers), sbom)
