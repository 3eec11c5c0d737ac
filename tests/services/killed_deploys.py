"""Kills deploys at one line of their journal, and cures them: what the tests and the benchmark of kills share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pymacaron.config import load_config
from pymacaron.deploy import engine
from pymacaron.deploy.docker import DockerTarget
from pymacaron.deploy.journal import read_journals
from target_suite import write_marked_service

SCRIPT = Path(__file__).with_name("dying_deploy.py")
KILLED = -9


@dataclass(frozen=True, slots=True)
class Kill:
    """Where the deploy dies, and what is done then."""

    step: str
    state: str
    when: str
    cure: str


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
