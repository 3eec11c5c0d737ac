"""Builds images of services without any Docker engine, and pushes them; `build` is what a deploy calls."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pymacaron.deploy.image_base import default_base, find_base
from pymacaron.deploy.image_config import DATA, HOME, USER, Facts, plan_config, plan_manifest
from pymacaron.deploy.image_layer import Blob, Layer, LayerArchive, cache_folder, write_layer
from pymacaron.deploy.image_packages import Packages, install_packages, read_wish
from pymacaron.deploy.image_sbom import write_sbom
from pymacaron.deploy.image_source import Source, find_version, read_source
from pymacaron.deploy.reference import ImageReference, parse_reference
from pymacaron.deploy.registry import OCI, Manifest, RegistryClient
from pymacaron.deploy.target import Release
from pymacaron.exceptions import ConfigError, Finding

SBOM = f"{HOME}/SBOM.cdx.json"
VERSION = f"{HOME}/VERSION"
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """How an image is built; what is empty comes from pym-config.yaml, else from the service's folder.

    repository: where it is pushed, ``docker_repo``/name by default. base: ``docker_base``. env: PYM_ENV in the image.
    machine: ``amd64`` or ``arm64``, this machine's by default. requirements: another lock or requirements file.
    is_fresh: look for newer packages now.
    """

    repository: str = ""
    base: str = ""
    env: str = ""
    machine: str = ""
    requirements: Path | None = None
    is_fresh: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """An image that was built and not yet pushed. layers: the base's, whose blobs have no file, then the own ones."""

    facts: Facts
    base: ImageReference
    manifest: Manifest
    config: Manifest
    layers: tuple[Layer, ...]
    sbom: bytes

    def to_release(self, pushed: str) -> Release:
        """Return the release; *pushed*: ``repository@sha256:…``."""
        facts = self.facts
        return Release(facts.version, pushed, facts.revision, facts.spec_sha256, facts.created)


def build(folder: Path, version: str | None = None, options: ImageOptions | None = None) -> Release:
    """Build the image of the service in *folder*, push it, and return the release, by digest.

    version: also its tag; by default `find_version`'s. The same commit, version and lock file give the same digest.
    Raises: ConfigError: the service or its configuration is at fault. TargetError: a registry or pip is.
    """
    options = options or ImageOptions()
    source = read_source(folder, options.env or None)
    repository = find_repository(source, options)
    image = build_image(source, version or find_version(source.commit), options)
    return image.to_release(push_image(image, repository))


def find_repository(source: Source, options: ImageOptions) -> ImageReference:
    """Return where images of the service go: the option, else ``docker_repo``/name.

    Raises: ConfigError: neither is there.
    """
    registry = str(source.settings.get("docker_repo") or "").rstrip("/")
    name = options.repository or (f"{registry}/{source.name}" if registry else "")
    if not name:
        fix = "Write where images go, as in docker_repo: registry.example.com/team, or name it by --repository"
        raise ConfigError(Finding("pym-config.yaml: docker_repo", "it is not set", fix))
    return parse_reference(name, "--repository" if options.repository else "docker_repo")


def find_base_name(source: Source, options: ImageOptions) -> str:
    """Return the name of the base image: the option, else ``docker_base``, else Docker's official Python."""
    return options.base or str(source.settings.get("docker_base") or "") or default_base()


def find_machine(options: ImageOptions) -> str:
    """Return the machine to build for, as Docker names it."""
    here = os.uname().machine
    return options.machine or {"x86_64": "amd64", "aarch64": "arm64"}.get(here, here)


def build_image(source: Source, version: str, options: ImageOptions) -> Image:
    """Return the image of *source*: the base's layers, one of packages, one of the service."""
    base = find_base(find_base_name(source, options), find_machine(options))
    packages = install_packages(
        read_wish(source.folder, options.requirements), base.platform, is_fresh=options.is_fresh
    )
    facts = plan_facts(source, version, packages)
    sbom = write_sbom(
        source.name,
        version,
        created=source.created,
        installed=packages.installed,
        base=f"{base.name}@{base.reference.digest}",
    )
    own = write_layer(lambda archive: _fill(archive, source, version, sbom), time=int(source.created.timestamp()))
    layers = [own] if packages.layer is None else [packages.layer, own]
    config = Manifest(plan_config(base, layers, facts), f"{OCI}.config.v1+json")
    manifest = plan_manifest(base, layers, config)
    return Image(facts, base.reference, manifest, config, (*base.layers, *layers), sbom)


def plan_facts(source: Source, version: str, packages: Packages) -> Facts:
    """Return what the image says about itself."""
    return Facts(
        source.name, version, source.env, source.commit.revision, source.spec_sha256, source.created, packages.sha256
    )


def _fill(archive: LayerArchive, source: Source, version: str, sbom: bytes) -> None:
    archive.add_folder(DATA, mode=0o750, owner=USER)
    for place, file in source.files.items():
        if file.link:
            archive.add_link(f"{HOME}/{place}", file.link)
        else:
            archive.add_file(f"{HOME}/{place}", file.path, is_executable=file.is_executable)
    archive.add_bytes(SBOM, sbom)
    archive.add_bytes(VERSION, f"{version}\n".encode())


def push_image(image: Image, repository: ImageReference) -> str:
    """Push *image* with its version as tag, and return ``repository@sha256:…``. What is there is not sent again."""
    digest, tag = image.manifest.digest, image.facts.version
    is_neighbour = image.base.registry == repository.registry and image.base.repository != repository.repository
    client = RegistryClient(repository, source=image.base.repository if is_neighbour else "")
    if client.find_digest(tag) != digest:
        source = RegistryClient(image.base)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda blob: _push_blob(client, source, blob), {layer.blob for layer in image.layers}))
        file = cache_folder("layers") / f"{image.config.digest.replace(':', '-')}.json"
        file.write_bytes(image.config.data)
        _push_blob(client, source, Blob(image.config.digest, len(image.config.data), file))
        client.push_manifest(image.manifest, tag)
    return f"{repository.registry}/{repository.repository}@{digest}"


def _push_blob(client: RegistryClient, source: RegistryClient, blob: Blob) -> None:
    if client.has_blob(blob.digest):
        return
    if blob.file is None and client.mount_blob(blob.digest):
        return
    client.push_blob(blob.digest, blob.file or fetch_layer(source, blob))


def fetch_layer(source: RegistryClient, blob: Blob) -> Path:
    """Return the file with a layer of the base; it is fetched once."""
    file = cache_folder("layers") / f"{blob.digest.replace(':', '-')}.tar.gz"
    if not file.is_file():
        source.fetch_blob(blob.digest, file)
    return file
