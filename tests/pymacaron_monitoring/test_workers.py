"""Counts of real servers with several worker processes."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path

import pytest
import requests

from pymacaron_monitoring.prometheus import Page, read_page
from pymacaron_monitoring.store import FOLDER_VARIABLE

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from kills import try_server, write_service
from recycling import MOST_FILES, recycle

GRANIAN = ["-m", "pymacaron.cli", "run", "--port", "0", "--workers", "2"]
GUNICORN = ["-m", "gunicorn", "--no-control-socket", "--bind", "127.0.0.1:0", "--workers", "2", "server:app"]
START_TIMEOUT_S = 30
PATHS = ["/pets", "/pets/1", "/pets/x", "/nowhere"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a service; its models are generated once."""
    folder = tmp_path_factory.mktemp("services") / "service"
    write_service(folder)
    return folder


@pytest.fixture
def serve(tmp_path: Path, service: Path) -> Iterator[Callable[..., str]]:
    """Start the service and return its URL: ``serve(GRANIAN, folder=None)``; folder: where its workers meet."""
    log = tmp_path / "server.log"
    with contextlib.ExitStack() as stack:

        def start(command: list[str], folder: Path | None = None) -> str:
            environment = {**os.environ, **({FOLDER_VARIABLE: str(folder)} if folder else {})}
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, *command], cwd=service, env=environment, stdout=output, stderr=subprocess.STDOUT
                )
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            return wait_until_ready(log, process)

        yield start


def wait_until_ready(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"(?:Serving \S+ on|Listening at:) (http://127\.0\.0\.1:[1-9]\d*)", log.read_text())
        with contextlib.suppress(requests.RequestException):
            if found and requests.get(f"{found[1]}/metrics", timeout=5).ok:
                return found[1]
        time.sleep(0.05)
    raise TimeoutError(log.read_text())


def send(url: str, times: int) -> None:
    """Send *times* requests, each over a connection of its own so that all workers get some."""

    def fetch(number: int) -> None:
        requests.get(url + PATHS[number % len(PATHS)], timeout=10)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fetch, range(times)))


def fetch_page(url: str) -> Page:
    return read_page(requests.get(f"{url}/metrics", timeout=10).text)


def count_all(page: Page) -> float:
    return sum(histogram[inf] for histogram in page.values())


@pytest.mark.parametrize("command", [pytest.param(GRANIAN, id="granian"), pytest.param(GUNICORN, id="gunicorn")])
def test_every_worker_shows_the_sum_of_all(serve: Callable[..., str], tmp_path: Path, command: list[str]) -> None:
    """Whichever worker is scraped, it has counted every request that was sent, each where it belongs."""
    url = serve(command, folder=tmp_path / "counts" if command is GUNICORN else None)
    send(url, 200)
    pages = [fetch_page(url) for _ in range(8)]
    assert {count_all(page) for page in pages} == {200}
    by_place: dict[tuple[str, int], float] = {}
    for labels, histogram in pages[0].items():
        if histogram[inf]:
            by_place[labels.route, labels.status] = histogram[inf]
    assert by_place == {
        ("/pets", 200): 50,
        ("/pets/{petId}", 200): 50,
        ("/pets/{petId}", 400): 50,
        ("unmatched", 404): 50,
    }


@pytest.mark.unmeasured
@pytest.mark.parametrize("server", ["granian", "gunicorn"])
def test_killed_workers_take_nothing_with_them(server: str) -> None:
    """Workers get SIGKILL under load: what clients saw is counted, nothing twice, stuck or left behind."""
    outcome = try_server(server, 2, workers=2, settled_s=2)  # a service whose first workers die does not start
    assert (outcome.kills, outcome.broken) == (2, [])
    assert outcome.answered > 50
    assert outcome.scrapes > 2
    assert outcome.files == (3, 3)  # two workers, and their locks


def test_recycled_workers_of_tasks_lose_no_count() -> None:
    """Processes that are replaced after five tasks each leave all their counts, and no file."""
    found = recycle(15)
    assert (found.noted, found.queued, found.finished, found.lost, found.running) == (15, 15, 15, 0, 0)
    assert found.starts >= 2 + 3  # the one that queues and the main process; three that ran five tasks each
    assert found.files <= MOST_FILES
