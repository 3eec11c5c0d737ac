"""The whole way in a minute: `pymacaron demo` writes a service, runs it, tests it and asks the gate for a verdict."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

import click
import requests

from pymacaron.exceptions import Finding, TargetError
from pymacaron.scaffold import write_service

NAME = "shop"
WORKERS = 2
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 15.0  # more than the server gives its workers
_START_ATTEMPTS = 3
_INTERRUPTED = 130
_SERVING = re.compile(r"Serving \S+ on (http://\S+)")
_SHOWN_METRICS = "http_server_request_duration_seconds_count"
_MAX_SHOWN_METRICS = 5
# The demo is its own little world: settings of the service or test run around it do not reach in.
_FOREIGN_SETTINGS = ("PYM_", "PYMACARON_", "PYTEST_", "PROMETHEUS_", "PORT")


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake to plant: in *file*, each text of *edits* is replaced by its partner."""

    summary: str
    file: str
    edits: tuple[tuple[str, str], ...]


FAULTS = {
    "latency": Fault(
        "three of ten lists of items take 0.4 s, the document promises that 95 of 100 take 0.3 s at most",
        f"{NAME}/handlers.py",
        (
            ("from pymacaron.", "import random\nimport time\n\nfrom pymacaron."),
            ("    return ItemPage(", "    if random.random() < 0.3:\n        time.sleep(0.4)\n    return ItemPage("),
        ),
    ),
    "contract": Fault(
        "an item that does not exist is answered with status 410, the document promises 404",
        f"{NAME}/handlers.py",
        (("    status = 404", "    status = 410"),),
    ),
}


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that answers. process: the leader of its own process group."""

    url: str
    process: subprocess.Popen[bytes]


@click.command()
@click.option("--keep", "is_kept", is_flag=True, help="Leave the service running, and its folder in place.")
@click.option("--break", "fault_name", type=click.Choice(sorted(FAULTS)), help="Plant a fault; the gate must see it.")
def demo(*, is_kept: bool, fault_name: str | None) -> None:
    """Write a service, run it, test it, and let the gate judge it. The exit code is the gate's."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(run_demo(is_kept=is_kept, fault=FAULTS[fault_name] if fault_name else None))
    except KeyboardInterrupt:
        click.echo("\nInterrupted; the service is stopped and its folder removed.", err=True)
        sys.exit(_INTERRUPTED)


def run_demo(*, is_kept: bool, fault: Fault | None) -> int:
    """Go the whole way and return the gate's exit code: 0 pass, 1 fail, 2 undecided.

    Raises: TargetError: the service does not start.
    """
    home = Path(tempfile.mkdtemp(prefix="pymacaron-demo-"))
    folder = home / NAME
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        files = write_service(NAME, folder)
        _say(f"A service of {len(files)} files", f"{folder}")
        if fault:
            _say(f"A planted fault: {fault.summary}", *plant(fault, folder))
        service = start_service(folder, home / "server.log", stack)
        _say(f"Serving with {WORKERS} workers", f"docs     {service.url}/doc", f"metrics  {service.url}/metrics")
        _say("Testing: the document as a contract, then the service's own tests")
        _run_python(stack, folder, "pytest", "--no-header", "--pymacaron-target", service.url)
        _say("What was counted, summed over the workers", *_sample_metrics(service.url))
        _say("The verdict of the gate")
        gate = ("pymacaron.cli", "gate", "--target", service.url, "--report", "pymacaron-report.json")
        verdict = _run_python(stack, folder, *gate)
        if is_kept:
            stack.pop_all()
            _say(f"Still running at {service.url}", f"folder   {folder}", f"stop it  kill {service.process.pid}")
    return verdict


def plant(fault: Fault, folder: Path) -> list[str]:
    """Edit the fault into the service in *folder* and return the lines that changed, as ``-old`` and ``+new``."""
    file = folder / fault.file
    before = after = file.read_text(encoding="utf-8")
    for old, new in fault.edits:
        if old not in after:
            raise ValueError(f"{fault.file} holds no {old!r} to put the fault in")
        after = after.replace(old, new, 1)
    file.write_text(after, encoding="utf-8")
    changes = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return [fault.file, *(line for line in changes if not line.startswith(("---", "+++", "@@")))]


def start_service(folder: Path, log: Path, stack: contextlib.ExitStack) -> RunningService:
    """Start the service in *folder* on a free port and return it once it answers; closing *stack* stops it.

    Another program may take the port in the moment before the service does; then it is started again on another.
    log: file for its output. Raises: TargetError: it does not answer.
    """
    for _ in range(_START_ATTEMPTS):
        with log.open("wb") as output:
            command = ("pymacaron.cli", "run", "--port", "0", "--workers", str(WORKERS))
            process = _spawn(stack, folder, *command, output=output)
        url = _wait_until_ready(process, log)
        if url:
            return RunningService(url, process)
        _stop_group(process)
    tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-10:]
    found = "the service does not start: " + "\n  ".join(tail)
    raise TargetError(Finding(str(folder), found, "Correct what it says and try again"))


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> str | None:
    """Return the service's URL once it answers, None if it ended or was not ready in time."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    with _direct_session() as http:
        while time.monotonic() < deadline and process.poll() is None:
            found = _SERVING.search(log.read_text(encoding="utf-8", errors="replace"))
            if found:
                with contextlib.suppress(requests.RequestException, ValueError, AttributeError):
                    if http.get(f"{found[1]}/version", timeout=2).json().get("name") == NAME:
                        return found[1]
            time.sleep(0.05)
    return None


def _run_python(stack: contextlib.ExitStack, folder: Path, module: str, *arguments: str) -> int:
    """Run ``python -m module`` in *folder*, its output shown as it comes, and return its exit code."""
    sys.stdout.flush()
    return _spawn(stack, folder, module, *arguments).wait()


def _spawn(
    stack: contextlib.ExitStack, folder: Path, module: str, *arguments: str, output: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start ``python -m module`` in *folder*; closing *stack* stops it and all that it started."""
    with _uninterrupted():
        process = subprocess.Popen(  # noqa: S603 - our own commands
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=True,  # a group of its own; Ctrl-C reaches only us
        )
        stack.callback(_stop_group, process)
    return process


def _stop_group(process: subprocess.Popen[bytes]) -> None:
    """Stop *process* and its workers; nothing happens if it ended."""
    for stop in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_TIMEOUT_S)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the block has ended, so that no process is started that nobody would stop."""
    signals = (signal.SIGINT, signal.SIGTERM)
    pending: list[int] = []
    handlers = [signal.signal(one, lambda number, _: pending.append(number)) for one in signals]
    try:
        yield
    finally:
        for one, handler in zip(signals, handlers, strict=True):
            signal.signal(one, handler)
    if pending:
        raise KeyboardInterrupt


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN_SETTINGS)}
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def _sample_metrics(url: str) -> list[str]:
    with _direct_session() as http:
        lines = http.get(f"{url}/metrics", timeout=10).text.splitlines()
    counts = [line for line in lines if line.startswith(_SHOWN_METRICS) and not line.endswith(" 0.0")]
    hidden = len(counts) - _MAX_SHOWN_METRICS
    return counts[:_MAX_SHOWN_METRICS] + ([f"… and {hidden} more"] if hidden > 0 else [])


@contextlib.contextmanager
def _direct_session() -> Iterator[requests.Session]:
    """Give a session that ignores the proxies of the environment."""
    with requests.Session() as http:
        http.trust_env = False
        yield http


def _say(title: str, *lines: str) -> None:
    click.secho(f"\n{title}", bold=True)
    for line in lines:
        click.echo(f"  {line}")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
