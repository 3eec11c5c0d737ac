"""What it costs to watch a request: id, log context, events, counts, and the log's line.

Run it from the repository: ``python tests/benchmarks/observing.py [ROUNDS]``. Nothing is handled: requests only begin
and finish, as around an operation, and another process writes the log into a file, as under ``pymacaron run``. First
one process measures, then four at once that share the folder of their counts. It prints the CPU time of each part in
microseconds, the best of the rounds (of the four processes the median), and the same for what one would otherwise take:
a uuid, a JSON line through `logging`, and a histogram of prometheus_client in a folder too. What the measuring itself
costs is taken off.

Goal: all parts together at most 5 us, in one process and in each of four.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

from flask import Flask
from in_process import spool_lines
from prometheus_client import Histogram
from pythonjsonlogger.json import JsonFormatter

from pymacaron.access_log import write_line
from pymacaron.config import PymConfig
from pymacaron.events import Bus
from pymacaron.log import setup_logging
from pymacaron.request_events import RequestWatch
from pymacaron.request_record import RequestRecord
from pymacaron.service import Service, service_of
from pymacaron.spec import Operation, parse_spec
from pymacaron_monitoring import init_app
from pymacaron_monitoring.declared import BOUNDS_S

REQUESTS = 500  # whose lines fit between two looks of the process that writes them
PROCESSES = 4
GOAL_US = 5
DOCUMENT = """
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
    get: {operationId: getPet, responses: {"200": {description: one}}}
"""
ENVIRON = {"REQUEST_METHOD": "GET", "PATH_INFO": "/pets/12", "CONTENT_LENGTH": "", "QUERY_STRING": ""}


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    (alone,) = measure_in_processes(1, rounds)
    several = measure_in_processes(PROCESSES, rounds)
    shared = {part: statistics.median(found[part] for found in several) for part in alone}
    print(f"{'us a request':32}{'alone':>10}{f'{PROCESSES} processes':>14}")  # noqa: T201
    for part, best_us in alone.items():
        print(f"{part:32}{best_us:>10.2f}{shared[part]:>14.2f}")  # noqa: T201
    ratios = [found["logging, prometheus_client"] / found["together"] for found in (alone, shared)]
    print(f"{'ratio':32}{ratios[0]:>10.1f}{ratios[1]:>14.1f}")  # noqa: T201
    print(f"goal: together at most {GOAL_US} us")  # noqa: T201


def measure_in_processes(count: int, rounds: int) -> list[dict[str, float]]:
    """Return what each of *count* processes measured, part -> best in microseconds."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder}
        with (Path(folder) / "log").open("a") as log:
            processes = [
                subprocess.Popen(
                    [sys.executable, __file__, str(rounds), "--measure"],
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
                for _ in range(count)
            ]
            return [json.loads(process.communicate()[0]) for process in processes]


def measure(rounds: int) -> dict[str, float]:
    """Return part -> best CPU time of one request in microseconds, in this process; the parts take turns."""
    best: dict[str, float] = {}
    with spool_lines():
        parts = build_parts()
        for _ in range(rounds):
            for name, run in parts.items():
                start = time.process_time()
                for _ in range(REQUESTS):
                    run()
                taken_us = (time.process_time() - start) / REQUESTS * 1e6
                best[name] = min(best.get(name, taken_us), taken_us)
    own_us = best.pop("nothing")
    return {name: best_us - own_us for name, best_us in best.items()}


def build_parts() -> Mapping[str, Callable[[], object]]:
    """Return name -> function that does that part for one request."""
    setup_logging(log_format="json")
    api = parse_spec(DOCUMENT, source="pets.yaml", name="pets")
    (operation,) = api.operations
    app = Flask("svc")
    operations = {operation.operation_id: operation}
    app.extensions["pymacaron"] = Service(app=app, config=PymConfig(), apis={"pets": api}, operations=operations)
    init_app(app)
    watched = service_of(app).bus
    record = RequestRecord(ENVIRON)
    record.operation, record.status, record.response_bytes = operation, 200, 2
    ((begin, finish),) = watched.followers

    def log_line() -> None:
        dict(ENVIRON)
        write_line(record, 0.001)

    def count() -> None:
        dict(ENVIRON)
        begin(record)
        finish(record, 0.001)

    return {
        "nothing": lambda: dict(ENVIRON),
        "id, record, log context": follow(RequestWatch(Bus(), has_access_log=False), operation),
        "the log's line": log_line,
        "counts": count,
        "together": follow(RequestWatch(watched), operation),
        "logging, prometheus_client": build_peer(),
    }


def follow(watch: RequestWatch, operation: Operation) -> Callable[[], object]:
    """Return a function that begins and finishes a request, as the dispatch does."""

    def run() -> None:
        record = watch.begin(dict(ENVIRON))
        record.operation = operation
        watch.started(record)
        record.status = 200
        record.response_bytes = 2
        watch.finish(record)

    return run


def build_peer() -> Callable[[], object]:
    """Return a function that says the same of a request with what one finds on PyPI, the child series looked up."""
    log = logging.getLogger("peer")
    log.propagate = False
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    log.addHandler(handler)
    labels = ("method", "route", "operation_id", "status")
    histogram = Histogram("peer_duration_seconds", "Duration.", labels, buckets=BOUNDS_S)

    def run() -> None:
        dict(ENVIRON)
        extra = {"request_id": uuid4().hex, "user_id": None, "status": 200}
        log.info("%s %s %d %.1f ms", "GET", "/pets/12", 200, 1.0, extra=extra)
        histogram.labels("GET", "/pets/{id}", "getPet", "200").observe(0.001)

    return run


if __name__ == "__main__":
    if "--measure" in sys.argv:
        print(json.dumps(measure(int(sys.argv[1]))))  # noqa: T201
    else:
        main()
