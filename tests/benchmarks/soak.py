"""Whether a worker's memory grows: load for minutes, resident memory of each worker all along.

Run it from the repository: ``python tests/benchmarks/soak.py [SECONDS] [WORKERS]``, by default 600 and 2. wrk must be
installed. It starts a small service with ``pymacaron run``, keeps wrk at it with 16 connections (two
operations, one after the other), and prints the MB of each worker every 10 seconds, then each worker's
growth from the first minute (a tenth of the time, if that is less) to the end, and wrk's errors.

Goal: less than 5 %.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from pymacaron.serving.wear import find_resident_bytes

SERVER = "from pymacaron import create_app\n\napp = create_app(__name__, handlers='pets')\n"
HANDLERS = """\
def list_pets(limit=20):
    return [{"id": number, "name": f"pet {number}"} for number in range(limit)]

def create_pet(body):
    return {"id": 1, **body.model_dump()}, 201
"""
DOCUMENT = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets:
    get:
      operationId: list_pets
      parameters: [{name: limit, in: query, schema: {type: integer, default: 20}}]
      responses: {"200": {description: all, content: {application/json: {schema: {$ref: "#/components/schemas/Pets"}}}}}
    post:
      operationId: create_pet
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/NewPet"}}}}
      responses: {"201": {description: made, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
components:
  schemas:
    NewPet: {type: object, required: [name], properties: {name: {type: string}}}
    Pets: {type: array, items: {$ref: "#/components/schemas/Pet"}}
    Pet: {type: object, required: [id, name], properties: {id: {type: integer}, name: {type: string}}}
"""
SCRIPT = """\
local number = 0
request = function()
  number = number + 1
  if number % 2 == 0 then return wrk.format("GET", "/pets?limit=" .. number % 50) end
  local headers = {["Content-Type"] = "application/json"}
  return wrk.format("POST", "/pets", headers, '{"name": "pet ' .. number .. '"}')
end
"""
PACE_S = 10


def main(seconds: int = 600, workers: int = 2) -> int:
    """Run; return 0 if no worker grew by 5 % and no request failed."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        (folder / "apis").mkdir()
        (folder / "apis" / "pets.yaml").write_text(DOCUMENT)
        (folder / "server.py").write_text(SERVER)
        (folder / "pets.py").write_text(HANDLERS)
        (folder / "load.lua").write_text(SCRIPT)
        command = [sys.executable, "-m", "pymacaron.cli"]
        subprocess.run([*command, "generate"], cwd=folder, check=True, capture_output=True)
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(
                [*command, "run", "--port", "0", "--workers", str(workers)],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as service,
        ):
            try:
                assert service.stdout is not None
                return watch(service.stdout.readline().split()[3], service.pid, folder, seconds)
            finally:
                service.send_signal(signal.SIGTERM)


def watch(url: str, supervisor: int, folder: Path, seconds: int) -> int:
    """Put load on the service, and print what its workers hold."""
    wait_for(url)
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children")
    command = [shutil.which("wrk") or "wrk", "-t1", "-c16", "--timeout", "20", f"-d{seconds}", "-s", "load.lua", url]
    start = time.monotonic()
    first: dict[int, int] = {}
    sizes: dict[int, int] = {}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as wrk:
        while time.monotonic() - start < seconds - 1:
            time.sleep(min(PACE_S, max(0.1, start + seconds - 1 - time.monotonic())))
            passed = time.monotonic() - start
            sizes = {int(pid): find_resident_bytes(pid) for pid in children.read_text().split()}
            show(f"{passed:4.0f} s  " + "  ".join(f"{pid}: {size / 1e6:.2f} MB" for pid, size in sizes.items()))
            if not first and passed >= min(60, seconds / 10):
                first = sizes
        report = wrk.communicate()[0]
    growths = [sizes[pid] / size - 1 if pid in sizes else 1.0 for pid, size in first.items()]
    show(f"growth: {', '.join(f'{growth:+.1%}' for growth in growths)}\n{report}")
    return int(max(growths) >= 0.05 or bool(re.search("Socket errors|Non-2xx", report)))


def show(text: str) -> None:
    """Print now, also into a file."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def wait_for(url: str) -> None:
    """Wait until the service answers."""
    for _ in range(300):
        try:
            if requests.get(f"{url}/ping", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise TimeoutError(url)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
