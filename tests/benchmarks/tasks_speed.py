"""Tasks a second, beside plain Celery with the same settings, and what a call costs: ``python …/tasks_speed.py``.

Both run on one Redis with as many processes. Plain Celery has kombu's own Redis transport and one function that does
what ours does; its tasks get one plain argument.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from task_lab import Lab, open_lab, run_redis

TASKS = 2000
ROUNDS = 2
PROCESSES = 2
PLAIN = """\
import os
from celery import Celery

app = Celery("plain", broker=os.environ["BROKER"])
app.conf.update(
    task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1, task_ignore_result=True,
    task_time_limit=600, task_soft_time_limit=540, worker_enable_remote_control=False, task_default_queue="plain",
    worker_hijack_root_logger=False,
)


@app.task
def record(number):
    file = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, b"x\\n")
    os.close(file)
"""
TIMED = """
import time
calls = []
for number in range({count}):
    before = time.perf_counter()
    {call}(number)
    calls.append(time.perf_counter() - before)
calls.sort()
print(calls[len(calls) // 2] * 1000, calls[len(calls) * 99 // 100] * 1000)
"""


def measure_ours(lab: Lab, count: int) -> tuple[float, float]:
    """Return tasks a second, and milliseconds of a call, the median."""
    lab.record.unlink(missing_ok=True)
    call_ms = float(lab.run(TIMED.format(count=count, call="handlers.record.queue")).split()[0])
    started = time.perf_counter()
    lab.start_worker(concurrency=PROCESSES)
    rate = _count(lab, count, started)
    lab.close()
    return rate, call_ms


def measure_plain(lab: Lab, broker: str, count: int) -> tuple[float, float]:
    """Return the same of plain Celery."""
    lab.record.unlink(missing_ok=True)
    (lab.folder / "plain.py").write_text(PLAIN)
    environment = {**lab.variables(), "BROKER": broker}
    code = "from plain import record\n" + TIMED.format(count=count, call="record.delay")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=lab.folder, env=environment, capture_output=True, text=True, check=True
    )
    started = time.perf_counter()
    command = [sys.executable, "-m", "celery", "-A", "plain", "worker", "-c", str(PROCESSES), "-l", "INFO"]
    command += ["--without-mingle", "--without-gossip", "--without-heartbeat", "-O", "fair"]
    with (lab.folder / "plain.log").open("wb") as log:
        worker = subprocess.Popen(
            command, cwd=lab.folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    rate = _count(lab, count, started)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    return rate, float(done.stdout.split()[0])


def _count(lab: Lab, count: int, started: float) -> float:
    """Return tasks a second from the first to the last that was run."""
    first = 0.0
    while True:
        done = lab.record.stat().st_size if lab.record.exists() else 0
        lines = lab.record.read_bytes().count(b"\n") if done else 0
        if lines and not first:
            first, already = time.perf_counter(), lines
        if lines >= count:
            return (count - already) / (time.perf_counter() - first)
        assert time.perf_counter() < started + 300, lab.read_logs()[-3000:]
        time.sleep(0.02)


def main() -> None:
    """Print the medians of alternating rounds."""
    ours, plain = [], []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        broker = stack.enter_context(run_redis(Path(folder) / "redis"))
        lab = stack.enter_context(open_lab(Path(folder) / "service", broker.url, "access_log: false\n"))
        for _ in range(ROUNDS):
            ours.append(measure_ours(lab, TASKS))
            plain.append(measure_plain(lab, broker.url, TASKS))
    for name, runs in (("pymacaron", ours), ("celery", plain)):
        rate, call = (statistics.median(values) for values in zip(*runs, strict=True))
        print(f"{name}: {rate:.0f} tasks/s, a call {call:.3f} ms; rounds {[round(run[0]) for run in runs]}", flush=True)  # noqa: T201
    ratios = [first[0] / second[0] for first, second in zip(ours, plain, strict=True)]
    print(f"ratio of each round {[round(ratio, 2) for ratio in ratios]}, median {statistics.median(ratios):.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
