"""What a request costs in a service of many operations, compared with one of few.

Run it from the repository: ``python tests/benchmarks/routing.py [ROUNDS]``. Two services, of 10 and of 1,000
operations, half of them with a parameter in the path, live in this process; the same kinds of requests go to both
through WSGI, the services taking turns. It prints, for each kind, the median CPU time of a request in microseconds and
the ratio between the services.

Goal: no kind costs more than 1.2 times as much in the large service.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from pymacaron import API
from pymacaron.config import set_config

SIZES = (10, 1000)
REQUESTS = 400
KINDS = ("first static", "last static", "first template", "last template", "missing")


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as folder:
        apps = [build_app(Path(folder, str(size)), size) for size in SIZES]
        print(f"{'':16}{SIZES[0]:>10}{SIZES[1]:>10}{'ratio':>8}")  # noqa: T201
        for kind in KINDS:
            few, many = measure(apps, kind, rounds)
            print(f"{kind:16}{few * 1e6:>10.1f}{many * 1e6:>10.1f}{many / few:>8.3f}")  # noqa: T201


def build_app(folder: Path, size: int) -> Flask:
    """Write and load a service with *size* operations."""
    paths: dict[str, Any] = {}
    for index in range(size // 2):
        answers = {"200": {"description": "All.", "content": {"application/json": {"schema": {"type": "object"}}}}}
        paths[f"/things/kind{index}"] = {"get": {"operationId": f"static{index}", "responses": answers}}
        parameter = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
        operation = {"operationId": f"template{index}", "parameters": [parameter], "responses": answers}
        paths[f"/kind{index}/{{id}}/parts"] = {"get": operation}
    document = {"openapi": "3.1.0", "info": {"title": "Many", "version": "1"}, "paths": paths}
    (folder / "apis").mkdir(parents=True)
    (folder / "apis" / f"many{size}.json").write_text(json.dumps(document))
    module = f"handlers_{uuid4().hex}"
    names = [f"{kind}{index}" for kind in ("static", "template") for index in range(size // 2)]
    handlers = "".join(f"def {name}({'id' if name.startswith('t') else ''}):\n    return {{}}\n\n\n" for name in names)
    (folder / f"{module}.py").write_text(handlers)
    set_config(None)
    app = Flask(f"svc{size}", root_path=str(folder))
    API(app, handlers=module, debug=True).load_apis().start()
    return app


def measure(apps: list[Flask], kind: str, rounds: int) -> tuple[float, float]:
    """Return the CPU seconds of one request of that *kind* in each service, the median of the rounds."""
    found: list[list[float]] = [[] for _ in apps]
    for _ in range(rounds):
        for index, (app, size) in enumerate(zip(apps, SIZES, strict=True)):
            path, status = path_of(kind, size)
            environ = EnvironBuilder(path=path).get_environ()
            assert run_wsgi_app(app, dict(environ))[1].startswith(status)
            start = time.process_time()
            for _ in range(REQUESTS):
                run_wsgi_app(app, dict(environ), buffered=True)
            found[index].append((time.process_time() - start) / REQUESTS)
    few, many = (statistics.median(times) for times in found)
    return few, many


def path_of(kind: str, size: int) -> tuple[str, str]:
    """Return a path of that *kind*, and the status that it answers."""
    last = size // 2 - 1
    return {
        "first static": ("/things/kind0", "200"),
        "last static": (f"/things/kind{last}", "200"),
        "first template": ("/kind0/7/parts", "200"),
        "last template": (f"/kind{last}/7/parts", "200"),
        "missing": ("/things/none", "404"),
    }[kind]


if __name__ == "__main__":
    main()
