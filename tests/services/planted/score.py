"""Runs the test plugin against the planted services and tells what it found.

    python tests/services/planted/score.py [--service NAME] [--defect ID] [--kind KIND] [--max-time 30] [--seeds N]
    python tests/services/planted/score.py --clean [--service NAME] [--seeds N]

With --clean each failure of a run is an alarm and is printed whole; else a defect is found when a run has a failure.
"here" is shown if one of the failures names the defect's operation. --json FILE keeps the results.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from planted_service import Defect, Service, find_services, load_service, run_service

RUN_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the plugin did.

    failures: as in the report, each with the ``nodeid`` of its item. first_s: when the first failing item had ended,
    None without one. cpu_s: processor time of the plugin, which other load of the machine does not stretch. broken:
    why there is no usable report.
    """

    service: str
    defect: str
    kind: str
    operation: str
    seed: int
    seconds: float
    requests: int = 0
    first_s: float | None = None
    failures: tuple[dict[str, Any], ...] = ()
    not_run: tuple[str, ...] = ()
    broken: str = ""
    cpu_s: float = 0.0
    is_found: bool = field(init=False)
    is_here: bool = field(init=False)

    def __post_init__(self) -> None:
        """Judge the failures."""
        mark = f"::contract::{self.operation}["
        object.__setattr__(self, "is_found", bool(self.failures))
        object.__setattr__(self, "is_here", any(mark in failure["nodeid"] for failure in self.failures))


@cache
def _known_options() -> str:
    """Return the plugin's options as pytest lists them."""
    done = subprocess.run([sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, check=True)
    return done.stdout


def build_command(service: Service, url: str, *, seed: int, max_time_s: float, extra: Sequence[str] = ()) -> list[str]:
    """Return the command line of a run; options that pytest does not know are left out."""
    users = list(service.users.values())
    if "--pymacaron-refused" not in _known_options():  # then only one user can be named
        users = users[:1]
    options = [
        ("--pymacaron-target", url),
        ("--pymacaron-spec", str(service.document)),
        *(("--pymacaron-auth", user) for user in users),
        *(("--pymacaron-refused", line) for line in service.refused),
        ("--pymacaron-max-time", f"{max_time_s:g}"),
        ("--pymacaron-seed", str(seed)),
    ]
    known = [f"{name}={value}" for name, value in options if name in _known_options()]
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *known, *extra]


def select_near(service: Service, operation: str) -> str:
    """Return what -k takes to run only the items of the operation's path, or of paths that -k cannot tell from it."""
    own = _words(operation.partition(" ")[2])
    others = {word for defect in service.defects for word in _words(defect.operation.partition(" ")[2])} - own
    return " and ".join([*sorted(own), *(f"not {word}" for word in sorted(others))])


def _words(path: str) -> set[str]:
    return {word for word in path.split("/") if word and not word.startswith("{")}


def run_plugin(
    service: Service, defect: Defect | None, *, seed: int = 0, max_time_s: float = 30, extra: Sequence[str] = ()
) -> Run:
    """Run the plugin against a service with *defect*, or against the clean one."""
    what = (defect.id, defect.kind, defect.operation) if defect else ("", "", "")
    with run_service(service, what[0]) as url, tempfile.TemporaryDirectory() as folder:
        command = build_command(service, url, seed=seed, max_time_s=max_time_s, extra=extra)
        started, cpu_before_s = time.monotonic(), _children_cpu_s()
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return Run(service.name, *what, seed, RUN_TIMEOUT_S, broken="the run did not end")
        seconds = time.monotonic() - started
        report = Path(folder, "pymacaron-report.json")
        if done.returncode not in {0, 1} or not report.exists():
            return Run(service.name, *what, seed, seconds, broken=(done.stdout + done.stderr)[-3000:])
        run = Run(service.name, *what, seed, seconds, cpu_s=_children_cpu_s() - cpu_before_s)
        return _read_report(run, json.loads(report.read_text()))


