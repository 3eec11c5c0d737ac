"""Deploys good releases and releases with planted faults under live traffic, and shows who saw what.

Run: ``PYTHONPATH=tests/services python tests/benchmarks/deploy_faults.py [FAULT …]``. Needs a
Docker engine and docker-registry; takes about two minutes a fault.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import requests

from images import Registry, base_image, run_registry
from parcels import CLIENT, FAULTS, commit, write_parcels
from pymacaron.config import load_config
from pymacaron.deploy import Target, engine
from pymacaron.deploy.docker import DockerTarget

RATE_PER_S = 200
THREADS = 20
SETTINGS = """deploy_target: docker
docker_listen: 127.0.0.1:0
deploy_steps: [10, 100]
deploy_local_profile: quick
deploy_step_time: 8
deploy_bake_time: 10
deploy_decision_time: 60
deploy_lock_time: 30
deploy_start_time: 300
"""
_WINDOW = 300
_SLACK = 5  # per cent: answers come in another order than requests go


@dataclass(slots=True)
class Seen:
    """What clients saw. failures: what was no good answer, by kind. marks: which release answered, in order."""

    answers: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    marks: list[str] = field(default_factory=list)

    def find_largest_share(self, mark: str) -> float:
        """Return the largest part of 300 answers in a row that the release *mark* gave."""
        hits = [one == mark for one in self.marks]
        windows = [sum(hits[start : start + _WINDOW]) for start in range(max(1, len(hits) - _WINDOW + 1))]
        return max(windows, default=0) / _WINDOW


@contextmanager
def live_traffic(url: str, *, is_name_asked: bool = False) -> Iterator[Seen]:
    """Send requests to *url* all the time, at 200 a second together, each client with a connection that it keeps.

    is_name_asked: each request has a connection of its own instead, as where DNS says which release has the name.
    """
    seen, ended, lock = Seen(), threading.Event(), threading.Lock()

    def ask(number: int) -> None:
        due = time.monotonic() + number / RATE_PER_S
        with requests.Session() as http:
            http.trust_env = False
            http.headers["User-Agent"] = CLIENT
            if is_name_asked:
                http.headers["Connection"] = "close"
            while not ended.wait(max(0.0, due - time.monotonic())):
                due = max(due + THREADS / RATE_PER_S, time.monotonic() - 1)
                path = random.choice(("/mark", "/parcels?city=Oslo", f"/parcels/{random.randint(1, 900)}"))
                try:
                    answer = http.get(url + path, timeout=10)
                except requests.RequestException as error:
                    with lock:
                        seen.failures[type(error).__name__] += 1
                    continue
                with lock:
                    seen.answers += 1
                    if answer.status_code != requests.codes.ok:
                        seen.failures[str(answer.status_code)] += 1
                    seen.marks.append(answer.headers.get("X-Mark", ""))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one deploy. reason: its last line. largest_share: of the candidate, as clients saw it, 0 to 1."""

    exit_code: int
    reason: str
    largest_share: float
    seen: Seen
    output: str
    duration_s: float

    @property
    def reached(self) -> int:
        """Return the largest share that the deploy gave, percent; 0 if it never got so far."""
        return max((int(found) for found in re.findall(r"  shift-(\d+): ", self.output)), default=0)


@dataclass(frozen=True, slots=True)
class Parcels:
    """The service that is released again and again. is_name_asked: see `live_traffic`."""

    folder: Path
    settings: str
    is_name_asked: ClassVar = False

    @property
    def target(self) -> Target:
        """Return its target."""
        return DockerTarget(load_config(self.folder))

    def deploy(self, mark: str, fault: str = "") -> Result:
        """Commit a release that answers *mark*, with the *fault*, and deploy it; live traffic flows if one is live."""
        write_parcels(self.folder, mark, self.settings, fault)
        commit(self.folder, mark)
        if not any(placed.share for placed in self.target.current()):
            return self._run(mark, Seen())
        with live_traffic(self.target.live_url, is_name_asked=self.is_name_asked) as seen:
            return self._run(mark, seen)

    def _run(self, mark: str, seen: Seen) -> Result:
        began = time.monotonic()
        command = [sys.executable, "-m", "pymacaron.cli", "deploy", "--yes", "--folder", str(self.folder)]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        duration_s = time.monotonic() - began
        last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
        return Result(done.returncode, last, seen.find_largest_share(mark), seen, done.stdout, duration_s)


@contextmanager
def open_parcels(home: Path, registry: Registry, settings: str = SETTINGS) -> Iterator[Parcels]:
    """Give the service, in *home*, not yet deployed; remove its containers and its proxy at the end."""
    places = f"docker_repo: {registry.host}\ndocker_base: {base_image(registry)}\ndocker_folder: {home / 'state'}\n"
    parcels = Parcels(home / "parcels", f"{settings}{places}")
    write_parcels(parcels.folder, "first", parcels.settings)
    try:
        yield parcels
    finally:
        for container in engine.list_containers("label=pymacaron.service=parcels"):
            engine.remove_container(container.name)
        DockerTarget(load_config(parcels.folder)).stop_proxy()


def main(wanted: list[str]) -> int:
    """Deploy one good release after the other, then each fault; print a line for each."""
    cases = [("first", ""), ("second", ""), *((f"fault{number}", fault) for number, fault in enumerate(wanted))]
    with (
        tempfile.TemporaryDirectory() as name,
        run_registry(Path(name) / "registry") as registry,
        open_parcels(Path(name), registry) as parcels,
    ):
        results = [show_result(fault, parcels.deploy(mark, fault)) for mark, fault in cases]
    return 0 if all(results) else 1


def show_result(fault: str, result: Result) -> bool:
    """Print what came of one deploy, and return whether it is what should come."""
    is_good = result.exit_code == (1 if fault else 0)
    is_good &= result.largest_share * 100 <= result.reached + _SLACK
    is_good &= bool(fault) or not result.seen.failures
    lines = [
        f"{'ok   ' if is_good else 'WRONG'} {fault or 'good release'}: exit {result.exit_code}",
        f"{result.duration_s:.0f} s, {result.seen.answers} answers, failures {dict(result.seen.failures)}",
        f"step {result.reached} %, clients saw at most {result.largest_share * 100:.0f} %",
        result.reason,
    ]
    print("\n      ".join(lines), flush=True)  # noqa: T201
    if not is_good:
        print(result.output, flush=True)  # noqa: T201
    return is_good


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(FAULTS)))
