"""Images built by a real Docker engine, with Dockerfile.extra."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pip
import pytest

from images import Registry, base_image, require_engine
from pymacaron.deploy.image import ImageOptions, build
from pymacaron.deploy.image_config import Facts
from pymacaron.deploy.image_docker import plan_dockerfile
from pymacaron.exceptions import ConfigError, TargetError
from pymacaron.scaffold import write_service

# A source package that makes its wheel with nothing but Python.
_BACKEND = """
import zipfile

def get_requires_for_build_wheel(settings=None):
    return []

def build_wheel(folder, settings=None, metadata=None):
    name = "compiled-1.0-py3-none-any.whl"
    info = "compiled-1.0.dist-info"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("compiled.py", "WHERE = 'in the container'")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: compiled\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""
_PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
_EXTRA = """
COPY tools /tools
RUN echo "installed by Dockerfile.extra" > /etc/extra
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/tools/sources PYTHONPATH=/tools/site:/usr/local/packages
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a service that needs a package which exists as source only, and whose Dockerfile.extra brings pip."""
    require_engine()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "shop"
    write_service("shop", folder)
    (folder / "requirements.txt").write_text("compiled==1.0\n")
    (folder / "Dockerfile.extra").write_text(_EXTRA)
    sources = folder / "tools" / "sources"
    sources.mkdir(parents=True)
    with tarfile.open(sources / "compiled-1.0.tar.gz", "w:gz") as archive:
        files = {"pyproject.toml": _PROJECT, "backend.py": _BACKEND, "PKG-INFO": "Name: compiled\nVersion: 1.0\n"}
        for name, text in files.items():
            entry = tarfile.TarInfo(f"compiled-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    shutil.copytree(
        Path(pip.__file__).parent, folder / "tools" / "site" / "pip", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


@pytest.fixture
def options(registry: Registry) -> Iterator[ImageOptions]:
    options = ImageOptions(repository=f"{registry.host}/team/docker-shop", base=base_image(registry))
    yield options
    made = subprocess.run(
        ["docker", "images", "--quiet", "--no-trunc", options.repository], capture_output=True, text=True, check=False
    )
    for image in {*made.stdout.split(), options.base}:
        subprocess.run(["docker", "rmi", "--force", image], capture_output=True, check=False)


@pytest.mark.unmeasured
def test_builds_with_what_dockerfile_extra_says(shop: Path, options: ImageOptions) -> None:
    """A package without wheels is compiled in a container; the image has it, runs as nobody, and says what it is."""
    release = build(shop, "v1", options)

    code = "import compiled, os; print(compiled.WHERE, os.getuid(), open('/etc/extra').read().strip())"
    run = ["docker", "run", "--rm", "--entrypoint", "python3", release.image, "-c", code]
    told = subprocess.run(run, capture_output=True, text=True, check=False)
    assert told.stdout == "in the container 10001 installed by Dockerfile.extra\n", told.stderr
    config = json.loads(subprocess.check_output(["docker", "image", "inspect", release.image]))[0]["Config"]
    assert config["Entrypoint"] == ["python3", "-m", "pymacaron.cli"]
    assert config["Healthcheck"]["Test"][:3] == ["CMD", "python3", "-c"]
    assert config["Labels"]["org.opencontainers.image.version"] == "v1"
    assert config["Labels"]["org.opencontainers.image.base.digest"] == options.base.partition("@")[2]
    bill = subprocess.check_output([*run[:-2], "-c", "print(open('/pym/SBOM.cdx.json').read())"])
    assert [part["name"] for part in json.loads(bill)["components"]] == ["compiled", options.base.partition("@")[0]]


def test_dockerfile_holds_no_more_than_it_needs() -> None:
    """The Dockerfile is the base, Dockerfile.extra as root, two archives, and what the image says."""
    created = datetime(2026, 11, 27, tzinfo=UTC)
    facts = Facts("shop", "v1", "prod", "abc", "", created)
    text = plan_dockerfile("python:3.13@sha256:00", facts, extra="RUN true\nUSER app\n", has_packages=True)
    health = next(line for line in text.splitlines() if line.startswith("HEALTHCHECK"))
    assert text.replace(health, "HEALTHCHECK …") == (
        "# Written by pymacaron build; Dockerfile.extra is the place for more.\n"
        "FROM python:3.13@sha256:00\n"
        "USER root\n"
        "RUN true\n"
        "USER app\n"
        "USER root\n"
        "ADD .pymacaron-image/packages.tar.gz /\n"
        "ADD .pymacaron-image/service.tar.gz /\n"
        'ENV PYM_REVISION="abc"\n'
        'ENV PATH="/opt/pymacaron/bin:$PATH"\n'
        'ENV PYTHONPATH="/opt/pymacaron${PYTHONPATH:+:$PYTHONPATH}"\n'
        'ENV PYTHONUNBUFFERED="1"\n'
        'ENV PYTHONDONTWRITEBYTECODE="1"\n'
        'ENV PYM_ENV="prod"\n'
        'ENV PYM_DATA_DIR="/data"\n'
        'ENV HOME="/data"\n'
        'ENV PORT="8080"\n'
        'LABEL org.opencontainers.image.title="shop"\n'
        'LABEL org.opencontainers.image.version="v1"\n'
        'LABEL org.opencontainers.image.revision="abc"\n'
        'LABEL org.opencontainers.image.created="2026-11-27T00:00:00+00:00"\n'
        'LABEL org.opencontainers.image.base.name="python:3.13"\n'
        'LABEL org.opencontainers.image.base.digest="sha256:00"\n'
        "EXPOSE 8080\n"
        "VOLUME /data\n"
        "USER 10001:10001\n"
        "WORKDIR /pym\n"
        "STOPSIGNAL SIGTERM\n"
        "HEALTHCHECK …\n"
        'ENTRYPOINT ["python3", "-m", "pymacaron.cli"]\n'
        'CMD ["run", "--host", "0.0.0.0"]\n'
    )


def test_says_why_docker_does_not_build(tmp_path: Path, options: ImageOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command of Dockerfile.extra said is told; without Docker, what to do instead."""
    require_engine()
    folder = tmp_path / "shop"
    write_service("shop", folder)
    (folder / "requirements.txt").write_text("")
    (folder / "Dockerfile.extra").write_text("RUN cat /no/such/file\n")
    with pytest.raises(TargetError) as raised:
        build(folder, "v1", options)
    assert "cat: /no/such/file: No such file or directory" in str(raised.value)
    assert str(raised.value).endswith("Mend Dockerfile.extra, or what it says.")

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as missing:
        build(folder, "v1", options)
    assert str(missing.value) == (
        "Dockerfile.extra: only a Docker engine can do what it says, and there is no docker command. "
        "Install Docker; or write --no-docker, which leaves Dockerfile.extra out."
    )
