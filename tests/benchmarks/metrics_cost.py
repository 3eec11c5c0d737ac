"""What counting costs a request, and a scrape its page, beside what else counts for Flask.

Run it from the repository: ``python tests/benchmarks/metrics_cost.py [ROUNDS]``. Each kind of service is built twice,
with and without what counts, in processes that take turns within each round; all answer the same request, called as a
WSGI server calls them. It prints the CPU time that counting adds to a request, in microseconds: the difference of the
best rounds. The second row is what a service pays whose requests are spread over so many operations that each is the
first of its bucket within a second, and is kept as an example. With several workers, the processes of a kind share the
folder of their counts. Then it prints how long the page of 1,000 lines takes, 1 and 8 processes having counted, in
milliseconds.

Goals: at most 4 us a request alone and 5 us with several workers; less than 10 ms a page of 1,000 lines of 8 workers.
"""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from flask import Flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import NoOpTracerProvider
from prometheus_flask_exporter import PrometheusMetrics  # type: ignore[import-untyped]

from pymacaron import create_app
from pymacaron.config import PymConfig
from pymacaron.service import service_of
from pymacaron_monitoring import request_metrics
from pymacaron_monitoring.declared import BOUNDS_S, request_key
from pymacaron_monitoring.page import Page
from pymacaron_monitoring.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

REQUESTS = 200
KINDS = ("pymacaron", "pymacaron, an example each", "prometheus_flask_exporter", "opentelemetry")
GOALS_US = {"alone": 4, "several workers": 5}
LINES = 1000
ENVIRON: Mapping[str, Any] = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/pets/12",
    "QUERY_STRING": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "localhost",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.errors": sys.stderr,
}
DOCUMENT = """
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets/{number}:
    parameters: [{name: number, in: path, required: true, schema: {type: integer}}]
    get: {operationId: getPet, responses: {"200": {description: one}}}
"""


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{'us added to a request':32}{'alone':>10}{'several workers':>18}")  # noqa: T201
    found = {mode: measure_kinds(rounds, is_shared=mode != "alone") for mode in GOALS_US}
    for kind in KINDS:
        alone, several = (found[mode].get(kind, math.nan) for mode in GOALS_US)
        print(f"{kind:32}{alone:>10.1f}{several:>18.1f}")  # noqa: T201
    for workers in (1, 8):
        for is_openmetrics in (False, True):
            took_ms, kind = (
                measure_page(workers, is_openmetrics=is_openmetrics),
                "OpenMetrics" if is_openmetrics else "text",
            )
            print(f"page of {LINES} lines, {workers} workers, {kind}: {took_ms:.2f} ms")  # noqa: T201


