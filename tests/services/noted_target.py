"""A target that runs nothing: it notes what it is told, keeps shares, and refuses where a test wants that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pymacaron.config import PymConfig
from pymacaron.deploy.actions import ACTIONS
from pymacaron.deploy.folder_shelf import FolderShelf
from pymacaron.deploy.pipeline import Pipeline
from pymacaron.deploy.release import Deploy
from pymacaron.deploy.steps import Step
from pymacaron.deploy.target import Placed, PlacementError, Release, Shelf
from pymacaron.deploy.wishes import Wishes
from pymacaron.exceptions import Finding
from pymacaron.json_types import JsonObject

_START = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
LEFT_OUT = ("documents", "unit-tests", "local", "tests", "contract", "bake")


@dataclass(slots=True)
class NotedTarget:
    """A target for tests of what leads it. told: every call that changes something, refused ones too.

    refusals: method -> errors that its next calls raise, None for a call that is done. log: what every release wrote.
    """

    folder: Path
    placed: dict[str, Placed] = field(default_factory=dict)
    told: list[tuple[object, ...]] = field(default_factory=list)
    refusals: dict[str, list[Exception | None]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    wrap: Callable[[FolderShelf], Shelf] = lambda shelf: shelf
    name: str = "noted"
    steps: tuple[int, ...] = (50, 100)
    live_url: str = "http://127.0.0.1:1"

    def plan(self, release: Release) -> list[str]:
        """Return one sentence."""
        return [f"Note {release.version}"]

    def current(self) -> list[Placed]:
        """Return what is there."""
        return list(self.placed.values())

    def stage(self, release: Release) -> Placed:
        """Note the release."""
        self._note("stage", release.version)
        return self.placed.setdefault(release.version, Placed(release, self.live_url, 0))

    def shift(self, candidate: str, baseline: str | None, percent: int) -> None:
        """Note the shares."""
        self._note("shift", candidate, percent)
        if candidate not in self.placed:
            raise PlacementError(Finding(candidate, "it is not there", "Stage it"))
        for version, share in ((candidate, percent), (baseline, 100 - percent)):
            if version in self.placed:
                self.placed[version] = Placed(self.placed[version].release, self.live_url, share)

    def check(self, version: str) -> None:
        """Find it well."""

    def metrics(self, version: str) -> str:
        """Return an empty page."""
        return f"# of {version}\n"

    def logs(self, version: str, lines: int = 50) -> list[str]:
        """Return the last of what all of them wrote."""
        self._note("logs", version)
        return self.log[-lines:]

    def retire(self, version: str) -> None:
        """Forget the release."""
        self._note("retire", version)
        if version in self.placed and self.placed[version].share:
            raise PlacementError(Finding(version, "it has traffic", "Shift it first"))
        self.placed.pop(version, None)

    def shelf(self) -> Shelf:
        """Return a shelf in the folder."""
        return self.wrap(FolderShelf(self.folder / "shelf"))

    def _note(self, *call: object) -> None:
        self.told.append(call)
        waiting = self.refusals.get(str(call[0]))
        error = waiting.pop(0) if waiting else None
        if error:
            raise error


@dataclass(slots=True)
class Bench:
    """Deploys of made-up releases, ``one``, ``two`` and so on, without their tests. told: all that deploys told."""

    folder: Path
    target: NotedTarget = field(init=False)
    told: list[str] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        """Make the target."""
        self.target = NotedTarget(self.folder / "state")

    @property
    def pipeline(self) -> Pipeline:
        """Return a new pipeline, as a new process has it."""
        return Pipeline(PymConfig(name="shop"), self.target, self.folder, self.told.append)

    @property
    def live(self) -> dict[str, int]:
        """Return the share of each release that is there."""
        return {placed.release.version: placed.share for placed in self.target.current()}

    def prepare(self, version: str) -> Deploy:
        """Return a new deploy of that release, which waits for nothing."""
        self.count += 1
        deploy = self.pipeline.start(Wishes(f"shop@sha256:{'0' * 64}", is_ungated=True))
        release = Release(version, f"shop@sha256:{'0' * 64}", "", "", _START + timedelta(minutes=self.count))
        deploy.journal.write("plan", "done", {"release": release.to_json()})
        return simplify(deploy)

    def deploy(self, *versions: str) -> None:
        """Deploy them, one after the other."""
        for version in versions:
            assert self.prepare(version).run() == "live"

    def go_back(self) -> str:
        """Return to the release before and return its version."""
        deploy = simplify(self.pipeline.return_to(None))
        assert deploy.run() == "live"
        return deploy.release.version


def simplify(deploy: Deploy) -> Deploy:
    """Leave out what needs a service, and pauses."""
    deploy.actions = {**ACTIONS, **dict.fromkeys(LEFT_OUT, _leave_out), "shift-": _shift}
    deploy.pauses_s = (0.0, 0.0)
    return deploy


def _leave_out(_deploy: Deploy, _step: Step) -> JsonObject:
    return {}


def _shift(deploy: Deploy, step: Step) -> JsonObject:
    deploy.target.shift(deploy.release.version, deploy.baseline, step.percent)
    return {}
