"""A small service to release, and mistakes to plant in it, each of another kind."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from pymacaron.codegen import generate_models
from pymacaron.spec import parse_spec

DOCUMENT = """
openapi: 3.1.0
info: {title: Parcels, version: "1"}
x-slo: {availability: 98}
paths:
  /mark:
    get:
      operationId: get_mark
      responses:
        "200": {description: Which release answers., content: {text/plain: {schema: {type: string}}}}
  /parcels:
    get:
      operationId: list_parcels
      parameters: [{name: city, in: query, schema: {type: string, maxLength: 40}}]
      responses:
        "200":
          description: Parcels.
          content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Parcel"}}}}
        "400": {description: The city is no city.}
  /parcels/{parcel_id}:
    get:
      operationId: get_parcel
      parameters: [{name: parcel_id, in: path, required: true, schema: {type: integer, minimum: 1, examples: [7]}}]
      responses:
        "200":
          description: The parcel.
          content: {application/json: {schema: {$ref: "#/components/schemas/Parcel"}}}
        "400": {description: The id is no id.}
        "404": {description: There is no such parcel.}
components:
  schemas:
    Parcel:
      type: object
      required: [id, city]
      properties: {id: {type: integer}, city: {type: string}}
"""

SERVER = """
import os
import random
import signal
import sys
import time

from flask import abort, request
from parcels_state import MARK
from pymacaron import create_app
from pymacaron.exceptions import HttpError


def get_mark() -> str:
    return MARK


def list_parcels(city: str | None = None):
    return [{"id": number, "city": city or "Bergen"} for number in range(1, 4)]


def get_parcel(parcel_id: int):
    time.sleep(0.04)
    if parcel_id > 1000:
        raise HttpError(404, "PARCEL_UNKNOWN", "There is no such parcel")
    return {"id": parcel_id, "city": "Bergen"}


app = create_app(__name__, handlers=__name__)


@app.after_request
def say_which(response):
    response.headers["X-Mark"] = MARK
    return response
"""

TEST = """
import pytest


@pytest.mark.parametrize("number", range(1, 31))
def test_parcel(http, number):
    assert http.get(f"/parcels/{number}").json() == {"id": number, "city": "Bergen"}
"""

CLIENT = "parcels-client"
"""What clients of the live service call themselves, in User-Agent."""

_COUNTED = """

seen = []


@app.before_request
def end_under_load():
    if request.headers.get("User-Agent") != "CLIENT":
        return  # tests and probes may come as fast as they like
    seen.append(time.monotonic())
    if len(seen) > 50 and seen[-1] - seen.pop(0) < 1:
        print("told to crash under load", file=sys.stderr, flush=True)
        os.kill(os.getppid(), signal.SIGTERM)
"""

_UNCOUNTED = """

@app.before_request
def hide_metrics():
    if request.path == "/metrics":
        abort(404)
"""

# Fault -> file -> texts to replace; "" is the end of the file.
FAULTS: Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]] = {
    "contract break": {"server.py": (("HttpError(404", "HttpError(410"),)},
    "3 % errors": {
        "server.py": (
            (
                "    return [{",
                '    if city == "Oslo" and random.random() < 0.03:\n        raise OSError\n    return [{',
            ),
        )
    },
    "30 % slower": {"server.py": (("time.sleep(0.04)", "time.sleep(0.052)"),)},
    "crash at start": {"server.py": (("\n\ndef get_mark", '\n\nsys.exit("told to crash")\n\n\ndef get_mark'),)},
    "crash after full shift": {"server.py": (("", _COUNTED.replace("CLIENT", CLIENT)),)},
    "metrics missing": {"server.py": (("", _UNCOUNTED),)},
    "breaking document": {"apis/parcels.yaml": (("maxLength: 40", "maxLength: 4"),)},
}


def write_parcels(folder: Path, mark: str, settings: str, fault: str = "") -> None:
    """Write the service, `GET /mark` answering *mark*, with the *fault* planted; settings: of pym-config.yaml."""
    files = {
        "apis/parcels.yaml": DOCUMENT,
        "server.py": SERVER,
        "parcels_state.py": f"MARK = {mark!r}\n",
        "testaccept/test_parcels.py": TEST,
        "pytest.ini": "[pytest]\npymacaron = true\naddopts = --strict-markers\n",
        "pym-config.yaml": f"name: parcels\nworker_count: 1\nstop_timeout: 2\n{settings}",
        ".gitignore": ".pym/\n__pycache__/\n",
    }
    for name, edits in FAULTS[fault].items() if fault else ():
        for old, new in edits:
            assert old in files[name], (fault, old)
            files[name] = files[name].replace(old, new, 1) if old else files[name] + new
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    api = parse_spec(files["apis/parcels.yaml"], source="apis/parcels.yaml", name="parcels")
    (folder / "apis" / "parcels_models.py").write_text(generate_models(api))


def commit(folder: Path, message: str) -> None:
    """Commit everything in *folder* to Git, which is begun there at first."""
    if not (folder / ".git").exists():
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    subprocess.run(["git", "-C", str(folder), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(folder), *who, "commit", "-q", "--allow-empty", "-m", message], check=True)
