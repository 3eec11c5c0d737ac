"""Whether anybody waits for Sentry: how long requests take while it takes reports, is slow, answers 500, or is away.

Run it from the repository: ``python tests/benchmarks/reporting.py [ROUNDS]``, by default 10. A small service is started
once for each state of a Sentry that runs beside it, and once without any, each with one worker; where there are two
processors the services have one and everything else the other. Every tenth request fails, in one of 50 places, and
each kind of failure is reported once a second. The services take turns: two seconds each of 200 requests a second, sent
when their time has come, whatever became of those before. It prints the median and the 99th percentile of each, the
median of the rounds, in milliseconds, what the 99th percentile differs from the service without Sentry in the same
round, and what became of the errors.

Goal: that difference is below 1 ms.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "receivers"))

from fake_sentry import FakeSentry

GOAL_MS = 1.0
PLACES = 50
RATE = 200  # requests a second
CONNECTIONS = 4
DOCUMENT = """\
openapi: 3.1.0
info: {title: Shop, version: "1"}
paths:
  /orders/{number}:
    post:
      operationId: add_order
      parameters: [{name: number, in: path, required: true, schema: {type: integer}}]
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}
      responses: {"200": {description: Added., content: {application/json: {schema: {type: object}}}}}
components:
  schemas:
    Order: {type: object, properties: {item: {type: string}, code: {type: string, format: password}}}
"""
SERVER = f"""\
from pymacaron import create_app

places = {{}}
for place in range({PLACES}):
    exec(chr(10) * place + "def fail(body): raise RuntimeError(f'no {{body!r}}')", places)
    places[place] = places["fail"]

def add_order(body, number):
    if number % 10 == 0:
        places[number // 10 % {PLACES}](body)
    return {{"number": number}}

app = create_app(__name__, handlers=__name__)
"""
BODY = b'{"item": "tea", "code": "hunter2"}'
STATES = ("none", "well", "slow", "broken", "away")


def main(rounds: int = 10, seconds: float = 2.0) -> int:
    """Measure and print; return 0 if the goal is met."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {state: stack.enter_context(run_service(home, state)) for state in STATES}
        for port in ports.values():
            send(port, 0.5)  # to warm up
        found: dict[str, list[list[float]]] = {state: [] for state in STATES}
        for number in range(rounds):
            for state in STATES[number % len(STATES) :] + STATES[: number % len(STATES)]:
                found[state].append(send(ports[state], seconds))
        outcomes = {state: read_outcomes(port) for state, port in ports.items()}
    moved = {state: find_shift(found[state], found["none"]) for state in STATES}
    print(f"{'Sentry':10}{'p50 ms':>8}{'p99 ms':>8}{'moved':>8}   errors")  # noqa: T201
    for state, times in found.items():
        p50, p99 = (statistics.median(percentile(one, share) for one in times) for share in (0.5, 0.99))
        print(f"{state:10}{p50:>8.2f}{p99:>8.2f}{moved[state]:>+8.2f}   {outcomes[state]}")  # noqa: T201
    return int(max(moved.values()) >= GOAL_MS)


def find_shift(times: list[list[float]], others: list[list[float]]) -> float:
    """Return by how much the 99th percentile is higher, the median over the rounds."""
    pairs = zip(times, others, strict=True)
    return statistics.median(percentile(one, 0.99) - percentile(other, 0.99) for one, other in pairs)


def percentile(times: list[float], share: float) -> float:
    """Return the value that *share* of *times* do not exceed."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


@contextmanager
def run_service(home: Path, state: str) -> Iterator[int]:
    """Yield the port of a service beside a Sentry in that *state*."""
    sentry = FakeSentry(status=500 if state == "broken" else 200, delay_s=5.0 if state == "slow" else 0.0)
    if state == "away":
        sentry.stop()
    folder = home / state
    (folder / "apis").mkdir(parents=True)
    (folder / "apis" / "shop.yaml").write_text(DOCUMENT)
    (folder / "server.py").write_text(SERVER)
    dsn = "" if state == "none" else f"sentry_dsn: {sentry.dsn}\n"
    (folder / "pym-config.yaml").write_text(f"{dsn}error_report_interval: 1\nresponse_validation: observe\n")
    pinned = ["taskset", "-c", "1"] if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else []
    command = [*pinned, sys.executable, "-m", "pymacaron.cli", "run", "--port", "0", "--workers", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        match = re.search(r"http://[\d.]+:(\d+)", first)
        if match is None:
            raise RuntimeError(f"the service does not start: {first}{(folder / 'log').read_text()}")
        wait_for(int(match[1]))
        yield int(match[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()
        if state != "away":
            sentry.stop()


def wait_for(port: int) -> None:
    """Return as soon as the service answers."""
    end = time.monotonic() + 60
    while not get(port, "/ping"):
        if time.monotonic() > end:
            raise TimeoutError(f"nobody answers at port {port}")
        time.sleep(0.05)


def get(port: int, path: str) -> str:
    """Return what the service answers, nothing if it does not."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        try:
            connection.request("GET", path)
        except ConnectionError:
            return ""
        return connection.getresponse().read().decode()


def send(port: int, seconds: float) -> list[float]:
    """Send requests at `RATE` for so long; return how many milliseconds each took, from when it was due."""
    times: list[float] = []
    start = time.perf_counter() + 0.05
    total = int(RATE * seconds)

    def run(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for number in range(first, total, CONNECTIONS):
            due = start + number / RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.request("POST", f"/orders/{number}", BODY, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            times.append((time.perf_counter() - due) * 1000)
            if answer.status != (500 if number % 10 == 0 else 200):
                raise RuntimeError(f"order {number} is answered {answer.status}")
        connection.close()

    threads = [threading.Thread(target=run, args=(first,)) for first in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def read_outcomes(port: int) -> str:
    """Return what became of the errors at Sentry, as the service counts it."""
    counts = re.findall(r'errors_reported_total\{outcome="(\w+)",reporter="sentry"\} (\d+)', get(port, "/metrics"))
    return ", ".join(f"{count} {outcome}" for outcome, count in counts if count != "0") or "-"


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
