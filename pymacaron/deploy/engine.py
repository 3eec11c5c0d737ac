"""The docker command: containers of releases on this machine's engine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pymacaron.deploy.answering import wait_until_answering
from pymacaron.deploy.target import PORT, PlacementError, read_last_lines
from pymacaron.exceptions import Finding

_TIMEOUT_S = 60.0
_PULL_TIMEOUT_S = 900.0
_PORT_ATTEMPTS = 5
_POLL_S = 0.1
_SHOWN_LINES = 20
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Container:
    """What the engine says of one container. port: on this machine, 0 for none. status: ``running``, say."""

    name: str
    status: str
    exit_code: int
    restarts: int
    port: int
    labels: Mapping[str, str]

    @property
    def url(self) -> str:
        """Return where it answers on this machine."""
        return f"http://{HOST}:{self.port}"


def is_there() -> bool:
    """Tell whether a Docker engine answers: a docker command alone runs nothing."""
    try:
        return bool(run_docker("version", "--format", "{{.Server.Version}}").strip())
    except PlacementError:
        return False


def run_docker(*arguments: str, timeout_s: float = _TIMEOUT_S, environment: Mapping[str, str] | None = None) -> str:
    """Run the docker command and return what it printed. Raises: PlacementError: it fails, with what it said."""
    command = shutil.which("docker")
    what = f"docker {arguments[0]}"
    if command is None:
        fix = "Install Docker, or set deploy_target to another target"
        raise PlacementError(Finding(what, "there is no docker command", fix))
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            [command, *arguments],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C reaches only us
        )
    except subprocess.TimeoutExpired as error:
        raise PlacementError(Finding(what, f"no end after {timeout_s:g} s", "Look at the Docker engine")) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise PlacementError(Finding(what, lines[-1].rstrip("."), "Mend what it says and try again"), lines[-20:])
    return done.stdout


def run_container(
    name: str,
    image: str,
    *,
    labels: Mapping[str, str],
    environment: Mapping[str, str],
    options: Sequence[str] = (),
    port: int = PORT,
) -> Container:
    """Start *image*, its *port* published on a free one of 127.0.0.1, the same after every restart of it.

    environment: of the container; only names stand in the command's arguments. options: more of ``docker run``.
    Raises: PlacementError.
    """
    marks = [argument for key, value in labels.items() for argument in ("--label", f"{key}={value}")]
    variables = [argument for key in environment for argument in ("--env", key)]
    for attempt in range(1, _PORT_ATTEMPTS + 1):
        published = ("--publish", f"{HOST}:{_find_free_port()}:{port}")
        arguments = ("--detach", "--name", name, *published, *marks, *variables, *options, image)
        try:
            run_docker("run", *arguments, timeout_s=_PULL_TIMEOUT_S, environment=environment)
        except PlacementError as error:
            remove_container(name)
            if attempt == _PORT_ATTEMPTS or not _is_port_taken(error):
                raise
            continue
        break
    found = find_container(name)
    if found is None:
        raise PlacementError(Finding(name, "the container is gone right after its start", "Look at the Docker engine"))
    return found


def _is_port_taken(error: PlacementError) -> bool:
    """Tell whether somebody took the port meanwhile: another container, or any other process of this machine."""
    return any(said in line for line in error.lines for said in ("port is already allocated", "address already in use"))


def find_container(name: str) -> Container | None:
    """Return the container of that name, None if there is none."""
    found = list_containers(f"name=^/{name}$")
    return found[0] if found else None


def list_containers(wanted: str) -> list[Container]:
    """Return the containers that pass the filter, those that have ended too; ``label=pymacaron.service=shop``."""
    names = run_docker("ps", "--all", "--quiet", "--no-trunc", "--filter", wanted).split()
    if not names:
        return []
    try:
        described = json.loads(run_docker("inspect", *names))
    except PlacementError as error:
        if "No such object" in str(error):  # one was removed in between
            return list_containers(wanted)
        raise
    return [_read(one) for one in described]


def read_logs(name: str, lines: int) -> list[str]:
    """Return the last *lines* that the container wrote, to stdout and to stderr. Raises: PlacementError."""
    command = shutil.which("docker") or "docker"
    arguments = [command, "logs", "--tail", str(lines), name]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            arguments,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise PlacementError(Finding(name, f"no log after {_TIMEOUT_S:g} s", "Look at the Docker engine")) from error
    if done.returncode:
        raise PlacementError(Finding(name, done.stdout.strip() or "it has no logs", "Look at the Docker engine"))
    return done.stdout.splitlines()[-lines:]


def remove_container(name: str, *, grace_s: int = 0) -> None:
    """Stop and remove the container; nothing happens if it is gone. grace_s: between SIGTERM and SIGKILL."""
    if find_container(name) is None:
        return
    if grace_s:
        run_docker("stop", "--time", str(grace_s), name, timeout_s=grace_s + _TIMEOUT_S)
    run_docker("rm", "--force", "--volumes", name)


def refuse(container: Container, found: str) -> PlacementError:
    """Return the error that says what was *found* about the container, with its last lines."""
    lines = read_last_lines(lambda: read_logs(container.name, _SHOWN_LINES))
    return PlacementError(Finding(container.name, found, "Read its log"), lines)


def wait_until_ready(container: Container, timeout_s: float) -> None:
    """Wait until the container answers ``/ping`` below 500. Raises: PlacementError: it ended, or does not in time."""

    def find_url() -> str:
        now = find_container(container.name)
        if now is None or now.status != "running" or now.restarts > container.restarts:
            code = now.exit_code if now else "unknown"
            raise refuse(container, f"it ended with exit code {code} before it answered")
        return now.url

    seen = wait_until_answering(find_url, timeout_s=timeout_s, pause_s=_POLL_S)
    if seen:
        raise refuse(container, f"GET /ping: {seen} for {timeout_s:g} s")


def _read(described: Mapping[str, object]) -> Container:
    data = json.loads(json.dumps(described))
    published = [place for places in (data["HostConfig"]["PortBindings"] or {}).values() for place in places]
    return Container(
        name=data["Name"].lstrip("/"),
        status=data["State"]["Status"],
        exit_code=data["State"]["ExitCode"],
        restarts=data["RestartCount"],
        port=int(published[0]["HostPort"]) if published else 0,
        labels=data["Config"]["Labels"] or {},
    )


def _find_free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port