def measure_kinds(rounds: int, *, is_shared: bool) -> dict[str, float]:
    """Return kind -> microseconds that counting adds to a request; OpenTelemetry cannot be shared by processes."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory()) if is_shared else None
        kinds = [kind for kind in KINDS if not is_shared or kind != "opentelemetry"]
        runners = {
            kind: [Runner(stack, kind, is_counting=is_counting, folder=folder) for is_counting in (False, True)]
            for kind in kinds
        }
        best = {(kind, is_counting): math.inf for kind in KINDS for is_counting in (False, True)}
        for _ in range(rounds):
            for kind in kinds:
                for is_counting, runner in enumerate(runners[kind]):
                    place = kind, bool(is_counting)
                    best[place] = min(best[place], runner.run())
        return {kind: best[kind, True] - best[kind, False] for kind in kinds}


class Runner:
    """A process with one service in it, which answers requests when it is told to."""

    def __init__(self, stack: ExitStack, kind: str, *, is_counting: bool, folder: str | None) -> None:
        """Start the process; it ends with *stack*."""
        command = [sys.executable, __file__, "--serve", kind, str(int(is_counting))]
        environment = {**os.environ, **({"PROMETHEUS_MULTIPROC_DIR": folder} if folder else {})}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        stack.callback(self._process.wait)
        stack.callback(self._stdin.close)

    @property
    def _stdin(self) -> IO[str]:
        assert self._process.stdin
        return self._process.stdin

    def run(self) -> float:
        """Return the CPU time of one request, in microseconds."""
        assert self._process.stdout
        self._stdin.write("go\n")
        self._stdin.flush()
        return float(self._process.stdout.readline())


def serve(kind: str, *, is_counting: bool) -> None:
    """Answer requests each time a line is read, and print what one took."""
    with tempfile.TemporaryDirectory() as folder:
        app = BUILDERS[kind](Path(folder), is_counting)
        call(app, 200)
        for _ in sys.stdin:
            start = time.process_time()
            call(app, REQUESTS)
            print((time.process_time() - start) / REQUESTS * 1e6, flush=True)  # noqa: T201


def call(app: WSGIApplication, times: int) -> None:
    """Call *app* as a WSGI server does, and read its answers."""
    statuses = set()

    def start(status: str, _headers: object, _exc_info: object = None) -> Callable[[bytes], object]:
        statuses.add(status)
        return print  # nobody writes so

    for _ in range(times):
        answer: Iterable[bytes] = app({**ENVIRON, "wsgi.input": io.BytesIO()}, start)
        for _piece in answer:
            pass
        close = getattr(answer, "close", None)
        if close:
            close()
    assert statuses == {"200 OK"}


def build_pymacaron(folder: Path, is_counting: bool) -> WSGIApplication:
    """Build a service; without what counts, nobody follows its requests."""
    (folder / "pets.yaml").write_text(DOCUMENT)
    module = types.ModuleType("handlers")
    vars(module)["get_pet"] = lambda number: {"id": number}
    sys.modules["handlers"] = module
    config = PymConfig(access_log=False, log_level="WARNING")
    app = create_app("handlers", apis=folder, handlers="handlers", config=config)
    if not is_counting:
        service_of(app).bus.followers.clear()
    return app


def build_with_examples(folder: Path, is_counting: bool) -> WSGIApplication:
    """Build the same, and let it keep the id of each request as an example."""
    vars(request_metrics)["EXEMPLAR_EVERY_S"] = 0.0
    return build_pymacaron(folder, is_counting)


def build_flask() -> Flask:
    """Build the same with Flask alone."""
    app = Flask(__name__)

    @app.get("/pets/<int:number>")
    def get_pet(number: int) -> dict[str, int]:
        return {"id": number}

    return app


def build_exporter(_folder: Path, is_counting: bool) -> WSGIApplication:
    """Build it with prometheus_flask_exporter, its labels bounded as ours are."""
    app = build_flask()
    if is_counting:
        PrometheusMetrics(app, group_by="url_rule", path=None)
    return app


def build_opentelemetry(_folder: Path, is_counting: bool) -> WSGIApplication:
    """Build it with OpenTelemetry's instrumentation of Flask: metrics alone, no spans."""
    app = build_flask()
    if is_counting:
        meters = MeterProvider([InMemoryMetricReader()])
        instrumentor: Any = FlaskInstrumentor()
        instrumentor.instrument_app(app, meter_provider=meters, tracer_provider=NoOpTracerProvider())
    return app


def measure_page(workers: int, *, is_openmetrics: bool) -> float:
    """Return the CPU time in milliseconds of a page of LINES lines when so many processes count, the best of 20."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for _ in range(workers - 1):
            command = [sys.executable, __file__, "--count", folder]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stack.enter_context(process)
            assert process.stdin
            assert process.stdout
            stack.callback(process.stdin.close)
            process.stdout.readline()
        page = Page(count_everything(Path(folder)), lambda _: ())
        lines = [line for line in page.write().splitlines() if not line.startswith("#")]
        assert LINES <= len(lines) < LINES * 1.1
        count = len(lines)
        (first,) = (line for line in lines if "_count" in line and 'operation_id="getPet0"' in line)
        assert first.endswith(f" {workers * 3.0!r}"), "not all are summed up"
        times = []
        for _ in range(20):
            start = time.process_time()
            page.write(is_openmetrics=is_openmetrics)
            times.append(time.process_time() - start)
        return min(times) * 1000 * LINES / count


def count_everything(folder: Path) -> Store:
    """Return a store in which LINES lines of requests have been counted, three requests each."""
    store = Store("app", folder)
    for number in range(-(-LINES // (len(BOUNDS_S) + 3))):
        labels = ("GET", f"/pets/{number}", f"getPet{number}", "200")
        series = store.get(request_key(labels, BOUNDS_S))
        for duration_s in (0.004, 0.2, 3):
            series.observe(duration_s)
    return store


def stand_by(folder: Path) -> None:
    """Count, and live until the input ends."""
    store = count_everything(folder)
    print("ready", flush=True)  # noqa: T201
    sys.stdin.read()
    del store


BUILDERS: Mapping[str, Callable[[Path, bool], WSGIApplication]] = {
    "pymacaron": build_pymacaron,
    "pymacaron, an example each": build_with_examples,
    "prometheus_flask_exporter": build_exporter,
    "opentelemetry": build_opentelemetry,
}

if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve(sys.argv[2], is_counting=sys.argv[3] == "1")
    elif "--count" in sys.argv:
        stand_by(Path(sys.argv[2]))
    else:
        main()
