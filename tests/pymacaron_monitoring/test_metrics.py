from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path

import pytest
from flask import Flask
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from pymacaron.events import ContractViolated, RequestFinished, RequestStarted, SectionTimed, StoreCalled
from pymacaron.exceptions import SpecError
from pymacaron.request_events import RequestWatch
from pymacaron.service import service_of
from pymacaron_monitoring import metrics
from pymacaron_monitoring.declared import BOUNDS_BYTES, BOUNDS_S
from pymacaron_monitoring.families import FAMILIES
from pymacaron_monitoring.page import count_lines
from pymacaron_monitoring.prometheus import Labels, Page, read_page
from pymacaron_monitoring.store import FOLDER_VARIABLE, store_of

MakeApp = Callable[..., Flask]
Finish = Callable[..., RequestFinished]
Tell = Callable[..., None]
MOST_S_PER_REQUEST = 5e-6


def fetch(app: Flask) -> str:
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    return answer.text


def fetch_requests(app: Flask) -> Page:
    return read_page(fetch(app))


def lines_of(app: Flask, metric: str) -> list[str]:
    return [line for line in fetch(app).splitlines() if line.startswith(metric)]


def count_store_lines(app: Flask) -> int:
    return sum(map(count_lines, store_of(app).read()))


def watched(app: Flask) -> Flask:
    metrics.init_app(app)
    return app


def test_declared_series_start_at_zero(make_app: MakeApp) -> None:
    """Every declared status, and 500, of every operation is there before the first request."""
    page = fetch_requests(watched(make_app()))
    assert set(page) == {
        Labels("GET", "/pets", "listPets", 200),
        Labels("GET", "/pets", "listPets", 500),
        Labels("GET", "/pets/{petId}", "getPet", 200),
        Labels("GET", "/pets/{petId}", "getPet", 404),
        Labels("GET", "/pets/{petId}", "getPet", 500),
        Labels("DELETE", "/pets/{petId}", "deletePet", 204),
        Labels("DELETE", "/pets/{petId}", "deletePet", 500),
        Labels("GET", "unmatched", "", 404),
    }
    assert {count for histogram in page.values() for count in histogram.values()} == {0}


def test_a_request_is_counted_by_operation_and_status(make_app: MakeApp, finish: Finish, tell: Tell) -> None:
    """A request is one more in the buckets that are wide enough, and its duration is in the sum."""
    app = watched(make_app())
    tell(app, finish(duration_s=0.004), finish(duration_s=0.21), finish(status=404, duration_s=20))
    page = fetch_requests(app)
    found = page[Labels("GET", "/pets/{petId}", "getPet", 200)]
    assert [found[bound] for bound in (0.0025, 0.005, 0.2, 0.25, inf)] == [0, 1, 1, 2, 2]
    lost = page[Labels("GET", "/pets/{petId}", "getPet", 404)]
    assert [lost[bound] for bound in (10, inf)] == [0, 1]
    labels = (
        'http_request_method="GET",http_response_status_code="404",http_route="/pets/{petId}",operation_id="getPet"'
    )
    assert f"http_server_request_duration_seconds_sum{{{labels}}} 20.0" in fetch(app)


def test_all_histograms_have_the_bounds_of_all_objectives(make_app: MakeApp) -> None:
    """The bounds are OpenTelemetry's, 1 and 2.5 ms and each bound of x-slo, the same for every operation."""
    bounds = {tuple(histogram) for histogram in fetch_requests(watched(make_app())).values()}
    assert bounds == {
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.25, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 7.5, 10, inf)
    }


@pytest.mark.parametrize(
    ("method", "label"),
    [pytest.param("GET", "GET", id="known"), pytest.param("BREW", "_OTHER", id="unknown")],
)
def test_unmatched_requests_are_one_series(
    make_app: MakeApp, finish: Finish, method: str, label: str, tell: Tell
) -> None:
    """Requests outside the documents never add a label value of the caller's choice."""
    app = watched(make_app())
    tell(app, *[finish(None, method=method, route=None, status=404) for _ in range(3)])
    assert fetch_requests(app)[Labels(label, "unmatched", "", 404)][inf] == 3


