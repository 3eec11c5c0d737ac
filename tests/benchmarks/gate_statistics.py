"""How often the gate blames a release that is just as good, and how often it finds one that is slower.

Run it from the repository: ``python tests/benchmarks/gate_statistics.py [TRIALS]``, by default 200. Two copies of the
service that ``pymacaron new`` writes run beside each other, with two workers each. A trial is what the test plugin does
for the gate: 300 requests of ``list_items`` to each of them by turns, in 20 rounds, and the gate's verdict on them. The
services are started anew after every 20 trials: two processes of one code differ by some per cent.

Half as many trials have a candidate that takes 30 % longer: a loop in its handler, as calibration found it.
Then ten trials of the same code at a time, chosen by lot, are judged as ten operations of one service, and nine of them
with one of the slower candidate: what comparing many operations costs.

Beside the gate a plain rule judges: the 95th percentile more than 10 % above the running release's, on the same
requests by turns; and, in a third of the trials, on 300 that were sent to one release after the other.

It prints the rates with their one-sided 95 % limits, and ends with 1 if a promise was broken: at most 3 % of trials of
the same code fail, at least 85 % of those of the slower one do.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import requests

from pymacaron.demo import NAME, start_service
from pymacaron.scaffold import write_service
from pymacaron_monitoring.gate import TOLERANCE
from pymacaron_monitoring.kept_objectives import ERROR_RATE
from pymacaron_monitoring.paired_rounds import judge_rounds
from pymacaron_monitoring.report import Item, Rounds
from pymacaron_monitoring.wilson import estimate_share
from pymacaron_testing.rounds import Twin, send_rounds
from pymacaron_testing.session import TargetSession

REQUESTS = 300
TRIALS_PER_START = 20
OPERATION = "list_items"
PATH = "/items?limit=50"
OPERATIONS = 10
MOST_FALSE, LEAST_FOUND = 0.03, 0.85
SLOWER = 0.3
_ITEMS = 60
_MANY_LOOPS = 60_000
_MOST_TIME_S = 600.0
_NAIVE = 1.1
_HANDLER = "    return ItemPage("


@dataclass(slots=True)
class Tally:
    """What became of trials.

    loads, ratios: of the machine, and of the medians, by trial. naive, naive_after: what rules of p95 call slower.
    after: of how many.
    """

    rounds: list[Rounds] = field(default_factory=list)
    failed: int = 0
    undecided: int = 0
    naive: int = 0
    naive_after: int = 0
    after: int = 0
    loads: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def trials(self) -> int:
        """How many there were."""
        return len(self.rounds)

    def judge(self, *rounds: Rounds) -> None:
        """Let the gate judge operations with those *rounds*, and count what it says."""
        items = [
            Item(nodeid=str(number), kind="contract", operation_id=OPERATION, outcome="passed", rounds=one)
            for number, one in enumerate(rounds)
        ]
        reasons = list(judge_rounds(items, {OPERATION: "GET /items"}, tolerance=TOLERANCE, error_rate=ERROR_RATE))
        levels = {reason.level for reason in reasons}
        self.failed += "fail" in levels
        self.undecided += "fail" not in levels and "undecided" in levels
        self.reasons += [reason.text for reason in reasons if reason.level != "pass"]

    def show(self, title: str) -> str:
        """Return a line for each rule."""
        spread = ", ".join(f"{one:.3f}" for one in quantiles(self.ratios, n=20)[::9])
        lines = [f"{title}: {self.trials} trials, ratio of medians {spread} (5, 50, 95 % of trials), "]
        lines[0] += f"load {min(self.loads):.0f} to {max(self.loads):.0f} on {os.cpu_count()} processors"
        lines += [_show("gate: fail", self.failed, self.trials), _show("gate: undecided", self.undecided, self.trials)]
        lines += [_show("p95 + 10 %, by turns", self.naive, self.trials)]
        lines += [_show("p95 + 10 %, one after the other", self.naive_after, self.after)]
        return "\n".join(lines)


def _show(name: str, count: int, total: int) -> str:
    limits = estimate_share(count, total)
    share = count / total if total else 0
    return f"  {name:32} {count:4} of {total:4}  {share:6.1%}  [{limits.lower:.1%} to {limits.upper:.1%}]"


@contextlib.contextmanager
def run_pair(loops: int) -> Iterator[tuple[TargetSession, TargetSession]]:
    """Yield sessions of a candidate that goes *loops* times around a loop for each list, and of a running release."""
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sessions = []
        for name, own_loops in (("candidate", loops), ("running", 0)):
            folder = home / name / NAME
            write_service(NAME, folder)
            handlers = folder / NAME / "handlers.py"
            text = handlers.read_text()
            assert _HANDLER in text
            handlers.write_text(text.replace(_HANDLER, f"    for _ in range({own_loops}):\n        pass\n{_HANDLER}"))
            url = start_service(folder, home / f"{name}.log", stack).url
            requests.get(f"{url}/items", timeout=10).raise_for_status()
            _fill(folder / "data" / f"{NAME}.db")
            sessions.append(stack.enter_context(TargetSession(url)))
        yield sessions[0], sessions[1]


def _fill(file: Path) -> None:
    fields = {"name": "Teapot", "description": "Holds a litre", "price_cents": 2900, "tags": ["kitchen"]}
    with contextlib.closing(sqlite3.connect(file)) as store, store:
        row = ("2026-01-31T12:00:00+00:00", json.dumps(fields))
        store.executemany("INSERT INTO items (created_at, fields) VALUES (?, ?)", [row] * _ITEMS)


def run_trial(
    sessions: tuple[TargetSession, TargetSession], tally: Tally, *, is_compared: bool, count: int = REQUESTS
) -> None:
    """Send *count* requests to each, and count what the rules say. is_compared: to one after the other, too."""
    twin = Twin(*(one.prepare_request(requests.Request("GET", PATH)) for one in sessions))
    sent = send_rounds(
        [twin],
        (sessions[0].base_url, sessions[1].base_url),
        count=count,
        may_go_on=lambda: True,
        max_time_s=_MOST_TIME_S,
    )
    rounds = Rounds.model_validate(sent.to_dict())
    ours, theirs = ([one for times in side for one in times] for side in (sent.candidate, sent.baseline))
    tally.rounds.append(rounds)
    tally.loads.append(os.getloadavg()[0])
    tally.ratios.append(median(ours) / median(theirs))
    tally.naive += _is_naively_slower(ours, theirs)
    if is_compared:
        tally.after += 1
        tally.naive_after += _compare_after(twin, sessions)
    tally.judge(rounds)


def _compare_after(twin: Twin, sessions: tuple[TargetSession, TargetSession]) -> bool:
    """Tell what the plain rule says of requests to the running release, and then to the candidate."""
    theirs = [_time(sessions[1], twin.theirs) for _ in range(REQUESTS)]
    ours = [_time(sessions[0], twin.ours) for _ in range(REQUESTS)]
    return _is_naively_slower(ours, theirs)


def _time(session: TargetSession, request: requests.PreparedRequest) -> float:
    started = time.perf_counter()
    session.exchange(request).raise_for_status()
    return time.perf_counter() - started


def _is_naively_slower(ours: list[float], theirs: list[float]) -> bool:
    ours_s, theirs_s = (sorted(times)[int(len(times) * 0.95)] for times in (ours, theirs))
    return ours_s > _NAIVE * theirs_s


def run_trials(count: int, loops: int, *, compared: int = 3, size: int = REQUESTS) -> Tally:
    """Run so many trials with a candidate that goes *loops* times around its loop; one in *compared* compares more.

    size: requests of a trial to each release.
    """
    tally = Tally()
    while tally.trials < count:
        with run_pair(loops) as sessions:
            for number in range(min(TRIALS_PER_START, count - tally.trials)):
                run_trial(sessions, tally, is_compared=bool(compared) and number % compared == 0, count=size)
    return tally


def calibrate(slower: float) -> int:
    """Return how many loops make the median of ``list_items`` greater by that share, 0.3 for 30 %.

    Many loops are measured, in several starts: two processes of the same code, and what else the machine does, make as
    much of a difference as few loops do.
    """
    added = []
    for _ in range(3):
        added += [ratio - 1 for ratio in run_trials(3, _MANY_LOOPS, compared=0).ratios]
    _tell(f"  {_MANY_LOOPS} loops: {', '.join(f'{one:.0%}' for one in added)} slower")
    return round(_MANY_LOOPS * slower / median(added))


def judge_services(same: Tally, other: Tally, count: int) -> Tally:
    """Return what the gate says of services whose operations had trials of *same*, but one that had one of *other*."""
    lot, tally = random.Random(0), Tally()
    for _ in range(count):
        tally.judge(lot.choice(other.rounds), *lot.sample(same.rounds, OPERATIONS - 1))
    return tally


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the trials; return 1 if a promise was broken."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    _tell(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    loops = calibrate(SLOWER)
    slower = run_trials(trials // 2, loops)
    _tell(slower.show(f"{SLOWER:.0%} slower"))
    same = run_trials(trials, 0)
    _tell(same.show("the same code"))
    _tell("\n".join(f"  {reason}" for reason in same.reasons))
    for title, other in (
        (f"{OPERATIONS} operations, same code", same),
        (f"{OPERATIONS} operations, one slower", slower),
    ):
        services = judge_services(same, other, 500)
        _tell(f"{title}, by lot\n{_show('gate: fail', services.failed, 500)}")
        _tell(_show("gate: undecided", services.undecided, 500))
    _tell(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    is_kept = same.failed <= MOST_FALSE * same.trials and slower.failed >= LEAST_FOUND * slower.trials
    _tell("kept" if is_kept else "BROKEN: more than 3 % of good releases fail, or less than 85 % of slower ones")
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
