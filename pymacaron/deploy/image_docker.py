"""Builds images of services with a Docker engine: from a Dockerfile that is written here, and Dockerfile.extra."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from pymacaron.deploy.engine import run_docker
from pymacaron.deploy.image_base import find_platform
from pymacaron.deploy.image_config import COMMAND, DATA, ENTRYPOINT, HOME, USER, Facts, healthcheck
from pymacaron.deploy.image_content import list_materials, plan_facts, write_service_layer
from pymacaron.deploy.image_packages import (
    PACKAGES,
    Packages,
    Platform,
    WheelMissingError,
    Wish,
    install_packages,
    read_wish,
)
from pymacaron.deploy.image_source import Source
from pymacaron.deploy.reference import parse_reference
from pymacaron.deploy.registry_login import Credentials, docker_knowing
from pymacaron.deploy.target import PORT, PlacementError
from pymacaron.exceptions import ConfigError, Finding, TargetError

EXTRA = "Dockerfile.extra"
_CONTEXT = ".pymacaron-image"
_BUILD_TIMEOUT_S = 3600.0
_SHOWN_LINES = 3
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_INDEX_SETTINGS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "HTTPS_PROXY", "https_proxy", "NO_PROXY")
_WHEELS = "/tmp/pymacaron-wheels"  # noqa: S108 - in a container that only this build uses


@dataclass(frozen=True, slots=True)
class DockerImage:
    """An image that the engine has. tag: its name there, ``repository:version``."""

    facts: Facts
    tag: str
    sbom: bytes


@dataclass(frozen=True, slots=True)
class DockerBase:
    """The base image, as the engine has it. name: by digest where it came from a registry."""

    name: str
    platform: Platform


def build_with_docker(
    source: Source, version: str, *, repository: str, base_name: str, requirements: Path | None, is_fresh: bool
) -> DockerImage:
    """Build the image and tag it ``repository:version``.

    The packages are the same wheels that an image without Docker gets; those that have none are compiled in a container
    of the base with Dockerfile.extra. Raises: TargetError: Docker refuses, with what it says.
    """
    if shutil.which("docker") is None:
        fix = "Install Docker; or write --no-docker, which leaves Dockerfile.extra out"
        raise ConfigError(
            Finding(EXTRA, "only a Docker engine can do what it says, and there is no docker command", fix)
        )
    base = find_docker_base(base_name)
    wish = read_wish(source.folder, requirements)
    extra = read_extra(source.folder)
    try:
        packages = install_packages(wish, base.platform, is_fresh=is_fresh)
    except WheelMissingError:
        packages = _compile_packages(source, wish, base, extra) if wish else Packages(None, {})
    facts = plan_facts(source, version, packages)
    sbom = list_materials(source, version, packages=packages, base=base.name)
    own = write_service_layer(source, version, sbom)
    with tempfile.TemporaryDirectory(prefix="pymacaron-image-") as work:
        context = _write_context(source, Path(work))
        shutil.copyfile(_file_of(own.blob.file), context / _CONTEXT / "service.tar.gz")
        if packages.layer:
            shutil.copyfile(_file_of(packages.layer.blob.file), context / _CONTEXT / "packages.tar.gz")
        text = plan_dockerfile(base.name, facts, extra=extra, has_packages=packages.layer is not None)
        (context / "Dockerfile").write_text(text, encoding="utf-8")
        _run_build(f"{repository}:{version}", context)
    return DockerImage(facts, f"{repository}:{version}", sbom)


def plan_dockerfile(base: str, facts: Facts, *, extra: str, has_packages: bool) -> str:
    """Return the Dockerfile: the base, Dockerfile.extra as root, the packages, the service, and how it is started."""
    own = facts.environment({})
    own["PATH"] = f"/{PACKAGES}/bin:$PATH"
    own["PYTHONPATH"] = f"/{PACKAGES}${{PYTHONPATH:+:$PYTHONPATH}}"
    name, _, digest = base.partition("@")
    lines = [
        "# Written by pymacaron build; Dockerfile.extra is the place for more.",
        f"FROM {base}",
        "USER root",
        *([extra.rstrip(), "USER root"] if extra.strip() else []),
        *([f"ADD {_CONTEXT}/packages.tar.gz /"] if has_packages else []),
        f"ADD {_CONTEXT}/service.tar.gz /",
        *(f'ENV {key}="{value}"' for key, value in own.items()),
        *(f"LABEL {key}={_quote(value)}" for key, value in facts.labels(f"{name}@{digest}").items()),
        f"EXPOSE {PORT}",
        f"VOLUME /{DATA}",
        f"USER {USER}:{USER}",
        f"WORKDIR /{HOME}",
        "STOPSIGNAL SIGTERM",
        f"HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD {json.dumps(healthcheck())}",
        f"ENTRYPOINT {json.dumps(ENTRYPOINT)}",
        f"CMD {json.dumps(COMMAND)}",
    ]
    return "\n".join(lines) + "\n"


def _quote(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$")


def read_extra(folder: Path) -> str:
    """Return the text of the service's Dockerfile.extra, "" without one."""
    file = folder / EXTRA
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def find_docker_base(name: str) -> DockerBase:
    """Return the base as the engine has it; it is pulled if it is not there. Raises: TargetError."""
    try:
        described = json.loads(run_docker("image", "inspect", name))[0]
    except PlacementError as error:
        if "No such image" not in str(error):
            raise
        run_docker("pull", "--quiet", name, timeout_s=_BUILD_TIMEOUT_S)
        described = json.loads(run_docker("image", "inspect", name))[0]
    pairs = (str(pair).partition("=") for pair in described["Config"].get("Env") or [])
    platform = find_platform(name, {key: value for key, _, value in pairs}, described["Architecture"])
    digests = described.get("RepoDigests") or []
    wanted = parse_reference(name, "docker_base")
    same = [one for one in digests if parse_reference(one, "docker_base").root == wanted.root]
    # The digest goes behind the name that was asked for, so that the label tells both.
    found = f"{name.partition('@')[0]}@{same[0].partition('@')[2]}" if same else name
    return DockerBase(found, platform)


