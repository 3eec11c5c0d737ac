"""A deploy from its first step to its last, or back: every step is recorded before and after it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pymacaron.config import PymConfig
from pymacaron.deploy.journal import END, PLAN, Journal, Outcome
from pymacaron.deploy.lock import Lock
from pymacaron.deploy.steps import SHIFT, Step, Wishes
from pymacaron.deploy.target import PlacementError, Release, Target
from pymacaron.exceptions import Finding, StartupError, TargetError
from pymacaron.json_types import JsonObject

BACK = "back"
RESTORE, REMOVE = "restore", "remove"


class StepError(TargetError):
    """A step ended with a reason not to go on; ``lines`` show more of it."""

    def __init__(self, step: str, reason: str, lines: Sequence[str] = ()) -> None:
        """Take the *step*, the *reason* as a sentence, and *lines* of output or of a log."""
        super().__init__(Finding(step, reason.rstrip("."), "Correct it and deploy again"))
        self.reason = reason
        self.lines = tuple(lines)


@dataclass(slots=True)
class Deploy:
    """One deploy that is under way. folder: the service's. baseline: version that had the traffic when it began.

    tell: where progress goes, a line at a time.
    """

    config: PymConfig
    target: Target
    folder: Path
    journal: Journal
    lock: Lock
    wishes: Wishes
    steps: tuple[Step, ...]
    baseline: str | None
    tell: Callable[[str], None]
    actions: Actions = field(default_factory=dict)

    @property
    def release(self) -> Release:
        """Return what is deployed. Raises: StepError: there is no image yet."""
        found = self.journal.release
        if found is None:
            raise StepError("image", "there is no image yet")
        return found

    @property
    def work_folder(self) -> Path:
        """Return where files of this deploy lie, its test report for one."""
        return self.folder / ".pym" / self.journal.key

    def run(self) -> Outcome:
        """Do every step that is not done yet; a step that fails leads back to the release that was there.

        Raises: LockedError, ShelfConflict: somebody else goes on with this deploy, so this one touches nothing more.
        KeyboardInterrupt: between steps or in one; what is there is recorded, and `roll_back` leads back.
        """
        if self.journal.is_begun(BACK):
            return self.roll_back(str(self.journal.facts.get("reason", "it was on its way back")))
        for step in self.steps:
            if self.journal.is_done(step.name):
                continue
            self.lock.check()
            self.journal.write(step.name, "begin")
            self.tell(f"{step.name}: {step.summary}")
            try:
                facts = self._do(step)
            except StepError as error:
                return self._fail(step, error.reason, error.lines)
            except PlacementError as error:
                return self._fail(step, str(error), error.lines)
            except StartupError as error:
                self.lock.check()  # lost meanwhile: then this is somebody else's deploy
                return self._fail(step, str(error), ())
            except Exception as error:  # noqa: BLE001 - whatever it is, clients must not stay with a release nobody judges
                self.lock.check()
                return self._fail(step, f"{type(error).__name__}: {error}", ())
            self.journal.write(step.name, "done", facts)
        self.journal.write(END, "done", {"outcome": "live"})
        return "live"

    def roll_back(self, reason: str) -> Outcome:
        """Give all traffic back to the baseline and remove the candidate, unless it is to be kept.

        It is the same `shift` as forwards, once. Raises: TargetError: the target refuses; the journal then says so.
        """
        self.lock.check()
        if not self.journal.is_begun(BACK):
            self.journal.write(BACK, "begin", {"reason": reason})
        candidate = self.journal.release
        is_shifted = any(self.journal.is_begun(step.name) for step in self.steps if step.percent)
        if candidate and is_shifted:
            if self.baseline is None:
                return self._stay(reason)
            self._do_once(RESTORE, self._restore, candidate.version)
        if candidate and self.journal.is_begun("stage"):
            self._do_once(REMOVE, self._remove, candidate.version)
        outcome: Outcome = "rolled back" if is_shifted else "failed"
        self.journal.write(END, "done", {"outcome": outcome, "reason": reason})
        return outcome

    def _do(self, step: Step) -> JsonObject:
        return self.actions[SHIFT if step.percent else step.name](self, step)

    def _fail(self, step: Step, reason: str, lines: Sequence[str]) -> Outcome:
        reason = " ".join(reason.split())
        self.journal.write(step.name, "failed", {"reason": f"{step.name}: {reason}"})
        for line in lines:
            self.tell(f"  | {line}")
        self.tell(f"{step.name} failed: {reason}")
        return self.roll_back(f"{step.name}: {reason}")

    def _stay(self, reason: str) -> Outcome:
        """End the deploy of a first release: there is nothing to go back to, so it keeps what it has."""
        self.tell("There is no earlier release to go back to: this one keeps the traffic")
        self.journal.write(END, "done", {"outcome": "failed", "reason": reason})
        return "failed"

    def _do_once(self, name: str, act: Callable[[str], None], candidate: str) -> None:
        if not self.journal.is_done(name):
            self.journal.write(name, "begin")
            act(candidate)
            self.journal.write(name, "done")

    def _restore(self, candidate: str) -> None:
        assert self.baseline is not None
        self.tell(f"Going back: {self.baseline} gets all traffic")
        told = self.journal.facts.get("baseline_release")
        if self.journal.is_begun("retire") and isinstance(told, dict):
            self.target.stage(Release.from_json(told))  # it may be gone already
        self.target.shift(self.baseline, candidate, 100)

    def _remove(self, candidate: str) -> None:
        if self.wishes.is_kept:
            self.tell(f"{candidate} stays at no traffic, as asked")
        else:
            self.target.retire(candidate)
            self.tell(f"Removed {candidate}")


Action = Callable[[Deploy, Step], JsonObject]
Actions = dict[str, Action]


def begin(deploy: Deploy, facts: JsonObject) -> None:
    """Record what is going to be done, so that another machine can go on with it."""
    steps = [{"name": step.name, "summary": step.summary} for step in deploy.steps]
    told = {"steps": steps, "baseline": deploy.baseline, "wishes": deploy.wishes.to_json(), **facts}
    deploy.journal.write(PLAN, "done", told)
