"""How long a service with a large document takes to its first answer, and how much memory.

Run it from the repository: ``python tests/benchmarks/startup.py [DOCUMENT] [ROUNDS]``. The document is by default
Twilio's, 1.9 MB with 197 operations, from ``../shared/specs``; its models are written before the clock starts. Each
round starts ``pymacaron run`` with one worker and asks until an operation answers. It prints, as medians:

- wall: seconds from the start of the process to the first answer, which other load on the machine makes longer;
- cpu: seconds of user and system time of its processes until then;
- peak: MB of memory, the most that one of its processes ever held;
- bare: the same of a service with a document of one operation, and the ratios.

Goal: 3 s and 250 MB on an idle machine of two cores.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from pymacaron.codegen import write_models
from pymacaron.spec import load_spec

TWILIO = Path(__file__).parents[2].parent / "shared" / "specs" / "twilio" / "api_v2010.json"
STUBS = """\
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *args, **keywords: None
"""
SERVER = """\
from pymacaron import create_app


def resolve(request, scopes):
    return "alice"


app = create_app(__name__, handlers="stubs", security_resolvers=dict.fromkeys({schemes}, resolve))
"""
CONFIG = """\
jwt_secret: 0123456789abcdef0123456789abcdef
jwt_issuer: me.test
jwt_audience: all
"""
BARE = {
    "openapi": "3.1.0",
    "info": {"title": "Bare", "version": "1"},
    "paths": {"/a": {"get": {"operationId": "a", "responses": {"200": {"description": "All."}}}}},
}
TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Measure:
    """One start: seconds of wall and CPU time, MB of memory."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def main() -> None:
    """Measure and print."""
    document = Path(sys.argv[1]) if len(sys.argv) > 1 else TWILIO
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as name:
        bare = Path(name, "bare.json")
        bare.write_text(json.dumps(BARE))
        folders = [write_service(Path(name, file.stem), file) for file in (document, bare)]
        results = [[measure_start(*folder) for folder in folders] for _ in range(rounds)]
    large, small = (summarize([pair[index] for pair in results]) for index in (0, 1))
    print(f"{'':6}{document.stem:>14}{'bare':>10}{'ratio':>8}")  # noqa: T201
    for unit in ("wall_s", "cpu_s", "peak_mb"):
        one, other = getattr(large, unit), getattr(small, unit)
        print(f"{unit:<8}{one:>12.2f}{other:>10.2f}{one / other:>8.2f}")  # noqa: T201


def write_service(folder: Path, document: Path) -> tuple[Path, str]:
    """Write a service whose handlers do nothing. Returns its folder, and a path that some operation answers."""
    (folder / "apis").mkdir(parents=True)
    copy = folder / "apis" / document.name
    shutil.copyfile(document, copy)
    api = load_spec(copy)
    write_models(api, copy.with_name(f"{api.name}_models.py"))
    for name, text in (
        ("stubs.py", STUBS),
        ("server.py", SERVER.format(schemes=list(api.security_schemes))),
        ("pym-config.yaml", CONFIG),
    ):
        (folder / name).write_text(text)
    operation = next(operation for operation in api.operations if operation.method == "GET")
    return folder, operation.path.replace("{", "").replace("}", "")


def measure_start(folder: Path, path: str) -> Measure:
    """Start the service, wait for its first answer, and stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pymacaron.cli", "run", "--folder", str(folder), "--port", str(port), "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_answer(f"http://127.0.0.1:{port}{path}", process, start + TIMEOUT_S)
        wall_s = time.perf_counter() - start
        processes = list(find_family(process.pid))
        return Measure(wall_s, sum(map(read_cpu_s, processes)), max(map(read_peak_mb, processes)))
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)


def wait_for_answer(url: str, process: subprocess.Popen[bytes], deadline: float) -> None:
    """Ask every 20 ms. Raises RuntimeError if the service ends, or says nothing in time."""
    with requests.Session() as http:
        http.trust_env = False
        while time.perf_counter() < deadline and process.poll() is None:
            try:
                answer = http.get(url, timeout=TIMEOUT_S)
            except requests.ConnectionError:
                time.sleep(0.02)
                continue
            if answer.status_code < 500:
                return
            raise RuntimeError(f"{url} answered {answer.status_code}: {answer.text[:500]}")
    raise RuntimeError(f"{url} never answered")


def find_family(pid: int) -> Iterator[int]:
    """Yield the process and all those that it started."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from find_family(int(child))


def read_cpu_s(pid: int) -> float:
    """Return the user and system time of a process so far, and of those that it started and that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def read_peak_mb(pid: int) -> float:
    """Return the most memory that a process ever held."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def summarize(measures: list[Measure]) -> Measure:
    """Return the medians."""
    return Measure(
        statistics.median(one.wall_s for one in measures),
        statistics.median(one.cpu_s for one in measures),
        max(one.peak_mb for one in measures),
    )


if __name__ == "__main__":
    main()
