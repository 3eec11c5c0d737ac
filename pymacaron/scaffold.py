"""Writes a new service: `pymacaron new NAME`."""

from __future__ import annotations

import keyword
import re
import secrets
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import click
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pymacaron.codegen import generate_models
from pymacaron.exceptions import ConfigError, Finding
from pymacaron.spec import parse_spec

TEMPLATES = Path(__file__).parent / "templates" / "service"
CI_TEMPLATES = Path(__file__).parent / "templates" / "ci"
# Who runs the pipeline -> the file that tells it what to do.
PIPELINES = {"github": ".github/workflows/service.yml", "gitlab": ".gitlab-ci.yml"}
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*\Z")
_LONGEST_NAME = 40
_OWN_MODULES = frozenset({"apis", "server", "testaccept", "data"})
# Parts of template paths -> what stands there in the service.
_RENAMED = {"package": "{package}", "service.yaml": "{package}.yaml", "gitignore": ".gitignore"}


def plan_service(name: str, ci: str | None = None) -> dict[str, str]:
    """Return every file of a new service: path relative to its folder -> text. Each call has a secret of its own.

    ci: ``github`` or ``gitlab``, to have a pipeline too.
    Raises: ConfigError: *name* is no name, or its Python package would hide another one.
    """
    package = check_name(name)
    words = {
        "name": name,
        "package": package,
        "title": name.replace("-", " ").replace("_", " ").capitalize(),
        "variable": f"{package.upper()}_JWT_SECRET",
        "jwt_secret": secrets.token_hex(32),
        "pymacaron_version": version("pymacaron"),
    }
    # Text, not HTML: nothing is to be escaped.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True
    )
    files: dict[str, str] = {}
    for template in sorted(file for file in TEMPLATES.rglob("*") if file.is_file() and file.suffix != ".pyc"):
        relative = template.relative_to(TEMPLATES)
        path = "/".join(_RENAMED.get(part, part).format(package=package) for part in relative.parts)
        files[path] = environment.get_template(relative.as_posix()).render(words)
    if ci is not None:
        files[PIPELINES[ci]] = _write_pipeline(ci, words)
    document = f"apis/{package}.yaml"
    api = parse_spec(files[document], source=document, name=package)
    files[f"apis/{package}_models.py"] = generate_models(api)
    return files


def _write_pipeline(ci: str, words: dict[str, str]) -> str:
    """Return the text of a pipeline; its own braces stay as they are."""
    environment = Environment(  # noqa: S701 - text, not HTML
        loader=FileSystemLoader(CI_TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        variable_start_string="<<",
        variable_end_string=">>",
    )
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return environment.get_template(f"{ci}.yml").render(words, python=python)


def check_name(name: str) -> str:
    """Return the Python package for a service called *name*. Raises ConfigError: *name* does not do."""
    package = name.replace("-", "_")
    if not _NAME.match(name) or len(name) > _LONGEST_NAME:
        fix = (
            f"Take up to {_LONGEST_NAME} small letters, digits and single hyphens, as in pet-shop; begin with a letter"
        )
        raise ConfigError(Finding("NAME", f"{name!r} is no name for a service", fix))
    if keyword.iskeyword(package) or package in _OWN_MODULES:
        raise ConfigError(Finding("NAME", f"{package} has a meaning of its own", "Choose another name"))
    taken = packages_distributions().get(package)
    if package in sys.stdlib_module_names or taken:
        origin = f"of {taken[0]}" if taken else "of Python"
        found = f"the service's package {package} would hide the module {package} {origin}"
        raise ConfigError(Finding("NAME", found, "Choose another name"))
    return package


def write_service(name: str, folder: Path, ci: str | None = None) -> list[Path]:
    """Write a new service called *name* into *folder* and return its files; nothing that exists is changed.

    ci: ``github`` or ``gitlab``, to have a pipeline too.
    Raises: ConfigError: the name does not do, a file exists already, or *folder* cannot be written.
    """
    files = {folder / path: text for path, text in plan_service(name, ci).items()}
    findings = [
        Finding(str(file), "it exists already", "Remove it, or choose another folder with --folder")
        for file in files
        if file.exists()
    ]
    if findings:
        raise ConfigError(findings)
    try:
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as target:
                target.write(text)
    except OSError as error:
        found = f"cannot write there: {error.strerror or error}"
        raise ConfigError(Finding(str(folder), found, "Choose another folder with --folder")) from error
    return list(files)


@click.command()
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), default=None, help="Where to write it. Default: ./NAME.")
@click.option("--ci", type=click.Choice(list(PIPELINES)), default=None, help="Write a pipeline for that, too.")
def new(name: str, folder: Path | None, ci: str | None) -> None:
    """Write a small service called NAME that starts and passes its tests."""
    folder = folder or Path(name)
    files = write_service(name, folder, ci)
    click.echo(f"Wrote {len(files)} files into {folder}. Next:")
    click.echo(f"  cd {folder}")
    click.echo("  pymacaron run    serve it, docs at http://127.0.0.1:8000/doc")
    click.echo("  pytest           start it on a free port, test it, stop it")
