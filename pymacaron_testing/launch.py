"""Starts what is to be tested: the service in a folder, a command, or an image."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

from pymacaron.exceptions import Finding, TargetError
from pymacaron_testing.target import READY_LIMIT_S, ServiceProcess, find_free_port

COMMAND = "cmd:"
IMAGE = "docker:"
_DEFAULT_PORT = 8080
_PULL_LIMIT_S = 600


def is_started(target: str) -> bool:
    """Tell whether --pymacaron-target names something that the run starts itself."""
    return target.startswith((COMMAND, IMAGE))


def start_service(folder: Path, *, limit_s: float = READY_LIMIT_S) -> ServiceProcess:
    """Start the pymacaron service in *folder* on a free port and wait until it answers.

    Raises: TargetError: it does not come up.
    """
    port = find_free_port()
    command = [sys.executable, "-m", "pymacaron.cli", "run", "--folder", ".", "--port", str(port)]
    environment = {"PYM_ENV": os.environ.get("PYM_ENV") or "test", "PYTHONUNBUFFERED": "1"}
    service = ServiceProcess(command, folder, f"http://127.0.0.1:{port}", environment)
    return _await(service, "/ping", limit_s)


def start_target(target: str, folder: Path, ready: str, *, limit_s: float = READY_LIMIT_S) -> ServiceProcess:
    """Start a command or an image and wait until it answers GET *ready*, a path or URL, below 500.

    A command runs in a shell in *folder*, with the port to listen at in the environment variable PORT.

    Raises: TargetError: it does not come up; with the last lines that it printed.
    """
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    if target.startswith(IMAGE):
        return _await(_start_image(target.removeprefix(IMAGE), folder, port), ready, limit_s)
    command = ["/bin/sh", "-c", target.removeprefix(COMMAND)]
    return _await(ServiceProcess(command, folder, url, {"PORT": str(port), "PYTHONUNBUFFERED": "1"}), ready, limit_s)


def _start_image(image: str, folder: Path, port: int) -> ServiceProcess:
    inside = _find_port(image)
    name = f"pymacaron-test-{secrets.token_hex(4)}"
    publish = f"127.0.0.1:{port}:{inside}"
    command = ["docker", "run", "--rm", "--init", "--name", name, "-e", f"PORT={inside}", "-p", publish, image]
    return ServiceProcess(command, folder, f"http://127.0.0.1:{port}", at_end=["docker", "rm", "-f", name])


def _find_port(image: str) -> int:
    """Return the port that the image exposes, the first of several, 8080 without; pulls the image if need be."""
    inspect = ["docker", "image", "inspect", "--format", "{{json .Config.ExposedPorts}}", image]
    try:
        done = subprocess.run(inspect, capture_output=True, text=True, check=False)  # noqa: S603 - the tester's image
        if done.returncode:
            pull = ["docker", "pull", "--quiet", image]
            pulled = subprocess.run(pull, capture_output=True, text=True, check=False, timeout=_PULL_LIMIT_S)  # noqa: S603
            if pulled.returncode:
                words = " ".join(pulled.stderr.split()) or "docker pull failed"
                raise TargetError(Finding(f"{IMAGE}{image}", words, "Name an image that docker can run here"))
            done = subprocess.run(inspect, capture_output=True, text=True, check=True)  # noqa: S603
    except FileNotFoundError as error:
        raise TargetError(Finding(f"{IMAGE}{image}", "there is no command docker", "Install Docker")) from error
    except subprocess.SubprocessError as error:
        found = f"docker does not give the image ({type(error).__name__})"
        raise TargetError(Finding(f"{IMAGE}{image}", found, "Run docker pull yourself")) from error
    ports = sorted(int(port.partition("/")[0]) for port in json.loads(done.stdout) or {} if port.endswith("/tcp"))
    return ports[0] if ports else _DEFAULT_PORT


def _await(service: ServiceProcess, ready: str, limit_s: float) -> ServiceProcess:
    try:
        service.wait_until_ready(ready, limit_s)
    except BaseException:
        service.stop()
        raise
    return service
