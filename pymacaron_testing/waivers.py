"""Failures that somebody accepted for some time are told as not checked until then, never as kept."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron_testing.confirm import Outcome
    from pymacaron_testing.hints import Waiver


def apply_waivers(outcome: Outcome, waivers: tuple[Waiver, ...], group: str, today: dt.date) -> Outcome:
    """Return *outcome* without the failures of checks, or of the whole *group*, that a waiver names which still holds.

    Where no other failure is left the item counts as not run, with the waiver's reason.
    """
    valid = [waiver for waiver in waivers if waiver.until >= today]
    kept, reasons = [], []
    for failure in outcome.failures:
        waiver = next((one for one in valid if {failure.check, group} & one.checks), None)
        if waiver is None:
            kept.append(failure)
        else:
            reasons.append(f"{failure.check} is waived until {waiver.until.isoformat()}: {waiver.reason}")
    if not reasons:
        return outcome
    told = tuple(dict.fromkeys(reasons))
    not_run = outcome.not_run or ("" if kept else "; ".join(told))
    return replace(outcome, failures=tuple(kept), gaps=(*outcome.gaps, *told), not_run=not_run)
