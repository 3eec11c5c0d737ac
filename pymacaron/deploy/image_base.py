"""The image that a service's image is built on: found in its registry, for one platform."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from pymacaron.deploy.image_layer import Blob, Layer, cache_folder, use_file
from pymacaron.deploy.image_packages import Platform
from pymacaron.deploy.reference import ImageReference, parse_reference
from pymacaron.deploy.registry import Manifest, RegistryClient
from pymacaron.exceptions import Finding, TargetError
from pymacaron.json_types import JsonObject

_PACKED = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
}


@dataclass(frozen=True, slots=True)
class Base:
    """A base image. reference: by digest. config: what its own config blob says. layers, kinds: one after another."""

    reference: ImageReference
    name: str
    config: JsonObject
    layers: tuple[Layer, ...]
    kinds: tuple[str, ...]
    machine: str

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that it sets."""
        pairs = (str(pair).partition("=") for pair in (self.config.get("config") or {}).get("Env") or [])
        return {name: value for name, _, value in pairs}

    @property
    def platform(self) -> Platform:
        """Return what its packages must fit."""
        return find_platform(self.name, self.environment, self.machine)


def default_base() -> str:
    """Return the name of Docker's official image of the Python that runs here, without compilers."""
    return f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"


def find_platform(name: str, environment: Mapping[str, str], machine: str) -> Platform:
    """Return what packages must fit in the image *name*: its Python, its machine, its C library.

    The Python is told by PYTHON_VERSION, as Docker's official images have it, else taken to be the one that runs here.
    """
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    told = environment.get("PYTHON_VERSION", "").split(".")
    return Platform(".".join(told[:2]) if len(told) > 1 else own, machine, "alpine" in name)


def find_base(name: str, machine: str) -> Base:
    """Return the base image called *name* for *machine* (``amd64``, ``arm64``).

    A name with a digest is asked for once, then remembered. Raises: TargetError: there is none, or none for *machine*.
    """
    reference = parse_reference(name, "docker_base")
    client = RegistryClient(reference)
    note = cache_folder("bases") / f"{reference.digest.replace(':', '-')}-{machine}.json"
    if reference.digest and note.is_file():
        told = json.loads(note.read_text(encoding="utf-8"))
        manifest, config = Manifest(told["manifest"].encode(), told["kind"]), told["config"]
    else:
        manifest = _choose(client, client.fetch_manifest(reference.version), machine)
        config = json.loads(_read_blob(client, manifest.content["config"]["digest"]))
        note = cache_folder("bases") / f"{manifest.digest.replace(':', '-')}-{machine}.json"
        kept = {"manifest": manifest.data.decode(), "kind": manifest.kind, "config": config}
        note.write_text(json.dumps(kept), encoding="utf-8")
        if reference.digest and reference.digest != manifest.digest:
            note.with_name(f"{reference.digest.replace(':', '-')}-{machine}.json").write_text(json.dumps(kept))
    found = config.get("architecture", machine)
    if found != machine:
        raise TargetError(Finding(str(reference), f"it is for {found}, not {machine}", "Choose another docker_base"))
    layers = tuple(
        Layer(Blob(layer["digest"], layer["size"]), diff_id)
        for layer, diff_id in zip(manifest.content["layers"], config["rootfs"]["diff_ids"], strict=True)
    )
    kinds = tuple(_PACKED.get(layer["mediaType"], layer["mediaType"]) for layer in manifest.content["layers"])
    return Base(reference.at(manifest.digest), name, config, layers, kinds, machine)


def _choose(client: RegistryClient, manifest: Manifest, machine: str) -> Manifest:
    """Return the manifest for *machine* if there are several, else *manifest*."""
    offered = manifest.content.get("manifests")
    if offered is None:
        return manifest
    platforms: list[Mapping[str, str]] = [entry.get("platform") or {} for entry in offered]
    for entry, platform in zip(offered, platforms, strict=True):
        if platform.get("os") == "linux" and platform.get("architecture") == machine:
            return client.fetch_manifest(entry["digest"])
    there = ", ".join(sorted({f"{one.get('os')}/{one.get('architecture')}" for one in platforms}))
    found = f"it is not there for linux/{machine}, only for {there}"
    raise TargetError(Finding(str(client.reference), found, "Choose another docker_base or --platform"))


def _read_blob(client: RegistryClient, digest: str) -> bytes:
    file = cache_folder("layers") / f"{digest.replace(':', '-')}.tar.gz"
    if not file.is_file():
        client.fetch_blob(digest, file)
    return use_file(file).read_bytes()