def _children_cpu_s() -> float:
    """Return the processor time of the child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _read_report(run: Run, report: dict[str, Any]) -> Run:
    failures = [{**failure, "nodeid": item["nodeid"]} for item in report["items"] for failure in item["failures"]]
    before_s = run.seconds - report["duration_s"]  # until pytest has started
    first_s = min((before_s + failure["seen_after_s"] for failure in failures), default=None)
    broken = [f"{item['nodeid']}: {item['reason']}" for item in report["items"] if item["outcome"] == "error"]
    skipped = [f"{item['nodeid'].rpartition('::')[2]}: {item['reason']}" for item in report["items"] if item["reason"]]
    return Run(
        *(run.service, run.defect, run.kind, run.operation, run.seed, run.seconds),
        requests=report["requests_sent"],
        first_s=first_s,
        failures=tuple(failures),
        not_run=tuple(skipped),
        broken="; ".join(broken),
        cpu_s=run.cpu_s,
    )


def _score_clean(service: Service, arguments: argparse.Namespace) -> Iterator[Run]:
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        run = run_plugin(service, None, seed=seed, max_time_s=arguments.max_time, extra=arguments.extra)
        counts = f"{len(run.failures)} alarms, {run.seconds:.1f} s ({run.cpu_s:.1f} s CPU), {run.requests} requests"
        _say(f"{service.name} clean, seed {seed}: {counts}")
        for failure in run.failures:
            _say(json.dumps(failure, ensure_ascii=False, indent=1))
        if run.broken:
            _say(f"BROKEN: {run.broken}")
        if arguments.skips:
            _say("".join(f"  {line}\n" for line in run.not_run))
        yield run


def _score_planted(service: Service, arguments: argparse.Namespace) -> Iterator[Run]:
    for defect in service.defects:
        if arguments.defect and defect.id not in arguments.defect:
            continue
        if arguments.kind and defect.kind not in arguments.kind:
            continue
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            near = ["-k", select_near(service, defect.operation)] if arguments.near else []
            extra = [*near, *arguments.extra]
            run = run_plugin(service, defect, seed=seed, max_time_s=arguments.max_time, extra=extra)
            _say(_describe(run))
            if arguments.failures:
                for failure in run.failures:
                    _say(json.dumps(failure, ensure_ascii=False, indent=1))
            yield run


def _describe(run: Run) -> str:
    verdict = "BROKEN" if run.broken else "found" if run.is_found else "MISSED"
    where = "here" if run.is_here else "elsewhere" if run.is_found else "-"
    first = f"{run.first_s:.1f}" if run.first_s is not None else "-"
    checks = ", ".join(sorted({failure["check"] for failure in run.failures}))
    line = f"{run.service:10} {run.kind:12} {run.defect:26} {verdict:7} {where:10}"
    line = f"{line} {run.seconds:5.1f} s {run.cpu_s:5.1f} s CPU first {first:>5} s {run.requests:5} requests  {checks}"
    return f"{line}\n  {run.broken}" if run.broken else line


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _summarise(runs: Sequence[Run]) -> None:
    _say(f"\n{'service':10} {'kind':12} found of  here  mean s")
    planted = [run for run in runs if run.defect]
    groups = sorted({(run.service, run.kind) for run in planted})
    for service, kind in [*groups, *((name, "all") for name in sorted({run.service for run in planted}))]:
        some = [run for run in planted if run.service == service and kind in {run.kind, "all"}]
        found, here = (sum(getattr(run, name) for run in some) for name in ("is_found", "is_here"))
        mean_s = sum(run.seconds for run in some) / len(some)
        _say(f"{service:10} {kind:12} {found:5} {len(some):2} {here:5} {mean_s:7.1f}")
    missed = [f"{run.service} {run.defect} (seed {run.seed})" for run in planted if not run.is_found]
    _say(f"missed: {', '.join(missed) or 'none'}")


def main() -> int:
    """Score what the command line names. Returns 1 if a clean run raised an alarm, or a defect was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", action="append", choices=find_services())
    parser.add_argument("--defect", action="append", default=[])
    parser.add_argument("--kind", action="append", default=[])
    parser.add_argument("--max-time", type=float, default=30)
    parser.add_argument("--seeds", type=int, default=1, help="runs for each defect, or of the clean service")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--clean", action="store_true", help="run against the services without a defect")
    parser.add_argument("--near", action="store_true", help="run only the items of the defect's path: quicker")
    parser.add_argument("--failures", action="store_true", help="print the failures whole")
    parser.add_argument("--skips", action="store_true", help="with --clean, print what was not run and why")
    parser.add_argument("--json", type=Path)
    parser.add_argument("extra", nargs="*", help="after --, options for pytest, such as -k auth")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # ends the service too
    score = _score_clean if arguments.clean else _score_planted
    runs = [run for name in arguments.service or find_services() for run in score(load_service(name), arguments)]
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(run) for run in runs], ensure_ascii=False, indent=1))
    if not arguments.clean:
        _summarise(runs)
    return int(any(run.broken or run.is_found == arguments.clean for run in runs))


if __name__ == "__main__":
    sys.exit(main())