def test_invented_methods_take_no_memory(make_app: MakeApp, finish: Finish, tell: Tell) -> None:
    """A caller who makes up methods fills neither the page nor a cache."""
    app = watched(make_app())
    before = len(fetch(app).splitlines())
    for number in range(50):
        tell(app, RequestStarted("r1", f"X{number}", None, None))
        tell(app, finish(None, method=f"X{number}", route=None, status=405))
    added = len(fetch(app).splitlines()) - before
    bounds = len(BOUNDS_S) + 3  # three of x-slo
    assert added == bounds + 3 + 2  # infinity, sum and count; active and lost
    assert lines_of(app, "http_server_active_requests") == [
        'http_server_active_requests{http_request_method="DELETE"} 0.0',
        'http_server_active_requests{http_request_method="GET"} 0.0',
        'http_server_active_requests{http_request_method="_OTHER"} 0.0',
    ]


def test_answers_that_break_the_document_are_counted(make_app: MakeApp, tell: Tell) -> None:
    """Per operation and place, from zero."""
    app = watched(make_app())
    tell(app, ContractViolated("getPet", "response 200 /id", "is no integer", pointer="/id"))
    counts = lines_of(app, "contract_violations_total")
    assert [line for line in counts if "getPet" in line] == [
        'contract_violations_total{operation_id="getPet",place="status"} 0.0',
        'contract_violations_total{operation_id="getPet",place="body"} 1.0',
    ]
    assert 'contract_violations_total{operation_id="deletePet",place="status"} 0.0' in counts


def test_timed_sections_are_counted(make_app: MakeApp, tell: Tell) -> None:
    """A block under monitor() is timed by kind and method."""
    app = watched(make_app())
    tell(app, SectionTimed("db", "load", 0.25), SectionTimed("db", "load", 0.5))
    assert lines_of(app, "section_duration_seconds_sum") == [
        'section_duration_seconds_sum{kind="db",method="load"} 0.75'
    ]


def test_calls_of_the_store_are_counted(make_app: MakeApp, tell: Tell) -> None:
    """By store, table, call and outcome; what may come next stands at zero from the first call on."""
    app = watched(make_app())
    tell(app, *[StoreCalled("sqlite", "pets", "save", duration_s, "conflict") for duration_s in (0.25, 0.5)])
    tell(app, StoreCalled("sqlite", "", "transaction", 0.5, "ok"), StoreCalled("sqlite", "pets", "load", 0.5, "error"))
    found = {
        tuple(re.findall(r'(?:db_collection_name|db_operation_name|outcome)="([^"]*)"', line)): line.split()[-1]
        for line in lines_of(app, "db_client_operation_duration_seconds_sum")
    }
    assert found.pop(("pets", "save", "conflict")) == "0.75"
    assert (found.pop(("", "transaction", "ok")), found.pop(("pets", "load", "error"))) == ("0.5", "0.5")
    assert set(found.values()) == {"0.0"}
    assert found.keys() == {
        *[("pets", call, "ok") for call in ("load", "exists", "get_many", "query", "save", "create", "delete")],
        *[("pets", "load", "not found"), ("pets", "load", "unavailable"), ("pets", "save", "unavailable")],
        *[("", "transaction", "conflict"), ("", "transaction", "unavailable")],
    }


def test_new_label_values_are_bounded(
    make_app: MakeApp, finish: Finish, caplog: pytest.LogCaptureFixture, tell: Tell
) -> None:
    """Beyond the budget of lines, sections are counted together and statuses by their class; that is told once."""
    section = len(BOUNDS_S) + 3
    app = watched(make_app(metrics_series_budget=count_store_lines(watched(make_app())) + 2 * section))
    tell(app, *[SectionTimed("db", f"load {number}", 1) for number in range(5)])
    tell(app, *[finish(status=status) for status in (418, 422, 543)])
    assert [line.rpartition(" ")[2] for line in lines_of(app, "section_duration_seconds_count")] == [
        "1.0",
        "1.0",
        "3.0",
    ]
    page = fetch_requests(app)
    assert [page[Labels("GET", "/pets/{petId}", "getPet", status)][inf] for status in (400, 500)] == [2, 1]
    (told,) = caplog.records
    most = service_of(app).config.metrics_series_budget
    assert told.getMessage() == (
        f"section_duration_seconds has a new series, ('db', 'load 2'), but the {most} lines of "
        "metrics_series_budget are in use: such are counted as '_OTHER'"
    )


