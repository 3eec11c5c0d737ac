from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from images import Registry, require_engine, service_image
from pymacaron.config import PymConfig
from pymacaron.deploy import engine
from pymacaron.deploy.docker import DockerTarget
from pymacaron.deploy.proxy import PLACE_FILE
from target_suite import CHECKS, Place, write_marked_service


@pytest.fixture(scope="session")
def marked_image(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return what builds the marked service, each mark once."""
    built: dict[str, str] = {}

    def build(mark: str) -> str:
        if mark not in built:
            folder = write_marked_service(tmp_path_factory.mktemp(mark) / "marked", mark)
            built[mark] = service_image(registry, folder, version=mark)
        return built[mark]

    return build


@pytest.fixture
def docker_config(tmp_path: Path) -> Iterator[PymConfig]:
    """Give the configuration of a service of its own, and remove its containers and its proxy at the end."""
    require_engine()
    config = PymConfig(
        name=f"marked-{uuid4().hex[:8]}", docker_folder=tmp_path / "state", docker_listen="127.0.0.1:0", stop_timeout=1
    )
    yield config
    for container in engine.list_containers(f"label=pymacaron.service={config.name}"):
        engine.remove_container(container.name)
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(json.loads((tmp_path / "state" / PLACE_FILE).read_text())["pid"], signal.SIGTERM)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_docker_is_a_target(
    check: Callable[[Place], None], docker_config: PymConfig, marked_image: Callable[[str], str]
) -> None:
    """Containers behind the proxy do what every target must do."""
    check(Place(lambda: DockerTarget(docker_config), marked_image))
