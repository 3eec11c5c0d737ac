"""A deploy from its first step to its last, or back: every step is recorded before and after it is done."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pymacaron.config import PymConfig
from pymacaron.deploy.journal import END, PLAN, Journal, JournalError, Outcome, State
from pymacaron.deploy.lock import Lock, LockedError
from pymacaron.deploy.steps import SHIFT, Step
from pymacaron.deploy.target import PlacementError, Release, ShelfConflict, Target
from pymacaron.deploy.wishes import Wishes
from pymacaron.exceptions import Finding, StartupError, TargetError
from pymacaron.json_types import JsonObject

BACK = "back"
RESTORE, REMOVE, RETIRE = "restore", "remove", "retire"
_LOG_LINES = 20


class StepError(TargetError):
    """A step ended with a reason not to go on; ``lines`` show more of it."""

    def __init__(self, step: str, reason: str, lines: Sequence[str] = ()) -> None:
        """Take the *step*, the *reason* as a sentence, and *lines* of output or of a log."""
        super().__init__(Finding(step, reason.rstrip("."), "Correct it and deploy again"))
        self.reason = reason
        self.lines = tuple(lines)


class WayBackError(TargetError):
    """The way back stopped halfway: the target refuses, or does not answer."""


@dataclass(slots=True)
class Deploy:
    """One deploy that is under way. folder: the service's. baseline: version that had the traffic when it began.

    tell: where progress goes, a line at a time. pauses_s: seconds between tries to give the traffic back.
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
    pauses_s: tuple[float, ...] = (1.0, 4.0, 10.0)
    is_log_wanted: bool = field(default=False, init=False)

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

    @property
    def is_shifted(self) -> bool:
        """Tell whether the candidate got traffic, or might have."""
        return any(self.journal.is_begun(step.name) for step in self.steps if step.percent)

    def run(self) -> Outcome:
        """Do every step that is not done yet; a step that fails leads back to the release that was there.

        Raises: LockedError, ShelfConflict: somebody else goes on with this deploy, so this one touches nothing more.
        WayBackError: see `roll_back`. KeyboardInterrupt: between steps or in one; what is there is recorded, and
        `roll_back` leads back.
        """
        if self.journal.is_begun(BACK):
            return self.roll_back(str(self.journal.facts.get("reason", "it was on its way back")))
        for step in self.steps:
            if self.journal.is_done(step.name):
                continue
            self.lock.check()
            try:
                self.journal.write(step.name, "begin")
                self.tell(f"{step.name}: {step.summary}")
                self.journal.write(step.name, "done", self._do(step))
            except (LockedError, ShelfConflict):
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, clients must not stay with a release nobody judges
                self.lock.check()  # lost meanwhile: then this is somebody else's deploy
                if step.name == RETIRE and isinstance(error, JournalError):
                    self.tell(f"{error} It is live all the same; 'pymacaron deploy --resume' ends the deploy")
                    return "live"
                return self._fail(step, error)
        self._note(END, "done", {"outcome": "live"})
        return "live"

    def roll_back(self, reason: str) -> Outcome:
        """Give all traffic back to the baseline and remove the candidate, unless it is to be kept.

        It is the same `shift` as forwards, once. A journal that cannot be written does not keep clients from it.
        Raises: WayBackError: the target refuses; the journal then says so. LockedError, ShelfConflict: see `run`.
        """
        self.lock.check()
        is_shifted = self.is_shifted
        if not self.journal.is_begun(BACK):
            self._note(BACK, "begin", {"reason": reason})
        candidate = self.journal.release
        if candidate and is_shifted:
            if self.baseline is None:
                return self._stay(candidate.version, reason)
            self._do_once(RESTORE, self._restore, candidate.version)
        if candidate and self.journal.is_begun("stage"):
            self._do_once(REMOVE, self._remove, candidate.version)
        outcome: Outcome = "rolled back" if is_shifted else "failed"
        self._note(END, "done", {"outcome": outcome, "reason": reason})
        return outcome

    def _do(self, step: Step) -> JsonObject:
        return self.actions[SHIFT if step.percent else step.name](self, step)

    def _fail(self, step: Step, error: Exception) -> Outcome:
        reason = " ".join(_tell_reason(error).split())
        self._note(step.name, "failed", {"reason": f"{step.name}: {reason}"})
        lines = getattr(error, "lines", ())
        self.show(lines)
        self.tell(f"{step.name} failed: {reason}")
        self.is_log_wanted = not (lines and isinstance(error, PlacementError))  # else its log is what was shown
        return self.roll_back(f"{step.name}: {reason}")

    def show(self, lines: Sequence[str]) -> None:
        """Tell lines of a log or of a program's output."""
        for line in lines:
            self.tell(f"  | {line}")

    def _stay(self, candidate: str, reason: str) -> Outcome:
        """End the deploy of a first release: there is nothing to go back to, so it keeps what it has."""
        self._show_log(candidate)
        self.tell("There is no earlier release to go back to: this one keeps the traffic")
        self._note(END, "done", {"outcome": "failed", "reason": reason})
        return "failed"

    def _note(self, name: str, state: State, facts: JsonObject | None = None) -> None:
        """Record something that clients must not wait for: a journal that cannot be written is told."""
        try:
            self.journal.write(name, state, facts)
        except JournalError as error:
            self.tell(f"{name}: {error}")

    def _do_once(self, name: str, act: Callable[[str], JsonObject], candidate: str) -> None:
        if self.journal.is_done(name):
            return
        self._note(name, "begin")
        try:
            facts = act(candidate)
        except Exception as error:
            refused = " ".join(_tell_reason(error).split())
            self._note(name, "failed", {"refused": refused})
            found = f"it stopped at {name}: {refused.rstrip('.')}. {self._tell_shares()}"
            raise WayBackError(Finding("the way back", found, "Run 'pymacaron rollback' to try it again")) from error
        self._note(name, "done", facts)

    def _tell_shares(self) -> str:
        """Return who has the traffic now, as far as the target tells."""
        try:
            shares = {placed.release.version: placed.share for placed in self.target.current()}
        except Exception:  # noqa: BLE001 - it refused already, and that is what is told
            return "Who has the traffic now is not known"
        return "Traffic now: " + (", ".join(f"{version} {share} %" for version, share in shares.items()) or "nobody")

    def _restore(self, candidate: str) -> JsonObject:
        assert self.baseline is not None
        self.tell(f"Going back: {self.baseline} gets all traffic")
        is_gone = self.journal.is_begun(RETIRE)
        for pause_s in self.pauses_s:
            try:
                return self._give_back(self.baseline, candidate, is_gone=is_gone)
            except Exception as error:  # noqa: BLE001 - whatever it is: the last try tells it
                self.tell(f"Going back is refused, trying again in {pause_s:g} s: {' '.join(str(error).split())}")
                is_gone = is_gone or isinstance(error, PlacementError)
                time.sleep(pause_s)
        return self._give_back(self.baseline, candidate, is_gone=is_gone)

    def _give_back(self, baseline: str, candidate: str, *, is_gone: bool) -> JsonObject:
        told = self.journal.facts.get("baseline_release")
        if is_gone and isinstance(told, dict):
            self.target.stage(Release.from_json(told))  # nothing happens if it is there still
        self.target.shift(baseline, candidate, 100)
        return {}

    def _remove(self, candidate: str) -> JsonObject:
        self._show_log(candidate)
        if self.wishes.is_kept:
            self.tell(f"{candidate} stays at no traffic, as asked")
            return {}
        left = self.retire([candidate])
        if not left:
            self.tell(f"Removed {candidate}")
        return {"left": [*self.journal.facts.get("left", ()), *left]}

    def retire(self, versions: Iterable[str]) -> list[str]:
        """Remove *versions*, which clients do not need any more, and return those that the target does not let go."""
        left = []
        for version in versions:
            try:
                self.target.retire(version)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is no matter of clients
                reason = " ".join(_tell_reason(error).split())
                self.tell(f"{version} is left over, for the next deploy to remove: {reason}")
                left.append(version)
        return left

    def _show_log(self, candidate: str) -> None:
        if self.is_log_wanted:
            with contextlib.suppress(Exception):  # it has none, or is gone: that is no reason to leave it there
                self.show(self.target.logs(candidate, _LOG_LINES))


def _tell_reason(error: Exception) -> str:
    if isinstance(error, StepError):
        return error.reason
    return str(error) if isinstance(error, StartupError) else f"{type(error).__name__}: {error}"


Action = Callable[[Deploy, Step], JsonObject]
Actions = dict[str, Action]


def begin(deploy: Deploy, facts: JsonObject) -> None:
    """Record what is going to be done, so that another machine can go on with it."""
    steps = [{"name": step.name, "summary": step.summary} for step in deploy.steps]
    told = {"steps": steps, "baseline": deploy.baseline, "wishes": deploy.wishes.to_json(), **facts}
    deploy.journal.write(PLAN, "done", told)
