"""The steps of a deploy that make its image, run it here, and push what was tested."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pymacaron.deploy.engine import run_docker
from pymacaron.deploy.image import Image, ImageOptions, find_repository, make_image, push_to_repository
from pymacaron.deploy.image_archive import load_image
from pymacaron.deploy.image_docker import DockerImage
from pymacaron.deploy.image_source import Source, find_version, read_source
from pymacaron.deploy.image_store import recall_image, remember_image
from pymacaron.deploy.release import Deploy, StepError
from pymacaron.deploy.steps import Step
from pymacaron.deploy.target import PlacementError
from pymacaron.exceptions import ConfigError
from pymacaron.json_types import JsonObject

PUSH = "push"


def do_image(deploy: Deploy, step: Step) -> JsonObject:
    """Build the image; the same commit gives the same digest. Where no later step pushes it, it is pushed here."""
    source = _read_source(deploy)
    find_repository(source, _choose_options(deploy))  # before anything is built
    version = find_version(source.commit)
    if version == deploy.baseline:
        raise StepError(step.name, f"{version} is live already: there is no change since that commit")
    image = _make(deploy, source, version)
    digest = identify_image(image)
    deploy.tell(f"{version} is {digest}")
    pushed = {} if any(one.name == PUSH for one in deploy.steps) else _push(deploy, source, image)
    return {"built": {"version": version, "digest": digest}, **pushed}


def do_push(deploy: Deploy, step: Step) -> JsonObject:
    """Push the image that was tested, and record the release by its digest."""
    source = _read_source(deploy)
    return _push(deploy, source, _find_built(deploy, step, source))


@contextlib.contextmanager
def giving_image(deploy: Deploy, step: Step) -> Iterator[str]:
    """Give the name by which the Docker engine here has the image, or gets it, for as long as the block."""
    if deploy.journal.release:
        yield deploy.release.image
        return
    image = _find_built(deploy, step, _read_source(deploy))
    if isinstance(image, DockerImage):
        yield image.tag
        return
    name = f"pymacaron-local/{image.facts.name}:{image.facts.version}"
    load_image(image, name)
    try:
        yield name
    finally:
        with contextlib.suppress(PlacementError):  # somebody else's container may run it
            run_docker("image", "rm", name)


def identify_image(image: Image | DockerImage) -> str:
    """Return ``sha256:…``: of the manifest that is pushed, or what the Docker engine that built it calls it."""
    if isinstance(image, DockerImage):
        return run_docker("image", "inspect", "--format", "{{.Id}}", image.tag).strip()
    return image.manifest.digest


def _find_built(deploy: Deploy, step: Step, source: Source) -> Image | DockerImage:
    """Return the image that the step ``image`` built, here or elsewhere. Raises: StepError: it cannot be had again."""
    built = deploy.journal.facts["built"]
    with contextlib.suppress(ConfigError, PlacementError):  # it was built elsewhere, or is gone
        image = recall_image(deploy.folder)
        if identify_image(image) == built["digest"]:
            return image
    image = _make(deploy, source, str(built["version"]))
    if identify_image(image) != built["digest"]:
        found = f"the image {built['version']} is not here, and building it in this folder gives another one"
        raise StepError(step.name, found)
    return image


def _make(deploy: Deploy, source: Source, version: str) -> Image | DockerImage:
    image = make_image(source, version, _choose_options(deploy))
    remember_image(deploy.folder, image)
    return image


def _push(deploy: Deploy, source: Source, image: Image | DockerImage) -> JsonObject:
    release = image.facts.to_release(push_to_repository(image, source, _choose_options(deploy)))
    deploy.tell(f"{release.version} is {release.image}")
    return {"release": release.to_json()}


def _read_source(deploy: Deploy) -> Source:
    return read_source(deploy.folder, deploy.config.env)


def _choose_options(deploy: Deploy) -> ImageOptions:
    return ImageOptions(env=deploy.config.env or "")
