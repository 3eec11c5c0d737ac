"""Deploys of one service on one target: a new one, one that goes on, the way back, and the list of all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pymacaron.config import PymConfig
from pymacaron.deploy.actions import ACTIONS
from pymacaron.deploy.image_source import find_commit, find_version
from pymacaron.deploy.journal import Journal, forget_oldest, new_key, read_journals
from pymacaron.deploy.lock import Lock
from pymacaron.deploy.release import BACK, Deploy, begin
from pymacaron.deploy.steps import Step, choose_shares, is_return, plan_return, plan_steps
from pymacaron.deploy.target import Placed, Release, Target
from pymacaron.deploy.wishes import Wishes
from pymacaron.exceptions import ConfigError, Finding, TargetError
from pymacaron.json_types import Json, JsonObject

_UNBUILT = "0" * 64
_IMAGE = re.compile(r"[^\s@]+@sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Status:
    """One deploy as `pymacaron releases` lists it. share: percent of the traffic now, None if it is not there."""

    version: str
    outcome: str
    started: datetime
    by: str
    image: str
    revision: str
    share: int | None
    reason: str

    def to_json(self) -> JsonObject:
        """Return the fields by name, the time as ISO 8601."""
        told: JsonObject = {name: getattr(self, name) for name in type(self).__slots__}
        return {**told, "started": self.started.isoformat()}


class Pipeline:
    """What the commands do, without asking or printing."""

    def __init__(self, config: PymConfig, target: Target, folder: Path, tell: Callable[[str], None]) -> None:
        """Take the service's configuration and *folder*, and where progress is told."""
        self._config = config
        self._target = target
        self._folder = folder
        self._tell = tell
        self._lock = Lock(target.shelf(), config.deploy_lock_time, tell)

    def describe(self, wishes: Wishes) -> list[str]:
        """Return the plan of a new deploy, a line each. Changes nothing. Raises: ConfigError: there can be none."""
        live = self._find_live()
        baseline = live.version if live else None
        release = self._name_release(wishes)
        url = self._target.live_url or "which gives it its URL"
        lines = [f"Deploy {self._config.name} to {self._target.name}, {url}"]
        lines.append(f"  Now live: {baseline or 'nothing'}")
        planned = "\n  ".join(self._target.plan(release))
        lines.append(f"  {planned.replace(f'@sha256:{_UNBUILT}', ' (still to be built)')}")
        steps = self._plan(wishes, baseline)
        return [*lines, *(f"  {number:2}. {step.name}: {step.summary}" for number, step in enumerate(steps, 1))]

    def describe_rest(self) -> list[str]:
        """Return what is left of the deploy that is not finished, a line each. Changes nothing. Raises: ConfigError."""
        deploy = self.resume()
        version = deploy.journal.version
        what = f"the deploy of {version}" if version else "a deploy that has no image yet"
        lines = [f"Go on with {what} on {self._target.name}, begun by {deploy.journal.records[0].by}"]
        if deploy.journal.is_begun(BACK):
            return [*lines, f"  It is on its way back: {deploy.baseline or 'nobody'} gets all traffic"]
        left = [step for step in deploy.steps if not deploy.journal.is_done(step.name)]
        begun, here = deploy.journal.facts.get("revision"), find_commit(self._folder).revision
        if begun is not None and begun != here and not is_return(step.name for step in left):
            told = f"{here[:7] or 'no commit'}, the deploy of {begun[:7] or 'none'}"
            lines.append(f"  This folder is at {told}: its tests may not fit")
        return [*lines, *(f"  {step.name}: {step.summary}" for step in left)]

    def start(self, wishes: Wishes) -> Deploy:
        """Return a new deploy; the lock must be held. Raises: ConfigError: another one is not finished."""
        self._refuse_unfinished()
        facts: JsonObject = {"release": self._name_release(wishes).to_json()} if wishes.image else {}
        live = self._find_live()
        deploy = self._make(wishes, live.version if live else None)
        facts["baseline_release"] = live.to_json() if live else None
        begin(deploy, {**facts, "revision": find_commit(self._folder).revision, "left": self._find_left()})
        with suppress(TargetError):  # tidying, which the next deploy can do as well
            forget_oldest(self._target.shelf())
        return deploy

    def resume(self) -> Deploy:
        """Return the deploy that is not finished; the lock must be held. Raises: ConfigError: there is none."""
        deploy = self.find_unfinished()
        if deploy is None:
            raise ConfigError(Finding("--resume", "no deploy is unfinished", "Run 'pymacaron deploy' for a new one"))
        return deploy

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold the lock for as long as the block. Raises: LockedError."""
        self._lock.take()
        try:
            yield
        finally:
            self._lock.release()

    def find_unfinished(self) -> Deploy | None:
        """Return the last deploy, ready to go on or back, if it did not end; else None."""
        journal = next(read_journals(self._target.shelf(), self._folder), None)
        if journal is None or journal.outcome != "unfinished":
            return None
        facts = journal.facts
        baseline = facts.get("baseline")
        return Deploy(
            config=self._config,
            target=self._target,
            folder=self._folder,
            journal=journal,
            lock=self._lock,
            wishes=Wishes(**facts.get("wishes", {})),
            steps=tuple(Step(**step) for step in facts.get("steps", ())),
            baseline=str(baseline) if baseline else None,
            tell=self._tell,
            actions=ACTIONS,
        )

    def return_to(self, version: str | None) -> Deploy:
        """Return the deploy that leads to *version*, by default the release that was live before the present one.

        Raises: ConfigError: there is no such release, or a deploy is not finished.
        """
        self._refuse_unfinished()
        now = self._find_live()
        wanted = self._find_earlier(now.version, version) if now else None
        if now is None or wanted is None:
            what = f"{version} was never live" if version else "there is no earlier release"
            raise ConfigError(Finding("rollback", what, "Choose one of 'pymacaron releases'"))
        deploy = self._make(Wishes(), now.version)
        deploy.steps = plan_return(wanted.version, now.version)
        told: JsonObject = {"release": wanted.to_json(), "baseline_release": now.to_json(), "left": self._find_left()}
        begin(deploy, told)
        return deploy

    def _refuse_unfinished(self) -> None:
        if self.find_unfinished():
            fix = "Run 'pymacaron deploy --resume' to go on with it, or 'pymacaron rollback' to go back"
            raise ConfigError(Finding("deploy", "an earlier deploy is not finished", fix))

    def _find_left(self) -> Json:
        """Return the versions that the deploys before could not remove."""
        before = next(read_journals(self._target.shelf()), None)
        return list(before.facts.get("left", ())) if before else []

    def _find_earlier(self, now: str, version: str | None) -> Release | None:
        """Return the release *version* if it was ever live, by default the one before *now*; None without one.

        Whoever went back from a release had a reason: it is not before any other one from then on.
        """
        journals = [one for one in read_journals(self._target.shelf()) if one.outcome == "live" and one.release]
        if version:
            wanted = (one.release for one in journals if one.release and one.release.version == version != now)
            return next(wanted, None)
        history: list[Release] = []
        for journal in reversed(journals):
            assert journal.release is not None
            if is_return(step["name"] for step in journal.facts.get("steps", ())):
                _cut(history, journal.release.version)
            history.append(journal.release)
        _cut(history, now)
        return history[-1] if history else None

    def list(self) -> list[Status]:
        """Return every deploy, the latest first."""
        shares = {placed.release.version: placed.share for placed in self._target.current()}
        return [_describe(journal, shares) for journal in read_journals(self._target.shelf()) if journal.records]

    def _make(self, wishes: Wishes, baseline: str | None) -> Deploy:
        return Deploy(
            config=self._config,
            target=self._target,
            folder=self._folder,
            journal=Journal(self._target.shelf(), new_key(), self._folder),
            lock=self._lock,
            wishes=wishes,
            steps=self._plan(wishes, baseline),
            baseline=baseline,
            tell=self._tell,
            actions=ACTIONS,
        )

    def _plan(self, wishes: Wishes, baseline: str | None) -> tuple[Step, ...]:
        shares = choose_shares(self._config, self._target.steps)
        return plan_steps(self._config, shares, wishes=wishes, baseline=baseline)

    def _find_live(self) -> Release | None:
        """Return the release that has the traffic. Raises: ConfigError: several share it."""
        live: list[Placed] = [placed for placed in self._target.current() if placed.share]
        if len(live) > 1:
            told = ", ".join(f"{one.release.version} {one.share} %" for one in live)
            fix = "Run 'pymacaron deploy --resume' or 'pymacaron rollback' first"
            raise ConfigError(Finding("deploy", f"several releases share the traffic: {told}", fix))
        return live[0].release if live else None

    def _name_release(self, wishes: Wishes) -> Release:
        """Return the release of the image that is given; without one, of an image that is still to be built."""
        now = datetime.now(UTC)
        if not wishes.image:
            commit = find_commit(self._folder)
            version = find_version(commit, now)
            return Release(version, f"{self._config.name}@sha256:{_UNBUILT}", commit.revision, "", now)
        match = _IMAGE.fullmatch(wishes.image)
        if match is None:
            found = f"{wishes.image} names no image by its digest"
            raise ConfigError(Finding("--image", found, "Write repository@sha256:…"))
        return Release(f"{now:%Y%m%d-%H%M%S}-{match[1][:7]}", wishes.image, "", "", now)


def _cut(history: list[Release], version: str) -> None:
    """Remove from *history* the last release of that version and all behind it; nothing if it is not there."""
    for index in range(len(history) - 1, -1, -1):
        if history[index].version == version:
            del history[index:]
            return


def _describe(journal: Journal, shares: dict[str, int]) -> Status:
    release = journal.release
    return Status(
        version=journal.version or "-",
        outcome=journal.outcome,
        started=datetime.fromisoformat(journal.records[0].time),
        by=journal.records[0].by,
        image=release.image if release else "",
        revision=release.revision if release else "",
        share=shares.get(release.version) if release else None,
        reason=str(journal.facts.get("reason", "")) if journal.outcome != "live" else "",
    )