def push_with_docker(image: DockerImage, repository: str, credentials: Credentials | None = None) -> str:
    """Push *image* as ``repository:version`` and return ``repository@sha256:…``. Raises: TargetError.

    credentials: by default docker's own.
    """
    tag = f"{repository}:{image.facts.version}"
    if tag != image.tag:
        run_docker("tag", image.tag, tag)
    wanted = parse_reference(repository, "docker_repo")
    with docker_knowing(wanted.registry, credentials) as environment:
        run_docker("push", tag, timeout_s=_BUILD_TIMEOUT_S, environment=environment)
    for name in json.loads(run_docker("image", "inspect", "--format", "{{json .RepoDigests}}", tag)):
        found = parse_reference(name, "docker_repo")
        if found.root == wanted.root:
            return f"{wanted.registry}/{wanted.repository}@{found.digest}"
    raise TargetError(Finding(tag, "docker tells no digest of what it pushed", "Push it again"))


def _run_build(tag: str, context: Path) -> None:
    """Have the engine build *tag* from *context*. Raises: TargetError: with the last lines of what it said."""
    try:
        run_docker("build", "--quiet", "--tag", tag, str(context), timeout_s=_BUILD_TIMEOUT_S)
    except PlacementError as error:
        lines = [_COLOUR.sub("", line).strip() for line in error.lines]
        said = " | ".join([line for line in lines if line and not line.startswith("--->")][-_SHOWN_LINES:])
        if not said:
            raise
        raise TargetError(Finding("docker build", said.rstrip("."), f"Mend {EXTRA}, or what it says")) from error


def _write_context(source: Source, context: Path) -> Path:
    """Write what a Dockerfile.extra may copy: the service's files, and nothing that the image must not hold."""
    for place, file in source.files.items():
        target = context / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.link:
            target.symlink_to(file.link)
        else:
            shutil.copy(file.path, target)
    (context / _CONTEXT).mkdir()
    return context


def _compile_packages(source: Source, wish: Wish, base: DockerBase, extra: str) -> Packages:
    """Return the packages, with wheels made in a container where no index has one."""
    mark = f"pymacaron-wheels-{uuid.uuid4().hex[:12]}"
    script = f"python3 -m pip wheel -q --no-deps -w {_WHEELS} -r {_WHEELS}.txt && echo done"
    with tempfile.TemporaryDirectory(prefix="pymacaron-wheels-") as work:
        context = _write_context(source, Path(work) / "context")
        dockerfile = f"FROM {base.name}\nUSER root\n{extra}\nUSER root\n"
        (context / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        listed = Path(work) / "requirements.txt"
        listed.write_text(wish.text, encoding="utf-8")
        try:
            _run_build(mark, context)
            # By name: values may hold credentials, and are gone with the container.
            told = [word for name in _INDEX_SETTINGS if name in os.environ for word in ("--env", name)]
            run_docker("create", "--name", mark, *told, "--entrypoint", "/bin/sh", mark, "-c", script)
            run_docker("cp", str(listed), f"{mark}:{_WHEELS}.txt")
            run_docker("start", "--attach", mark, timeout_s=_BUILD_TIMEOUT_S)
            run_docker("cp", f"{mark}:{_WHEELS}", str(Path(work) / "wheels"))
        finally:
            _remove(mark)
        return install_packages(wish, base.platform, is_fresh=True, wheels=Path(work) / "wheels")


def _remove(mark: str) -> None:
    for command in (("rm", "--force", mark), ("image", "rm", "--force", mark)):
        try:
            run_docker(*command)
        except PlacementError:
            continue  # it was not made


def _file_of(file: Path | None) -> Path:
    if file is None:
        raise ValueError("a layer that was made here has a file")
    return file
