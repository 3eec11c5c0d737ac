from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from clouds.quick_image import quick_image
from images import Registry, require_engine, service_image
from pymacaron.config import PymConfig
from pymacaron.deploy import engine
from pymacaron.deploy.answering import ask_ping
from pymacaron.deploy.docker import DockerTarget
from pymacaron.deploy.proxy import PLACE_FILE, TRAFFIC_FILE
from pymacaron.deploy.routes import Route, write_routes
from pymacaron.deploy.target import PlacementError
from pymacaron.exceptions import Finding
from target_suite import CHECKS, Place, make_release, write_marked_service


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


def test_a_container_that_was_started_again(docker_config: PymConfig, registry: Registry) -> None:
    """It is no release to go on with, and its metrics can be read: of one that has run for long, that is no matter."""
    target = DockerTarget(docker_config)
    release = make_release(Place(lambda: target, lambda mark: quick_image(registry, mark)), "one")
    placed = target.stage(release)
    target.check(release.version)
    name = f"pym-{docker_config.name}-{release.version}"
    os.kill(int(engine.run_docker("inspect", "--format", "{{.State.Pid}}", name)), signal.SIGKILL)
    end_s = time.monotonic() + 60
    while not (found := engine.find_container(name)) or not found.restarts or ask_ping(placed.url):
        assert time.monotonic() < end_s, found
        time.sleep(0.1)
    with pytest.raises(PlacementError, match=f"{name}: it ended and was started again, 1 times. Read its log."):
        target.check(release.version)
    assert target.metrics(release.version) == 'version_info{version="one"} 1\n'
    assert target.stage(release) == placed


def test_a_port_that_somebody_took_meanwhile(docker_config: PymConfig, registry: Registry) -> None:
    """Whether another container has it or any other process, another port is tried."""
    image, name = quick_image(registry, "one"), f"{docker_config.name}-port"
    with socket.socket() as taken:
        taken.bind((engine.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PlacementError) as caught:
            engine.run_docker("run", "--detach", "--name", name, "--publish", f"{engine.HOST}:{port}:80", image)
        engine.remove_container(name)
    assert engine._is_port_taken(caught.value), caught.value.lines
    assert not engine._is_port_taken(PlacementError(Finding("docker run", "no such image", "Build it"), ["no image"]))


def test_requests_that_do_not_end_are_told(docker_config: PymConfig, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever waits for an answer of a release that is removed is not cut off silently."""
    ended = threading.Event()
    with socket.create_server((engine.HOST, 0)) as release:

        def hang() -> None:
            connection, _ = release.accept()
            with connection:
                ended.wait(60)

        hanging = threading.Thread(target=hang)
        hanging.start()
        config = docker_config.model_copy(update={"docker_drain_time": 1})
        assert config.docker_folder is not None
        target = DockerTarget(config)
        write_routes(config.docker_folder, [Route("old", engine.HOST, release.getsockname()[1], 100)])
        target._ensure_proxy()
        place = target._find_proxy()
        assert place is not None
        with socket.create_connection(place) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
            wait_for_request(config.docker_folder / TRAFFIC_FILE)
            write_routes(config.docker_folder, [Route("new", engine.HOST, 1, 100)])
            target.retire("old")
            assert caplog.messages == ["old: 1 requests may still be under way after 1 s; it is told to end"]
            caplog.clear()
            target.retire("gone")
            assert caplog.messages == []
        ended.set()
        hanging.join()


def wait_for_request(traffic: Path) -> None:
    end_s = time.monotonic() + 30
    while not traffic.exists() or '"in_flight": 1' not in traffic.read_text():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_a_container_that_is_gone_hides_no_reason(docker_config: PymConfig) -> None:
    """What was found about it is told, and that it has no log any more."""
    gone = engine.Container(f"{docker_config.name}-gone", "exited", 1, 0, 0, {})
    refusal = engine.refuse(gone, "it ended with exit code 1")
    assert str(refusal).startswith(f"{gone.name}: it ended with exit code 1.")
    assert refusal.lines[0].startswith("(no log: ")
