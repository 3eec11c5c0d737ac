"""Whether counts survive workers that are killed: random workers get SIGKILL under load, while a scraper looks on.

Run it from the repository: ``python tests/benchmarks/kills.py [KILLS] [granian] [gunicorn]``, by default 30 on both.
For each server it starts a small service with three workers, sends requests over new connections all along, kills a
worker that has lived for six seconds (a server pauses when workers die at once), and waits until another one has its
place. It prints what clients saw and what was counted, and ends with 1 if a promise was broken.

Promises: requests counted are at least those answered and at most those and the ones whose connection broke; the same
holds for those counted as lost. No scrape is answered wrongly, no counter goes backwards, nothing is running at the
end, and there are no more files than at the begin.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families

WORKERS = 3
SETTLED_S = 6.0
LEAST_ANSWERED, LEAST_SCRAPED = 60, 3
START_TIMEOUT_S = 120.0
REQUESTS = "http_server_request_duration_seconds_count"
SERVER = "from pymacaron import create_app\n\napp = create_app(__name__, handlers='handlers')\n"
HANDLERS = """\
import time

def list_pets():
    return []

def get_pet(pet_id):
    time.sleep(0.05)
    return {"id": pet_id}
"""
DOCUMENT = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets:
    get: {operationId: listPets, responses: {"200": {description: all}}}
  /pets/{petId}:
    parameters: [{name: petId, in: path, required: true, schema: {type: integer}}]
    get: {operationId: getPet, responses: {"200": {description: one}}}
"""
_COMMANDS = {
    "granian": ["-m", "pymacaron.cli", "run", "--port", "0"],
    "gunicorn": ["-m", "gunicorn", "--no-control-socket", "--bind", "127.0.0.1:0", "--threads", "8", "server:app"],
}


@dataclass(slots=True)
class Outcome:
    """What clients saw, and what was counted. broken: of what was promised."""

    kills: int = 0
    answered: int = 0
    failed: int = 0
    scrapes: int = 0
    scrapes_failed: int = 0
    counted: float = 0
    lost: float = 0
    running: float = 0
    files: tuple[int, int] = (0, 0)
    broken: list[str] = field(default_factory=list)

    def wait_until_it_tells(self) -> None:
        """Return after a second, or on a slow machine when enough was answered to tell anything."""
        time.sleep(1)
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.answered < LEAST_ANSWERED or self.scrapes < LEAST_SCRAPED:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.answered} requests and {self.scrapes} scrapes were answered")
            time.sleep(0.1)

    def judge(self) -> None:
        """Add what was promised and is not so."""
        promises = {
            "answered <= counted": self.answered <= self.counted,
            "counted <= answered + failed": self.counted <= self.answered + self.failed,
            "lost <= failed": self.lost <= self.failed,
            "nothing is running": self.running == 0,
            "no more files": self.files[0] == self.files[1],
        }
        self.broken += [promise for promise, is_kept in promises.items() if not is_kept]


def main() -> None:
    """Kill, and print what came of it."""
    kills = int(next((word for word in sys.argv[1:] if word.isdecimal()), 30))
    servers = [word for word in sys.argv[1:] if word in _COMMANDS] or list(_COMMANDS)
    is_good = True
    for server in servers:
        outcome = try_server(server, kills)
        print(f"{server}: {outcome}", flush=True)  # noqa: T201
        is_good &= not outcome.broken
    sys.exit(not is_good)


