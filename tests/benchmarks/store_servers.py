"""Starts the servers that stores are tested against: PostgreSQL, and one that speaks DynamoDB's language."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
_DEBIAN = Path("/usr/lib/postgresql")
_ACCOUNT = "postgres"


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers. url: for `open_store`. pid: of its main process."""

    url: str
    pid: int
    port: int


def find_postgresql() -> Path | None:
    """Return the folder of PostgreSQL's programs, None where it is not installed."""
    places = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = str(places[-1]) if places else shutil.which("initdb")
    return Path(found).parent if found else None


def find_free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def run_postgresql(programs: Path, *, is_durable: bool = False) -> Iterator[Server]:
    """Run a PostgreSQL of its own in a temporary folder; as another account if this is root, whom it refuses.

    is_durable: wait for the disk at each commit.
    """
    as_account = ["runuser", "-u", _ACCOUNT, "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="pym-postgresql-") as name:
        folder = Path(name)
        if as_account:
            shutil.chown(folder, _ACCOUNT)
        data = folder / "data"
        options = ["-A", "trust", "-U", "pymacaron", "-E", "UTF8", "--no-locale", "--no-sync"]
        subprocess.run(
            [*as_account, programs / "initdb", "-D", data, *options], cwd=folder, check=True, capture_output=True
        )
        port = find_free_port()
        settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": 60}
        settings |= {} if is_durable else {"fsync": "off"}
        arguments = [f"--{key}={value}" for key, value in settings.items()]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*as_account, programs / "postgres", "-D", data, *arguments], cwd=folder, stdout=log, stderr=log
            )
            try:
                _wait_for(port, process, folder / "log")
                _wait_until_open(port, process)
                pid = int((data / "postmaster.pid").read_text().split()[0])
                yield Server(f"postgresql://pymacaron@127.0.0.1:{port}/postgres", pid, port)
            finally:
                _stop_postgresql(data, process)


def find_dynalite() -> str | None:
    """Return the program dynalite, None where it is not installed: ``npm install --global dynalite``.

    It serves many calls at once and does conditional writes as one step, but has no transactions.
    """
    return shutil.which("dynalite")


@contextlib.contextmanager
def run_dynamodb(dynalite: str | None = None) -> Iterator[Server]:
    """Run moto's DynamoDB, or *dynalite*, as a process of its own, over HTTP; its data are gone when it ends."""
    port = find_free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")
    }  # moto is not ours
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, str(Path(__file__).with_name("dynamodb_server.py")), str(port)]
        if dynalite:
            delays = [part for name in ("create", "update", "delete") for part in (f"--{name}TableMs", "0")]
            command = [dynalite, "--host", "127.0.0.1", "--port", str(port), *delays]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(port, process, None)
            url = f"dynamodb://eu-west-1?endpoint_url=http://127.0.0.1:{port}&create_tables=true"
            yield Server(url, process.pid, port)
        finally:
            process.kill()
            process.wait(STOP_TIMEOUT_S)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path | None) -> None:
    end_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end_s and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    said = log.read_text(errors="replace")[-2000:] if log else ""
    raise RuntimeError(f"{process.args!r} does not listen on port {port}: {said}")


def _wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait on: PostgreSQL listens before it lets anybody in."""
    while process.poll() is None:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=port, user="pymacaron", dbname="postgres").close()
            return
        time.sleep(0.05)


def _stop_postgresql(data: Path, process: subprocess.Popen[bytes]) -> None:
    """End the server at once, also where a test has stopped its main process."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = int((data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGQUIT)  # at once. Source: PostgreSQL, "Shutting Down the Server"
    process.send_signal(signal.SIGCONT)  # runuser stops itself when a test stops the server
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_TIMEOUT_S)
