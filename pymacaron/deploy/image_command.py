"""`pymacaron build` and `pymacaron push`, and what they were called before: pymdocker, pymversion."""

from __future__ import annotations

from pathlib import Path

import click

from pymacaron.deploy.engine import run_docker
from pymacaron.deploy.image import (
    Image,
    ImageOptions,
    find_base_name,
    find_machine,
    make_image,
    push_to_repository,
)
from pymacaron.deploy.image_archive import load_image, write_archive
from pymacaron.deploy.image_docker import DockerImage
from pymacaron.deploy.image_source import Source, find_commit, find_version, read_source
from pymacaron.deploy.image_store import recall_image, remember_image
from pymacaron.deploy.old_names import run_alone
from pymacaron.exceptions import ConfigError, Finding

_folder_option = click.option(
    "--folder", type=click.Path(path_type=Path), default=Path(), help="The service's folder. Default: this one."
)
_repository_option = click.option(
    "--repository", default="", help="Where the image goes. Default: docker_repo in pym-config.yaml, and the name."
)


@click.command()
@_folder_option
@_repository_option
@click.option("--version", default=None, help="Its version and tag. Default: time and commit, as `deploy` makes them.")
@click.option("--base", default="", help="Base image. Default: docker_base, else python:X.Y-slim of this Python.")
@click.option("--env", default="", help="PYM_ENV in the image. Default: prod, or live where that has a pym-config.")
@click.option("--platform", default="", help="linux/amd64 or linux/arm64. Default: this machine's.")
@click.option(
    "--requirements", type=click.Path(path_type=Path), default=None, help="Lock or requirements file to install."
)
@click.option("--refresh", "is_fresh", is_flag=True, help="Look for newer packages now, not once a day.")
@click.option(
    "--docker/--no-docker",
    "with_docker",
    default=None,
    help="Have a Docker engine build. Default: where there is a Dockerfile.extra.",
)
@click.option("--push", "is_pushed", is_flag=True, help="Push it, and print its name by digest.")
@click.option("--load", "is_loaded", is_flag=True, help="Give it to the Docker engine here, as NAME:VERSION.")
@click.option("--output", type=click.Path(path_type=Path), default=None, help="Write it to this file (OCI archive).")
@click.option("--sbom", type=click.Path(path_type=Path), default=None, help="Write its bill of materials there too.")
@click.option("--list", "is_listed", is_flag=True, help="Only list the service's files that go into it.")
def build(  # noqa: PLR0913 - one argument an option
    folder: Path,
    repository: str,
    version: str | None,
    base: str,
    env: str,
    platform: str,
    requirements: Path | None,
    is_fresh: bool,  # noqa: FBT001 - click passes it by keyword
    with_docker: bool | None,  # noqa: FBT001
    is_pushed: bool,  # noqa: FBT001
    is_loaded: bool,  # noqa: FBT001
    output: Path | None,
    sbom: Path | None,
    is_listed: bool,  # noqa: FBT001
) -> None:
    """Build the image of the service in this folder."""
    options = ImageOptions(repository, base, env, _read_platform(platform), requirements, is_fresh, with_docker)
    source = read_source(folder, env or None)
    if is_listed:
        click.echo("\n".join(source.files))
        return
    image = make_image(source, version or find_version(source.commit), options)
    remember_image(folder, image)
    click.echo(_describe(source, image, options))
    if sbom:
        sbom.write_bytes(image.sbom)
    if output:
        _write(image, output)
    if is_loaded and isinstance(image, Image):
        load_image(image, f"{image.facts.name}:{image.facts.version}")
    if is_pushed:
        click.echo(push_to_repository(image, source, options))


@click.command()
@_folder_option
@_repository_option
def push(folder: Path, repository: str) -> None:
    """Push the image that was built last in this folder, and print its name by digest."""
    image = recall_image(folder)
    source = read_source(folder, image.facts.env)
    click.echo(push_to_repository(image, source, ImageOptions(repository)))


def _read_platform(text: str) -> str:
    """Return the machine in ``linux/arm64/v8``, "" for nothing. Raises: ConfigError: images are for Linux."""
    system, _, machine = text.partition("/")
    if text and (system != "linux" or not machine):
        raise ConfigError(Finding(f"--platform {text}", "images are for Linux", "Write linux/amd64 or linux/arm64"))
    return machine.partition("/")[0]


def _describe(source: Source, image: Image | DockerImage, options: ImageOptions) -> str:
    """Return what was built, in one line."""
    what = image.tag if isinstance(image, DockerImage) else f"{image.facts.name}:{image.facts.version}"
    how = "by Docker" if isinstance(image, DockerImage) else image.manifest.digest
    base = find_base_name(source, options)
    return f"Built {what} for linux/{find_machine(options)} on {base}, PYM_ENV={image.facts.env}: {how}"


def _write(image: Image | DockerImage, file: Path) -> None:
    if isinstance(image, DockerImage):
        run_docker("save", "--output", str(file), image.tag)
    else:
        write_archive(image, file, f"{image.facts.name}:{image.facts.version}")


@click.command(name="pymdocker")
@click.option("--push/--no-push", "is_pushed", default=False, help="Push the image.")
@click.option("--no-build", "is_only_pushed", is_flag=True, help="Push the image that was built before.")
@click.option("--version", default=None, help="Its version and tag.")
@click.pass_context
def pymdocker(
    context: click.Context,
    is_pushed: bool,  # noqa: FBT001
    is_only_pushed: bool,  # noqa: FBT001
    version: str | None,
) -> None:
    """Build the image of the service in this folder, as `pymacaron build` does; the name of pymacaron 2."""
    if not is_only_pushed:
        context.invoke(build, folder=Path(), version=version, is_pushed=is_pushed)
    elif is_pushed:
        context.invoke(push, folder=Path())
    else:
        raise ConfigError(Finding("pymdocker", "there is nothing to do", "Leave out --no-build, or write --push"))


@click.command(name="pymversion")
@_folder_option
def pymversion(folder: Path) -> None:
    """Print the version that an image of this folder gets now; the name of pymacaron 2."""
    click.echo(find_version(find_commit(folder)))


def run_pymdocker() -> None:
    """Run `pymdocker`, and tell what keeps it from building."""
    run_alone(pymdocker, "pymdocker")


def run_pymversion() -> None:
    """Run `pymversion`."""
    run_alone(pymversion, "pymversion")