def test_openmetrics_is_spoken_where_it_is_asked_for(make_app: MakeApp, finish: Finish, tell: Tell) -> None:
    """The Accept header of a scraper decides between the two formats."""
    app = watched(make_app())
    tell(app, finish())
    answer = app.test_client().get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name for family in parse_openmetrics(answer.text)}  # type: ignore[no-untyped-call]
    assert families == {family.name.removesuffix("_total") for family in FAMILIES}
    plain = app.test_client().get("/metrics", headers={"Accept": "text/html"})
    assert plain.content_type.startswith("text/plain; version=")


def test_apps_in_one_process_count_apart(make_app: MakeApp, finish: Finish, tell: Tell) -> None:
    """Two services of one name in one process have pages of their own."""
    one, other = watched(make_app()), watched(make_app())
    tell(one, finish())
    counts = [fetch_requests(app)[Labels("GET", "/pets/{petId}", "getPet", 200)][inf] for app in (one, other)]
    assert counts == [1, 0]


def test_a_second_call_counts_nothing_twice(make_app: MakeApp, finish: Finish, tell: Tell) -> None:
    """Set up by hand and by the service, a request is still one request."""
    app = watched(watched(make_app()))
    tell(app, finish())
    assert fetch_requests(app)[Labels("GET", "/pets/{petId}", "getPet", 200)][inf] == 1


def test_senseless_objectives_stop_the_start(make_app: MakeApp, pets_text: str) -> None:
    """All of them, in all documents, are told together."""
    text = pets_text.replace("availability: 99,", "availability: 101,").replace("300ms", "300")
    with pytest.raises(SpecError) as refused:
        metrics.init_app(make_app(text))
    assert [finding.where for finding in refused.value.findings] == [
        "apis/pets.yaml:3#/x-slo/availability",
        "apis/pets.yaml:13#/paths/~1pets~1{petId}/get/x-slo/latency/p95",
    ]


def test_documents_that_are_not_served_are_not_judged(make_app: MakeApp, pets_text: str) -> None:
    """Objectives in the document of another service are that service's business."""
    app = make_app(pets_text.replace("availability: 99,", "availability: 101,"))
    service_of(app).operations.clear()
    assert "contract_violations_total" in fetch(watched(app))


def test_threads_lose_no_request(make_app: MakeApp) -> None:
    """Requests that sixteen threads answer at once are all counted, each with an id of its own."""
    app = watched(make_app())
    heard: list[RequestFinished] = []
    service_of(app).bus.subscribe(RequestFinished, heard.append)
    watch = RequestWatch(service_of(app).bus, has_access_log=False)
    operation = service_of(app).operations["getPet"]

    def answer(number: int) -> None:
        for _ in range(500):
            record = watch.begin({"REQUEST_METHOD": "GET", "PATH_INFO": f"/pets/{number}"})
            record.operation, record.status = operation, 200 if number % 2 else 404
            watch.finish(record)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(answer, range(16)))
    page = fetch_requests(app)
    assert [page[Labels("GET", "/pets/{petId}", "getPet", status)][inf] for status in (200, 404)] == [4000, 4000]
    assert len({event.request_id for event in heard}) == 8000


