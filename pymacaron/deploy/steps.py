"""The steps of a deploy as plain data, before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pymacaron.config import PymConfig
from pymacaron.deploy.local_copy import describe_copy
from pymacaron.deploy.wishes import Wishes

SHIFT = "shift-"


@dataclass(frozen=True, slots=True)
class Step:
    """One step. name: ``shift-25``. summary: what it does, a sentence without a full stop."""

    name: str
    summary: str

    @property
    def percent(self) -> int:
        """Return the share of a shift; 0 for other steps."""
        return int(self.name.removeprefix(SHIFT)) if self.name.startswith(SHIFT) else 0


def plan_steps(config: PymConfig, shares: Sequence[int], *, wishes: Wishes, baseline: str | None) -> tuple[Step, ...]:
    """Return the steps of a deploy. shares: those of the target. baseline: version with the traffic, None at first."""
    steps = []
    if baseline:
        steps.append(Step("documents", f"see that they keep what {baseline} publishes"))
    steps += [Step("unit-tests", "run the tests of the folder tests or test, where there is one")]
    if not wishes.image:
        steps.append(Step("image", "build the image"))
    steps.append(Step("local", f"run the image here, and its tests against it ({describe_copy(config)})"))
    if not wishes.image:
        steps.append(Step("push", "push the image that was tested, by its digest"))
    steps += [
        Step("stage", "start it on the target, at no traffic"),
        Step("tests", f"run the same tests against it there (profile {config.deploy_profile}){_compared(baseline)}"),
    ]
    if baseline:
        steps.append(Step("contract", f"run the contract tests of the documents that {baseline} publishes against it"))
    if baseline is None:
        steps.append(Step(f"{SHIFT}100", "give it all traffic: it is the first release"))
    else:
        pause = f"then let the gate judge after {config.deploy_step_time} s, up to {config.deploy_decision_time} s"
        steps += [Step(f"{SHIFT}{share}", f"give it {share} % of the traffic, {pause}") for share in shares]
    steps.append(Step("bake", f"watch it for {config.deploy_bake_time} s"))
    if baseline:
        steps.append(Step("retire", f"remove {baseline} once its requests have ended"))
    return tuple(steps)


def plan_return(version: str, baseline: str) -> tuple[Step, ...]:
    """Return the steps back to *version*, a release that was live before *baseline* and may be gone."""
    return (
        Step("stage", f"start {version} again on the target, at no traffic, from the same image"),
        Step(f"{SHIFT}100", f"give it all traffic instead of {baseline}"),
        Step("retire", f"remove {baseline} once its requests have ended"),
    )


def is_return(names: Iterable[str]) -> bool:
    """Tell whether steps of these *names* lead back: such a release was judged when it was new."""
    return "tests" not in names


def choose_shares(config: PymConfig, offered: Sequence[int]) -> tuple[int, ...]:
    """Return the shares to go by: `deploy_steps`, where the target can do more than swap; else what it offers."""
    if config.deploy_steps is None or len(offered) == 1:
        return tuple(offered)
    return tuple(config.deploy_steps)


def _compared(baseline: str | None) -> str:
    return f", answers and times compared with those of {baseline}" if baseline else ""
