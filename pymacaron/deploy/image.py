"""Builds images of services, without any Docker engine or with one, and pushes them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pymacaron.deploy.ecr import prepare_repository
from pymacaron.deploy.image_base import default_base, find_base
from pymacaron.deploy.image_config import Facts, plan_config, plan_manifest
from pymacaron.deploy.image_content import list_materials, plan_facts, write_service_layer
from pymacaron.deploy.image_docker import EXTRA, DockerImage, build_with_docker, push_with_docker
from pymacaron.deploy.image_layer import Blob, Layer, cache_folder, tidy_cache, use_file
from pymacaron.deploy.image_packages import install_packages, read_wish
from pymacaron.deploy.image_source import Source, find_version, read_source
from pymacaron.deploy.reference import ImageReference, parse_reference
from pymacaron.deploy.registry import OCI, Manifest, RegistryClient
from pymacaron.deploy.registry_login import Credentials
from pymacaron.deploy.target import Release
from pymacaron.exceptions import ConfigError, Finding

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """How an image is built; what is empty comes from pym-config.yaml, else from the service's folder.

    repository: where it is pushed, ``docker_repo``/name by default. base: ``docker_base``. env: PYM_ENV in the image.
    machine: ``amd64`` or ``arm64``, this machine's by default. requirements: another lock or requirements file.
    is_fresh: look for newer packages now. with_docker: have a Docker engine build, from a Dockerfile; None: only where
    Dockerfile.extra asks for it.
    """

    repository: str = ""
    base: str = ""
    env: str = ""
    machine: str = ""
    requirements: Path | None = None
    is_fresh: bool = False
    with_docker: bool | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image that was built and not yet pushed. layers: the base's, whose blobs have no file, then the own ones."""

    facts: Facts
    base: ImageReference
    manifest: Manifest
    config: Manifest
    layers: tuple[Layer, ...]
    sbom: bytes


def build(folder: Path, version: str | None = None, options: ImageOptions | None = None) -> Release:
    """Build the image of the service in *folder*, push it, and return the release, by digest.

    version: also its tag; by default `find_version`'s. The same commit, version and lock file give the same digest.
    Raises: ConfigError: the service or its configuration is at fault. TargetError: a registry or pip is.
    """
    options = options or ImageOptions()
    source = read_source(folder, options.env or None)
    find_repository(source, options)  # before anything is built
    image = make_image(source, version or find_version(source.commit), options)
    return image.facts.to_release(push_to_repository(image, source, options))


def make_image(source: Source, version: str, options: ImageOptions) -> Image | DockerImage:
    """Return the image of *source*, not pushed yet: built without Docker, or by it where `needs_docker` says so."""
    if needs_docker(source, options):
        return build_docker_image(source, version, options)
    return build_image(source, version, options)


def push_to_repository(image: Image | DockerImage, source: Source, options: ImageOptions) -> str:
    """Push *image* where `find_repository` says, and return ``repository@sha256:…``; in ECR the repository is made."""
    place = find_repository(source, options)
    credentials = prepare_repository(place, source.settings)
    if isinstance(image, DockerImage):
        return push_with_docker(image, f"{place.registry}/{place.repository}", credentials)
    return push_image(image, place, credentials)


def needs_docker(source: Source, options: ImageOptions) -> bool:
    """Tell whether a Docker engine builds: as the option says, else if there is a Dockerfile.extra."""
    return (source.folder / EXTRA).is_file() if options.with_docker is None else options.with_docker


def build_docker_image(source: Source, version: str, options: ImageOptions) -> DockerImage:
    """Return the image of *source* that a Docker engine built, tagged as it will be pushed, else by the bare name."""
    has_place = bool(options.repository or source.settings.get("docker_repo"))
    place = find_repository(source, options) if has_place else None
    return build_with_docker(
        source,
        version,
        repository=f"{place.registry}/{place.repository}" if place else source.name,
        base_name=find_base_name(source, options),
        requirements=options.requirements,
        is_fresh=options.is_fresh,
    )


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
    sbom = list_materials(
        source, version, packages=packages, base=f"{base.name.partition('@')[0]}@{base.reference.digest}"
    )
    own = write_service_layer(source, version, sbom)
    layers = [own] if packages.layer is None else [packages.layer, own]
    config = Manifest(plan_config(base, layers, facts), f"{OCI}.config.v1+json")
    manifest = plan_manifest(base, layers, config)
    tidy_cache()
    return Image(facts, base.reference, manifest, config, (*base.layers, *layers), sbom)


def push_image(image: Image, repository: ImageReference, credentials: Credentials | None = None) -> str:
    """Push *image* with its version as tag, and return ``repository@sha256:…``. What is there is not sent again.

    credentials: by default what `docker login` remembers.
    """
    digest, tag = image.manifest.digest, image.facts.version
    is_neighbour = image.base.registry == repository.registry and image.base.repository != repository.repository
    mounted = image.base.repository if is_neighbour else ""
    client = RegistryClient(repository, source=mounted, credentials=credentials)
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
    return use_file(file)