def test_promtool_finds_no_fault(make_app: MakeApp, finish: Finish, promtool: str, tell: Tell) -> None:
    """Prometheus' own linter accepts the page."""
    app = watched(make_app())
    tell(app, finish(), finish(None, route=None, status=404), SectionTimed("db", "load", 0.25))
    done = subprocess.run([promtool, "check", "metrics"], input=fetch(app), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


COST = """
import time, timeit
from flask import Flask
from pymacaron.config import PymConfig
from pymacaron.request_record import RequestRecord
from pymacaron.service import Service
from pymacaron_monitoring import init_app

app = Flask("svc")
service = app.extensions["pymacaron"] = Service(app=app, config=PymConfig())
init_app(app)
record = RequestRecord({"REQUEST_METHOD": "GET"})
record.status = 200
((begin, finish),) = service.bus.followers
runs = timeit.repeat(lambda: (begin(record), finish(record, 0.2)), timer=time.process_time, number=5000, repeat=20)
print(min(runs) / 5000)
"""


@pytest.mark.parametrize("is_shared", [pytest.param(False, id="in memory"), pytest.param(True, id="in a folder")])
def test_counting_costs_microseconds(tmp_path: Path, is_shared: bool) -> None:
    """A request costs at most 5 us of processor time, its begin and its end."""
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    environment = untraced | ({FOLDER_VARIABLE: str(tmp_path)} if is_shared else {})
    done = subprocess.run([sys.executable, "-c", COST], env=environment, capture_output=True, text=True, check=True)
    assert float(done.stdout) < MOST_S_PER_REQUEST


def test_a_request_is_active_until_it_ends(make_app: MakeApp, finish: Finish, tell: Tell) -> None:
    """What began and did not end yet is running, by method."""
    app = watched(make_app())
    tell(app, *[RequestStarted("r1", "GET", "/pets/{petId}", "getPet") for _ in range(3)], finish())
    assert 'http_server_active_requests{http_request_method="GET"} 2.0' in lines_of(app, "http_server_active")


def test_sizes_of_bodies_are_counted(make_app: MakeApp, finish: Finish, pets_text: str, tell: Tell) -> None:
    """Of answers everywhere, of requests where the document has a body."""
    body = "requestBody: {content: {application/json: {schema: {type: object}}}}"
    app = watched(make_app(pets_text.replace("operationId: deletePet", f"operationId: deletePet\n      {body}")))
    gone = finish("deletePet", method="DELETE", status=204)._replace(request_bytes=300, response_bytes=0)
    tell(app, gone, finish()._replace(response_bytes=5000))
    place = 'http_request_method="DELETE",http_route="/pets/{petId}",operation_id="deletePet"'
    assert lines_of(app, "http_server_request_body_size_bytes_sum") == [
        f"http_server_request_body_size_bytes_sum{{{place}}} 300.0"
    ]
    sums = [float(line.rpartition(" ")[2]) for line in lines_of(app, "http_server_response_body_size_bytes_sum")]
    assert sums == [0, 5000, 0]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 4095, 4096, 4097, 16777216, 16777217, 10**19])
def test_a_size_is_in_each_bucket_that_it_fits_into(make_app: MakeApp, finish: Finish, size: int, tell: Tell) -> None:
    """The bound of a bucket belongs to it."""
    app = watched(make_app())
    tell(app, finish()._replace(response_bytes=size))
    mine = [line for line in lines_of(app, "http_server_response_body_size_bytes_bucket") if '"getPet"' in line]
    found = {float(line.split('le="')[1].split('"')[0]): float(line.rpartition(" ")[2]) for line in mine}
    assert found == {bound: float(size <= bound) for bound in (*BOUNDS_BYTES, inf)}


def test_the_page_tells_what_runs_here(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version, revision and hash of the document; each process that counts, and what it takes of the machine."""
    monkeypatch.setenv("PYM_VERSION", "1.4.2")
    monkeypatch.setenv("PYM_REVISION", "abc")
    app = watched(make_app())
    sha256 = service_of(app).apis["pets"].sha256
    (build,) = lines_of(app, "build_info")
    assert build == f'build_info{{revision="abc",spec_sha256="{sha256}",version="1.4.2"}} 1.0'
    assert lines_of(app, "worker_") == ["worker_processes 1.0", "worker_starts_total 1.0"]
    memory = lines_of(app, 'process_resident_memory_bytes{worker="0"}')
    assert [float(line.rpartition(" ")[2]) > 1e7 for line in memory] == [True]
    lines = [line for line in fetch(app).splitlines() if not line.startswith("#")]
    assert lines_of(app, "metrics_series ") == [f"metrics_series {float(len(lines))}"]


def test_forks_count_for_themselves(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tell: Tell
) -> None:
    """Requests that a fork of a loaded app answers are on the page of its parent, as with a preloading server."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    app = watched(make_app())
    place = ("GET", "/pets/{petId}", "getPet")
    done = RequestFinished("r1", *place, status=200, duration_s=0.1, request_bytes=0, response_bytes=0)
    tell(app, RequestStarted("r1", *place), done)
    child = os.fork()
    if not child:
        tell(app, RequestStarted("r1", *place), RequestStarted("r2", *place), done)
        os._exit(0)
    os.waitpid(child, 0)
    tell(app, RequestStarted("r1", *place), done)
    assert fetch_requests(app)[Labels(*place, 200)][inf] == 3
    assert lines_of(app, "worker_") == ["worker_processes 1.0", "worker_starts_total 2.0"]
    assert 'http_server_requests_lost_total{http_request_method="GET"} 1.0' in lines_of(app, "http_server_requests")