def try_server(server: str, kills: int, *, workers: int = WORKERS, settled_s: float = SETTLED_S) -> Outcome:
    """Return what came of so many kills under load."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write_service(folder / "service")
        counts = folder / "counts"
        counts.mkdir()
        outcome = Outcome()
        with serve(server, folder, workers) as (url, pid):
            wait_for_workers(url, pid, workers)
            before = len(list(counts.iterdir()))
            with Load(url, outcome):
                for _ in range(kills):
                    kill_one(pid, settled_s)
                    outcome.kills += 1
                    wait_for_workers(url, pid, workers)
                outcome.wait_until_it_tells()
            time.sleep(0.5)
            outcome.counted, outcome.lost, outcome.running = read_counts(fetch(url))
            outcome.files = before, len(list(counts.iterdir()))
        outcome.judge()
        return outcome


def write_service(folder: Path) -> None:
    """Write a service, and its models."""
    (folder / "apis").mkdir(parents=True)
    (folder / "apis" / "pets.yaml").write_text(DOCUMENT)
    (folder / "server.py").write_text(SERVER)
    (folder / "handlers.py").write_text(HANDLERS)
    subprocess.run([sys.executable, "-m", "pymacaron.cli", "generate"], cwd=folder, check=True, capture_output=True)


@contextmanager
def serve(server: str, folder: Path, workers: int) -> Iterator[tuple[str, int]]:
    """Start the service; yield its URL and the id of the process whose children are the workers."""
    log = folder / "server.log"
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder / "counts")}
    command = [sys.executable, *_COMMANDS[server], "--workers", str(workers)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder / "service", env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield wait_for_url(log, process), process.pid
    finally:
        process.terminate()
        process.wait(60)


def wait_for_url(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Return where the server listens."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"(?:Serving \S+ on|Listening at:) (http://127\.0\.0\.1:[1-9]\d*)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    raise TimeoutError(log.read_text())


def find_workers(pid: int) -> list[int]:
    """Return the children of the server that live."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if "\nState:\tZ" not in _read(f"/proc/{child}/status", "\nState:\tZ")]


def kill_one(pid: int, settled_s: float) -> None:
    """Kill a random worker that has lived for a while."""
    while True:
        now = time.time()
        settled = []
        for worker in find_workers(pid):
            with suppress(FileNotFoundError):
                if now - Path(f"/proc/{worker}").stat().st_mtime >= settled_s:
                    settled.append(worker)
        if settled:
            os.kill(random.choice(settled), signal.SIGKILL)
            return
        time.sleep(0.1)


def wait_for_workers(url: str, pid: int, workers: int) -> None:
    """Return when all workers live and count."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with suppress(requests.RequestException):
            if len(find_workers(pid)) == workers and f"\nworker_processes {workers}.0\n" in fetch(url):
                return
        time.sleep(0.1)
    raise TimeoutError(f"{len(find_workers(pid))} of {workers} workers live")


def fetch(url: str) -> str:
    """Return the page."""
    answer = requests.get(f"{url}/metrics", timeout=30)
    answer.raise_for_status()
    return answer.text


def read_counts(page: str) -> tuple[float, float, float]:
    """Return how many requests were counted, how many lost, and how many run now."""
    names = (REQUESTS, "http_server_requests_lost_total", "http_server_active_requests")
    sums = dict.fromkeys(names, 0.0)
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name in sums:
                sums[sample.name] += sample.value
    return sums[REQUESTS], sums[names[1]], sums[names[2]]


class Load:
    """Sends requests from some threads, and scrapes from one, until the block ends."""

    def __init__(self, url: str, outcome: Outcome, senders: int = 6) -> None:
        """Note in *outcome* what comes back."""
        self._url = url
        self._outcome = outcome
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        kinds = [self._send] * senders + [self._scrape]
        self._threads: Sequence[threading.Thread] = [threading.Thread(target=kind) for kind in kinds]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        while not self._is_over.wait(0.02):
            path = random.choice(("/pets", "/pets/1", "/pets/x", "/nowhere"))
            try:
                requests.get(self._url + path, timeout=60)
            except requests.RequestException:
                is_answered = False
            else:
                is_answered = True
            with self._lock:
                self._outcome.answered += is_answered
                self._outcome.failed += not is_answered

    def _scrape(self) -> None:
        """Look at the page again and again; a connection may break with the worker that it is to, nothing else."""
        last = 0.0
        while not self._is_over.wait(0.25):
            try:
                counted = read_counts(fetch(self._url))[0]
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                self._outcome.scrapes_failed += 1
                continue
            except (requests.RequestException, ValueError) as error:
                self._outcome.broken.append(f"a scrape was answered wrongly: {error!r}")
                continue
            self._outcome.scrapes += 1
            if counted < last:
                self._outcome.broken.append(f"the counter went from {last} back to {counted}")
            last = counted


def _read(path: str, default: str) -> str:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return default


if __name__ == "__main__":
    main()
