"""The service's own layer: its files, its version, its bill of materials, and a folder for its data."""

from __future__ import annotations

from pymacaron.deploy.image_config import DATA, HOME, USER, Facts
from pymacaron.deploy.image_layer import Layer, LayerArchive, write_layer
from pymacaron.deploy.image_packages import Packages
from pymacaron.deploy.image_sbom import write_sbom
from pymacaron.deploy.image_source import Source

SBOM = f"{HOME}/SBOM.cdx.json"
VERSION = f"{HOME}/VERSION"


def plan_facts(source: Source, version: str, packages: Packages) -> Facts:
    """Return what the image says about itself."""
    return Facts(
        source.name, version, source.env, source.commit.revision, source.spec_sha256, source.created, packages.sha256
    )


def list_materials(source: Source, version: str, *, packages: Packages, base: str) -> bytes:
    """Return the bill of materials. base: name of the base image, by digest."""
    return write_sbom(source.name, version, created=source.created, installed=packages.installed, base=base)


def write_service_layer(source: Source, version: str, sbom: bytes) -> Layer:
    """Write the layer of the service itself; its files carry the time of the code."""

    def fill(archive: LayerArchive) -> None:
        archive.add_folder(DATA, mode=0o750, owner=USER)
        for place, file in source.files.items():
            if file.link:
                archive.add_link(f"{HOME}/{place}", file.link)
            else:
                archive.add_file(f"{HOME}/{place}", file.path, is_executable=file.is_executable)
        archive.add_bytes(SBOM, sbom)
        archive.add_bytes(VERSION, f"{version}\n".encode())

    return write_layer(fill, moment=int(source.created.timestamp()))
