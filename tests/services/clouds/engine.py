"""What runs containers for the clouds that tests talk to: a real engine, through the docker command."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LABEL = "pymacaron.clouds"  # all containers of these servers carry it, with the process that started them
START_TIMEOUT_S = 30.0
_COMMAND_TIMEOUT_S = 120
_PAUSE_S = 0.05
_HTTP_ERROR = 500
_started: set[str] = set()


class ContainerError(Exception):
    """A container did not start or does not answer; the text holds its last lines of log."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container that was started. url: where it answers on this machine, without a slash at the end."""

    container_id: str
    image: str
    port: int

    @property
    def url(self) -> str:
        """Return ``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"


def find_docker() -> str | None:
    """Return the docker command, Debian's before others; None without one."""
    return next(iter(filter(os.path.exists, ["/usr/bin/docker"])), None) or shutil.which("docker")


@functools.cache
def say_why_missing() -> str:
    """Return why no container can run here; an empty text where the engine answers."""
    command = find_docker()
    if command is None:
        return "needs docker: apt-get install docker.io"
    done = subprocess.run(
        [command, "version", "--format", "{{.Server.Version}}"], check=False, capture_output=True, text=True
    )
    return "" if done.returncode == 0 else f"needs a Docker engine that answers: {done.stderr.strip()}"


def start_container(
    image: str,
    *,
    environment: Mapping[str, str] | None = None,
    port: int = 8080,
    command: tuple[str, ...] = (),
    cpus: float | None = None,
) -> Container:
    """Pull *image* unless it is here and run it; what it listens on at *port* is published on a free one of loopback.

    environment: its values go by the environment of the docker command, never by its arguments. PORT is *port* unless
    it is given. Raises ContainerError.
    """
    variables = {"PORT": str(port), **(environment or {})}
    options = [argument for name in variables for argument in ("--env", name)]
    options += ["--cpus", str(cpus)] if cpus else []
    label = f"{LABEL}={os.getpid()}"
    said = _run(
        ["run", "--detach", "--label", label, "--publish", f"127.0.0.1::{port}", *options, image, *command],
        variables,
    )
    container_id = said.strip().splitlines()[-1]
    try:
        published = _find_port(container_id, port)
    except ContainerError as error:
        lines = "\n".join(_read(container_id, 20))
        _run(["rm", "--force", "--volumes", container_id])
        raise ContainerError(f"{error}\n{lines}".rstrip()) from None
    _started.add(image)
    return Container(container_id, image, published)


def wait_until_healthy(container: Container, *, path: str = "/ping", timeout_s: float = START_TIMEOUT_S) -> None:
    """Wait until a GET of *path* is answered with less than 500. Raises: ContainerError: it ended, or time is up."""
    end_s = time.monotonic() + timeout_s
    seen = "it was not asked"
    while time.monotonic() < end_s:
        try:
            with urllib.request.urlopen(container.url + path, timeout=2):
                return
        except urllib.error.HTTPError as error:
            if error.code < _HTTP_ERROR:
                return
            seen = f"GET {path} is answered {error.code}"
        except OSError as error:
            seen = f"GET {path}: {error}"
        state = read_state(container)
        if state["Status"] != "running":
            raise ContainerError(f"it ended with exit code {state['ExitCode']}\n{_tail(container)}".rstrip())
        time.sleep(_PAUSE_S)
    raise ContainerError(f"not healthy after {timeout_s:g} s: {seen}\n{_tail(container)}".rstrip())


def read_state(container: Container) -> dict[str, object]:
    """Return Docker's state of it: ``{"Status": "running" | "exited" | "gone", "ExitCode": int, …}``."""
    try:
        said = _run(["inspect", "--format", "{{json .State}}", container.container_id])
    except ContainerError:
        return {"Status": "gone", "ExitCode": -1}
    state: dict[str, object] = json.loads(said)
    return state


def read_logs(container: Container, lines: int = 50) -> list[str]:
    """Return the last lines that it wrote, both streams in the order of time; none of one that is gone."""
    return _read(container.container_id, lines)


def remove_container(container: Container, *, stop_timeout_s: int = 10) -> None:
    """Stop it by SIGTERM, by SIGKILL after *stop_timeout_s*, and remove it; nothing if it is gone."""
    for arguments in (["stop", "--time", str(stop_timeout_s)], ["rm", "--force", "--volumes"]):
        try:
            _run([*arguments, container.container_id])
        except ContainerError as error:
            if "No such container" not in str(error) and "already in progress" not in str(error):
                raise


def remove_images() -> None:
    """Remove the images that this process started, where no container of anybody else has them."""
    for image in sorted(_started):
        with contextlib.suppress(ContainerError):
            _run(["rmi", image])
    _started.clear()


def list_containers() -> list[str]:
    """Return the identifiers of all containers that this process started and that are still there."""
    return _run(["ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}={os.getpid()}"]).split()


def pull_image(image: str, settings: Path) -> None:
    """Pull *image* with the registries' passwords in *settings*, a folder with a config.json. Raises ContainerError."""
    _run(["--config", str(settings), "pull", image])


def _find_port(container_id: str, port: int) -> int:
    try:
        said = _run(["port", container_id, f"{port}/tcp"]).split()
    except ContainerError as error:
        said = []
        if "No public port" not in str(error):
            raise
    if not said:
        raise ContainerError("it ended at once")
    return int(said[0].rpartition(":")[2])


def _tail(container: Container) -> str:
    return "\n".join(read_logs(container, 20))


def _read(container_id: str, lines: int) -> list[str]:
    command = [find_docker() or "docker", "logs", "--tail", str(lines), container_id]
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_COMMAND_TIMEOUT_S
    )
    return done.stdout.decode(errors="replace").splitlines() if done.returncode == 0 else []


def _run(arguments: list[str], environment: Mapping[str, str] | None = None) -> str:
    command = [find_docker() or "docker", *arguments]
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(
        command, check=False, env=variables, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S
    )
    if done.returncode:
        raise ContainerError(done.stderr.strip() or done.stdout.strip())
    return done.stdout
