"""Kills a deploy at every line of its journal, goes on or back, and shows that the service answered all the time.

Run: ``PYTHONPATH=tests/services:tests/pymacaron/deploy python tests/benchmarks/deploy_kills.py``. Needs a Docker engine
and docker-registry.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from images import run_registry, service_image
from pymacaron.config import load_config
from pymacaron.deploy import engine
from pymacaron.deploy.docker import DockerTarget
from pymacaron.deploy.journal import read_journals
from target_suite import traffic, write_marked_service

SCRIPT = Path(__file__).parents[1] / "services" / "dying_deploy.py"
STEPS = ("stage", "shift-50", "shift-100", "bake", "retire")
KILLED = -9
BOTH_WAYS = ("resume", "rollback")


@dataclass(frozen=True, slots=True)
class Kill:
    """Where the deploy dies, and what is done then."""

    step: str
    state: str
    when: str
    cure: str


def plan_kills() -> Iterator[Kill]:
    """Yield every kill: at each step, begun or done, before or after that is on record, and both cures."""
    for cure in BOTH_WAYS:
        yield Kill("plan", "done", "after", cure)
        for step in STEPS:
            for state, when in (("begin", "after"), ("done", "before"), ("done", "after")):
                yield Kill(step, state, when, cure)


@dataclass(slots=True)
class Bench:
    """A service that is live, and its folder. live: image that has the traffic, and the other one."""

    folder: Path
    images: dict[str, str]
    live: str = ""

    @property
    def target(self) -> DockerTarget:
        """Return the target, as a new process has it."""
        return DockerTarget(load_config(self.folder))

    def deploy(self, image: str, *at: str) -> int:
        """Run the deploy in a process of its own and return its exit code."""
        command = [sys.executable, str(SCRIPT), str(self.folder), image, *(at or ("-", "-", "-"))]
        return subprocess.run(command, check=False, capture_output=True).returncode

    def go_through(self, kill: Kill) -> str:
        """Kill a deploy, cure it, and return what is wrong afterwards, "" for nothing."""
        before, candidate = self.live, next(mark for mark in self.images if mark != self.live)
        died = self.deploy(self.images[candidate], kill.step, kill.state, kill.when)
        if died != KILLED:
            return f"the deploy ended with {died} instead of being killed"
        code = self.deploy(kill.cure)
        self.live = candidate if kill.cure == "resume" else before
        placed = {one.release.image: one.share for one in self.target.current()}
        if code != 0 or placed != {self.images[self.live]: 100}:
            return f"{kill.cure} ended with {code}, and there is {placed}"
        outcome = next(read_journals(self.target.shelf())).outcome
        return "" if outcome in {"live", "rolled back", "failed"} else f"the journal ends {outcome}"


@contextmanager
def open_bench(home: Path, make_image: Callable[[str], str]) -> Iterator[Bench]:
    """Deploy a first release in *home*, give the bench, and remove all of it."""
    folder = write_marked_service(home / "marked", "one")
    settings = f"deploy_target: docker\ndocker_folder: {home / 'state'}\ndocker_listen: 127.0.0.1:0\nstop_timeout: 1\n"
    settings += "deploy_steps: [50, 100]\ndeploy_step_time: 0\ndeploy_bake_time: 0\ndeploy_start_time: 300\n"
    (folder / "pym-config.yaml").write_text(f"name: marked-{uuid4().hex[:8]}\nworker_count: 1\n{settings}")
    bench = Bench(folder, {mark: make_image(mark) for mark in ("one", "two")})
    try:
        code = bench.deploy(bench.images["one"])
        if code:
            raise RuntimeError(f"the first deploy ended with {code}")
        bench.live = "one"
        yield bench
    finally:
        for container in engine.list_containers(f"label=pymacaron.service={load_config(folder).name}"):
            engine.remove_container(container.name)
        bench.target.stop_proxy()


def main() -> int:
    """Go through all kills and print what came of each."""
    with tempfile.TemporaryDirectory() as name, run_registry(Path(name) / "registry") as registry:
        home = Path(name)

        def make_image(mark: str) -> str:
            return service_image(registry, write_marked_service(home / mark / "marked", mark), version=mark)

        with open_bench(home, make_image) as bench, traffic(bench.target.live_url, 25) as seen:
            wrong = 0
            for kill in plan_kills():
                began = time.monotonic()
                found = bench.go_through(kill)
                wrong += bool(found)
                said = f"{kill.when} {kill.step} {kill.state}, then {kill.cure}: {found or 'as it should be'}"
                print(f"{said} ({time.monotonic() - began:.1f} s)", flush=True)  # noqa: T201
        print(f"{wrong} wrong; clients: {dict(seen)}")  # noqa: T201
        return 1 if wrong or seen["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
