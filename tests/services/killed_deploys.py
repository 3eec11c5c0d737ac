"""Kills deploys at one line of their journal, and cures them: what the tests and the benchmark of kills share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from images import Registry, base_image
from parcels import commit
from pymacaron.config import load_config
from pymacaron.deploy import engine
from pymacaron.deploy.docker import DockerTarget
from pymacaron.deploy.journal import read_journals
from target_suite import ask, write_marked_service

SCRIPT = Path(__file__).with_name("dying_deploy.py")
KILLED = -9
MARKS = ("one", "two")


@dataclass(frozen=True, slots=True)
class Kill:
    """Where the deploy dies, and what is done then."""

    step: str
    state: str
    when: str
    cure: str


@dataclass(slots=True)
class Bench:
    """A service that is live, and its folder, with a commit for each of `MARKS`. live: the one that has the traffic."""

    folder: Path
    live: str = ""

    @property
    def target(self) -> DockerTarget:
        """Return the target, as a new process has it."""
        return DockerTarget(load_config(self.folder))

    def deploy(self, mark: str, *at: str) -> int:
        """Build and deploy the release that answers *mark*, in a process of its own; return its exit code."""
        _run_git(self.folder, "checkout", "--quiet", mark)
        return self.run("deploy", *at)

    def run(self, what: str, *at: str) -> int:
        """Do *what* ``dying_deploy.py`` can in a process of its own; return its exit code."""
        command = [sys.executable, str(SCRIPT), str(self.folder), what, *(at or ("-", "-", "-"))]
        return subprocess.run(command, check=False, capture_output=True).returncode

    def go_through(self, kill: Kill) -> str:
        """Kill a deploy, cure it, and return what is wrong afterwards, "" for nothing."""
        before, candidate = self.live, next(mark for mark in MARKS if mark != self.live)
        died = self.deploy(candidate, kill.step, kill.state, kill.when)
        if died != KILLED:
            return f"the deploy ended with {died} instead of being killed"
        code = self.run(kill.cure)
        self.live = candidate if kill.cure == "resume" else before
        placed = {ask(one.url): one.share for one in self.target.current()}
        if code != 0 or placed != {self.live: 100}:
            return f"{kill.cure} ended with {code}, and there is {placed}"
        outcome = next(read_journals(self.target.shelf())).outcome
        return "" if outcome in {"live", "rolled back", "failed"} else f"the journal ends {outcome}"


@contextmanager
def open_bench(home: Path, registry: Registry) -> Iterator[Bench]:
    """Deploy a first release in *home*, its images in *registry*, give the bench, and remove all of it."""
    folder = home / "marked"
    settings = f"deploy_target: docker\ndocker_folder: {home / 'state'}\ndocker_listen: 127.0.0.1:0\nstop_timeout: 1\n"
    settings += "deploy_steps: [50, 100]\ndeploy_step_time: 0\ndeploy_bake_time: 0\ndeploy_start_time: 300\n"
    settings += f"docker_repo: {registry.host}/kills\ndocker_base: {base_image(registry)}\n"
    name = f"marked-{uuid4().hex[:8]}"
    for mark in MARKS:
        write_marked_service(folder, mark)
        (folder / "requirements.txt").write_text("# all in the base\n")
        (folder / "pym-config.yaml").write_text(f"name: {name}\nworker_count: 1\n{settings}")
        commit(folder, mark)
        _run_git(folder, "tag", mark)
    bench = Bench(folder)
    try:
        code = bench.deploy("one")
        if code:
            raise RuntimeError(f"the first deploy ended with {code}")
        bench.live = "one"
        yield bench
    finally:
        for container in engine.list_containers(f"label=pymacaron.service={name}"):
            engine.remove_container(container.name)
        bench.target.stop_proxy()
        for image in set(engine.run_docker("images", "--quiet", f"{registry.host}/kills/{name}").split()):
            engine.run_docker("rmi", "--force", image)


def _run_git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)
