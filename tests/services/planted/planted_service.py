"""The services with planted defects: what their files say, and a running one, clean or with a defect."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
import yaml

FOLDER = Path(__file__).parent
START_TIMEOUT_S = 20.0
TIMEOUT_S = 15.0
INSTALL_TIMEOUT_S = 180

_Seen = TypeVar("_Seen")


@dataclass(frozen=True, slots=True)
class Defect:
    """A mistake that an author of the service could have made.

    id: for the environment variable PLANTED. title: what is wrong, a sentence. operation: ``GET /things/{id}``.
    """

    id: str
    title: str
    kind: str
    operation: str


@dataclass(frozen=True, slots=True)
class Service:
    """What service.yaml and defects.yaml say.

    users: name -> header line. refused: header lines. has_packages: npm installs what package-lock.json lists.
    """

    name: str
    folder: Path
    command: tuple[str, ...]
    ready: str
    document: Path
    users: Mapping[str, str]
    refused: tuple[str, ...]
    environment: Mapping[str, str]
    defects: tuple[Defect, ...]
    has_packages: bool = False

    def find_missing_program(self) -> str | None:
        """Return the name of a program that the service needs and that is not installed."""
        needed = ["node", "npm"] if self.has_packages else [self.command[0]]
        return next((program for program in needed if shutil.which(program) is None), None)

    def find_defect(self, identifier: str) -> Defect:
        """Return the defect of that id. Raises LookupError."""
        for defect in self.defects:
            if defect.id == identifier:
                return defect
        raise LookupError(f"{self.name}/defects.yaml has no defect {identifier}")


class User:
    """A requests session that is bound to a service and says who asks: ``http.get("/api/v1/me").json()``."""

    def __init__(self, service: Service, url: str, header: str = "") -> None:
        """Ask *service* at *url*; *header* is a whole header line."""
        self.service, self.url = service, url
        self._session = requests.Session()
        name, _, value = header.partition(":")
        if name:
            self._session.headers[name] = value.strip()

    def as_user(self, name: str) -> User:
        """Return the same service as *name* sees it; names stand in service.yaml."""
        return User(self.service, self.url, self.service.users[name])

    def with_header(self, header: str) -> User:
        """Return the same service, asked with another header line, or with none."""
        return User(self.service, self.url, header)

    def at_once(self, name: str, send: Callable[[User], _Seen], count: int = 8) -> list[_Seen]:
        """Let *count* clients of the user *name* do the same at the same moment, over connections that are open."""
        together = threading.Barrier(count)

        def run(client: User) -> _Seen:
            client.get("/")
            together.wait(TIMEOUT_S)
            return send(client)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(run, [self.as_user(name) for _ in range(count)]))

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Send a request; its arguments are those of requests. Redirects are not followed."""
        options: dict[str, Any] = {"timeout": TIMEOUT_S, "allow_redirects": False, **arguments}
        return self._session.request(method, self.url + path, **options)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        """Send a GET."""
        return self.request("GET", path, **arguments)

    def post(self, path: str, **arguments: Any) -> requests.Response:
        """Send a POST."""
        return self.request("POST", path, **arguments)

    def put(self, path: str, **arguments: Any) -> requests.Response:
        """Send a PUT."""
        return self.request("PUT", path, **arguments)

    def patch(self, path: str, **arguments: Any) -> requests.Response:
        """Send a PATCH."""
        return self.request("PATCH", path, **arguments)

    def delete(self, path: str, **arguments: Any) -> requests.Response:
        """Send a DELETE."""
        return self.request("DELETE", path, **arguments)


def find_services() -> list[str]:
    """Return the names of the services that there are."""
    return sorted(file.parent.name for file in FOLDER.glob("*/service.yaml"))


def load_service(name: str) -> Service:
    """Return what the files of a service say."""
    folder = FOLDER / name
    data = yaml.safe_load((folder / "service.yaml").read_text())
    defects = yaml.safe_load((folder / "defects.yaml").read_text())
    return Service(
        name=name,
        folder=folder,
        command=tuple(sys.executable if word == "python" else word for word in data["command"]),
        ready=data["ready"],
        document=folder / data["document"],
        users=data["users"],
        refused=tuple(data.get("refused", ())),
        environment={key: str(value) for key, value in data.get("environment", {}).items()},
        defects=tuple(Defect(**defect) for defect in defects),
        has_packages=data.get("npm", False),
    )


@contextmanager
def run_service(service: Service, defect: str = "", *, switch: Path | None = None) -> Iterator[str]:
    """Run a service on a free port, with a defect or without, and yield its URL.

    switch: a file that exists; the service reads there, again and again, which defect it has. Defects that act when
    it starts do not notice. Raises: RuntimeError: it did not start.
    """
    port = _find_free_port()
    # A service under test is not measured, which would make it start slowly.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    environment = {**inherited, **service.environment, "PORT": str(port), "PLANTED": defect}
    environment["PLANTED_FILE"] = str(switch or "")
    if service.has_packages:
        environment["NODE_PATH"] = str(install_packages(service) / "node_modules")
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            service.command, cwd=service.folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            if not _wait_until_ready(process, url + service.ready):
                log.seek(0)
                raise RuntimeError(f"{service.name} did not start: {log.read().decode(errors='replace')[-2000:]}")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def install_packages(service: Service) -> Path:
    """Return the folder, outside of the repository, with what npm installs for *service*; made when first needed."""
    lock = (service.folder / "package-lock.json").read_bytes()
    name = f"pymacaron-planted-{service.name}-{hashlib.sha256(lock).hexdigest()[:12]}"
    folder = Path(tempfile.gettempdir(), name)
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
        for file in ("package.json", "package-lock.json"):
            shutil.copy(service.folder / file, draft)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        subprocess.run(command, cwd=draft, check=True, timeout=INSTALL_TIMEOUT_S)
        with suppress(OSError):  # another process may have been quicker
            Path(shutil.copytree(draft, f"{folder}.{os.getpid()}")).rename(folder)
    return folder


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return requests.get(url, timeout=TIMEOUT_S).ok
        except requests.ConnectionError:
            time.sleep(0.02)
    return False
