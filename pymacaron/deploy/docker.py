"""The target `docker`: releases as containers of this machine's engine, a weighted proxy in front of them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pymacaron.config import PymConfig
from pymacaron.deploy import engine
from pymacaron.deploy.engine import Container
from pymacaron.deploy.folder_shelf import FolderShelf
from pymacaron.deploy.metrics_page import NoPageError, fetch_page
from pymacaron.deploy.proxy import PLACE_FILE, TRAFFIC_FILE, is_running
from pymacaron.deploy.routes import Route, read_routes, write_routes
from pymacaron.deploy.target import PORT, Placed, PlacementError, Release
from pymacaron.exceptions import Finding

log = logging.getLogger(__name__)

_SERVICE_LABEL = "pymacaron.service"
_RELEASE_LABEL = "pymacaron.release"
_PROXY_TIMEOUT_S = 15.0
_POLL_S = 0.05
_SHOWN_LINES = 20
_ALL = 100


class DockerTarget:
    """The reference: what every other target is measured by."""

    name = "docker"
    steps = (5, 25, 50, 100)

    def __init__(self, config: PymConfig) -> None:
        """Take the service's configuration."""
        self._config = config
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        self._folder = config.docker_folder or state / "pymacaron" / config.name

    @property
    def live_url(self) -> str:
        """Return `live_url`, by default where the proxy listens, or would."""
        if self._config.live_url:
            return self._config.live_url.rstrip("/")
        host, port = self._find_proxy() or self._listen
        return f"http://{host}:{port}"

    @property
    def _listen(self) -> tuple[str, int]:
        host, _, port = self._config.docker_listen.rpartition(":")
        return host, int(port)

    def plan(self, release: Release) -> list[str]:
        """Return what would be started, and that it costs nothing but this machine."""
        version = engine.run_docker("version", "--format", "{{.Server.Version}}").strip()
        host, port = self._find_proxy() or self._listen
        proxy = f"the proxy at {host}:{port}" + (" stays" if self._find_proxy() else " is started")
        running = [f"{placed.release.version} ({placed.share} %)" for placed in self.current()]
        return [
            f"Docker engine {version}: one container more, {self._name(release.version)}, from {release.image}",
            f"{proxy[0].upper()}{proxy[1:]}, its files are in {self._folder}",
            f"Releases there now: {', '.join(running) or 'none'}",
            "Costs: nothing but this machine's memory and processors while two releases run",
        ]

    def current(self) -> list[Placed]:
        """Return the releases that have a container, the oldest first."""
        routes = read_routes(self._folder)
        placed = []
        for container in engine.list_containers(f"label={_SERVICE_LABEL}={self._config.name}"):
            release = Release.from_json(json.loads(container.labels[_RELEASE_LABEL]))
            placed.append(Placed(release, container.url, routes.get_share(release.version)))
        return sorted(placed, key=lambda one: (one.release.created, one.release.version))

    def stage(self, release: Release) -> Placed:
        """Start a container of the release, unless it runs already, and wait until it answers."""
        name = self._name(release.version)
        found = engine.find_container(name)
        if found and (found.status != "running" or found.labels.get(_RELEASE_LABEL) != json.dumps(release.to_json())):
            engine.remove_container(name)
            found = None
        if found is None:
            labels = {
                _SERVICE_LABEL: self._config.name,
                _RELEASE_LABEL: json.dumps(release.to_json()),
            }
            options = ["--add-host", "host.docker.internal:host-gateway", *self._config.docker_options]
            if self._config.cpu_count:
                options += ["--cpus", str(self._config.cpu_count)]
            found = engine.run_container(
                name, release.image, labels=labels, environment=self._environment(), options=options
            )
        engine.wait_until_ready(found, self._config.deploy_start_time)
        engine.run_docker("update", "--restart", "unless-stopped", name)
        return Placed(release, found.url, read_routes(self._folder).get_share(release.version))

    def shift(self, candidate: str, baseline: str | None, percent: int) -> None:
        """Write the proxy's routes; the next request goes by them. The proxy is started if none runs."""
        shares = {candidate: percent, **({baseline: _ALL - percent} if baseline else {})}
        if sum(shares.values()) != _ALL:
            found = f"{percent} % for {candidate} and nobody for the rest"
            raise PlacementError(Finding("shift", found, "Give 100 %, or name the release that gets the rest"))
        routes = []
        for version, share in shares.items():
            container = self._find(version) if share else engine.find_container(self._name(version))
            if container is not None:
                routes.append(Route(version, engine.HOST, container.port, share))
        write_routes(self._folder, routes)
        self._ensure_proxy()

    def check(self, version: str) -> None:
        """See that the container has never ended. Raises: PlacementError: it has, with its last lines."""
        container = self._find(version)
        if container.restarts:
            raise engine.refuse(container, f"it ended and was started again, {container.restarts} times")

    def metrics(self, version: str) -> str:
        """Return the page of the one container; its workers share their counters.

        Raises: PlacementError: the container has ended, or it has no page; with its last lines.
        """
        container = self._find(version)
        try:
            return fetch_page(container.url, self._config)
        except NoPageError as error:
            raise engine.refuse(container, str(error)) from error

    def logs(self, version: str, lines: int = 50) -> list[str]:
        """Return the container's last *lines*, those to stderr among them."""
        return engine.read_logs(self._name(version), lines)

    def retire(self, version: str) -> None:
        """Wait until the proxy has nothing under way to the container, then stop it (SIGTERM) and remove it.

        What is still under way after `docker_drain_time` is logged, and has `stop_timeout` to end.
        """
        routes = read_routes(self._folder)
        if routes.get_share(version):
            share = routes.get_share(version)
            found = f"{version} has {share} % of the traffic"
            raise PlacementError(Finding("retire", found, "Shift the traffic first"))
        after = write_routes(self._folder, [route for route in routes.routes if route.version != version])
        self._wait_until_drained(version, after.tag)
        engine.remove_container(self._name(version), grace_s=self._config.stop_timeout + 5)

    def shelf(self) -> FolderShelf:
        """Return the shelf beside the proxy's files."""
        return FolderShelf(self._folder / "shelf")

    def stop_proxy(self) -> None:
        """End the proxy, and with it the service's address; requests under way are finished."""
        if self._find_proxy() is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads((self._folder / PLACE_FILE).read_text(encoding="utf-8"))["pid"], signal.SIGTERM)

    def _name(self, version: str) -> str:
        return f"pym-{self._config.name}-{version}"

    def _environment(self) -> dict[str, str]:
        """Return the variables of the container and of the docker command: secrets are those of the caller."""
        given = {"PORT": str(PORT), "PYM_ENV": self._config.env or ""}
        if self._config.worker_count:
            given["PYM_GUNICORN_WORKERS_COUNT"] = str(self._config.worker_count)
        secrets = {name: os.environ[name] for name in self._config.env_secrets if name in os.environ}
        return {key: value for key, value in (given | secrets).items() if value}

    def _find(self, version: str) -> Container:
        container = engine.find_container(self._name(version))
        if container is None:
            raise PlacementError(Finding(self._name(version), "there is no such container", "Stage the release first"))
        if container.status != "running":
            raise engine.refuse(container, f"it has ended with exit code {container.exit_code}")
        return container

    def _find_proxy(self) -> tuple[str, int] | None:
        """Return where the proxy listens, None if none runs."""
        if not is_running(self._folder):
            return None
        try:
            place = json.loads((self._folder / PLACE_FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return place["host"], place["port"]

    def _ensure_proxy(self) -> None:
        """Start the proxy as a process of its own, unless one runs."""
        if self._find_proxy():
            return
        host, port = self._listen
        (self._folder / PLACE_FILE).unlink(missing_ok=True)
        log = self._folder / "proxy.log"
        command = [sys.executable, "-m", "pymacaron.deploy.proxy", str(self._folder), f"{host}:{port}", "--detach"]
        with log.open("ab") as output:
            subprocess.run(  # noqa: S603 - our own module
                command, check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + _PROXY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._find_proxy():
                return
            time.sleep(_POLL_S)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
        found = f"the proxy does not start at {host}:{port}"
        raise PlacementError(Finding("docker_listen", found, "Name a free port, or stop who has it"), lines)

    def _wait_until_drained(self, version: str, tag: int) -> None:
        deadline = time.monotonic() + self._config.docker_drain_time
        left = "requests"
        while self._find_proxy() and time.monotonic() < deadline:
            try:
                traffic = json.loads((self._folder / TRAFFIC_FILE).read_text(encoding="utf-8"))
            except (FileNotFoundError, ValueError):
                traffic = {"tag": -1}
            if traffic["tag"] >= tag:
                count = traffic["routes"].get(version, {}).get("in_flight", 0)
                if not count:
                    return
                left = f"{count} requests"
            time.sleep(_POLL_S)
        if self._find_proxy():
            took_s = self._config.docker_drain_time
            log.warning("%s: %s may still be under way after %d s; it is told to end", version, left, took_s)
