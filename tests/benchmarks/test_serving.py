"""What the benchmark of serving makes of numbers; the numbers themselves need a machine that does nothing else."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from chart import draw
from operations import Call, find_fault, make_batch, make_calls, make_refused
from report import (
    ALL_OURS,
    OPERATIONS,
    OURS,
    PAGE,
    PLOT,
    RESULTS,
    fill,
    find_clock_rates,
    find_medians,
    find_rates,
    make_costs,
    make_promises,
    make_rates,
    make_report,
    make_scaling,
    make_tables,
)
from wrk import Load, parse, write_script

SAID = """\
Running 1s test @ http://127.0.0.1:8000/ping
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.31ms    2.12ms  40.00ms   95.00%
    Req/Sec    30.10k     1.50k   33.00k    70.00%
  Latency Distribution
     50%  850.00us
     75%    1.10ms
     90%    2.00ms
     99%    1.05s\x20
  30000 requests in 1.00s, 5.00MB read
Requests/sec:  29950.12
Transfer/sec:      5.00MB
"""


def make_samples(service: str, core_share: float, *rates: float) -> list[dict[str, object]]:
    """Return the samples of *service* that answers so many requests for a ping, in each round."""
    shares = {"ping": 1.0, "post": 0.5, "list": 0.25}
    samples: list[dict[str, object]] = []
    for number, rate in enumerate(rates):
        place = {"service": service, "round": number}
        for name, share in shares.items():
            samples.append(
                {
                    **place,
                    "operation": name,
                    "requests_per_s": rate * share,
                    "p50_ms": 1.0,
                    "p99_ms": 4.0 + number,
                    "core_share": core_share,
                }
            )
        samples.append({**place, "start_s": 1.0 + number, "worker_mb": 40.0, "service_mb": 50.0})
    return samples


FOUND = {
    "samples": [*make_samples("FastAPI on uvicorn", 0.5, 900, 1100, 1000), *make_samples(OURS, 1.0, 9000, 2000, 5000)],
    "scaling": [
        {"service": OURS, "round": 0, "scale": "operations", "size": size, "requests_per_s": 1000.0, "core_share": 0.5}
        for size in (10, 1000)
    ],
    "in_process": {
        "ping": {"bare, no JWT": 1.3, "Flask + pydantic": 39.0, "pymacaron": 14.0},
        "post": {"bare, no JWT": 50.0, "Flask + pydantic": 150.0, "pymacaron": 75.5},
    },
    "machine": {"date": "2026-01-31", "processor": "P", "cores": 2, "load": 0.1},
    "versions": {"FastAPI": {"python": "3.11.7", "fastapi": "1.0"}},
    "lenient": {"Old": ["no JSON"]},
    "missing": ["Older: there is no Python 1"],
    "rounds": 3,
    "seconds": 4,
}


def test_what_wrk_says_is_read() -> None:
    """Units become milliseconds; the percentiles are the 50th and the 99th."""
    assert parse(SAID) == Load(29950.12, 0.85, 1050.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(SAID + "  Non-2xx or 3xx responses: 7\n", "wrk: Non-2xx or 3xx responses: 7", id="errors"),
        pytest.param(
            "  Socket errors: connect 0, read 5, write 0, timeout 0\n" + SAID,
            "wrk: Socket errors: connect 0, read 5, write 0, timeout 0",
            id="lost",
        ),
        pytest.param(
            SAID.replace("29950.12", "0.00"), "wrk got no answer in time; give it more --seconds", id="no answer"
        ),
        pytest.param("unable to connect", "wrk said what this cannot read: unable to connect", id="nothing"),
    ],
)
def test_failures_under_load_are_no_numbers(text: str, message: str) -> None:
    """A service that fails is not fast."""
    with pytest.raises(RuntimeError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_a_script_sends_the_call() -> None:
    """Method, headers and body are wrk's."""
    call = Call("post", "POST", "/orders", (201,), None, (("X", "y"),), b"{}")
    lines = write_script(call, Path("/tmp/body")).splitlines()
    assert lines == [
        'wrk.method = "POST"',
        'wrk.headers["X"] = "y"',
        'wrk.body = io.open("/tmp/body", "rb"):read("*a")',
    ]
    assert write_script(replace(call, body=b""), Path("/tmp/body")).splitlines() == lines[:2]


def test_medians_of_the_rounds_count() -> None:
    """The median of the rounds, for a whole core; services are sorted by the protected POST."""
    assert find_rates(FOUND) == {
        OURS: {"ping": 5000, "post": 2500, "list": 1250},
        "FastAPI on uvicorn": {"ping": 2000, "post": 1000, "list": 500},
    }
    assert find_medians(make_samples("a", 1.0, 1, 2, 9), "operation")["ping",] == {
        "requests_per_s": 2,
        "p50_ms": 1.0,
        "p99_ms": 5.0,
        "core_share": 1.0,
    }


def test_the_table_tells_ratios() -> None:
    """Each peer's cell says how many times as many requests pymacaron answers."""
    assert make_rates(find_rates(FOUND)) == (
        "| requests per second | ping | protected POST | list of 20 |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| **pymacaron run** | 5,000 | 2,500 | 1,250 |\n"
        "| FastAPI on uvicorn | 2,000 (2.5x) | 1,000 (2.5x) | 500 (2.5x) |\n"
    )


def test_promises_are_kept_or_missed() -> None:
    """Only what was measured is judged."""
    assert make_promises(find_rates(FOUND), find_clock_rates(FOUND), FOUND["in_process"]) == (  # type: ignore[arg-type]
        "| promise | found | by the clock | on granian itself |  |\n"
        "| --- | ---: | ---: | ---: | ---: |\n"
        "| protected POST: 4.5x FastAPI on uvicorn, or more | 2.50x | 5.00x |  | missed |\n"
        "| list of 20: 1.5x FastAPI on uvicorn, or more | 2.50x | 5.00x |  | kept |\n"
        "| ping, in process: 15 µs over bare WSGI without JWT, or less | 12.7 µs |  |  | kept |\n"
        "| protected POST, in process: 20 µs over bare WSGI without JWT, or less | 25.5 µs |  |  | missed |\n"
    )


def test_costs_and_scaling_have_tables() -> None:
    """Latency, start and memory of each service; requests per second by size."""
    assert make_costs(FOUND).splitlines()[2] == (
        "| pymacaron run | 1.0 / 5.0 | 1.0 / 5.0 | 1.0 / 5.0 | 2.00 | 40 | 50 |"
    )
    assert make_scaling(FOUND, "operations", "operations").splitlines()[0::2] == [
        "| requests per second, operations | 10 | 1,000 |",
        "| pymacaron run | 2,000 | 2,000 |",
    ]
    assert make_scaling(FOUND, "body", "bytes") == ""


def test_the_report_tells_what_the_numbers_hide() -> None:
    """Versions, leniences and what could not be measured are told."""
    report = make_report(FOUND)
    assert "so much of their core: 50% to 100%, half of the times at least 75%" in report
    assert "2026-01-31, 2 cores of P, load 0.1 before; medians of 3 rounds of 4 s." in report
    assert "- FastAPI: python 3.11.7, fastapi 1.0\n" in report
    assert "- Old lets pass what the others refuse: no JSON\n- not measured: Older: there is no Python 1\n" in report


def test_the_plot_has_a_bar_for_each_number() -> None:
    """The longest bar of a panel fills it, the others are as long as their numbers are large."""
    text = draw(find_rates(FOUND), OPERATIONS, ALL_OURS)
    root = ET.fromstring(text)
    widths = [float(bar.get("width", "0")) for bar in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(widths) == 2 * len(OPERATIONS)
    assert widths[1] == pytest.approx(widths[0] / 2.5, abs=0.1)
    assert text.startswith("<!-- Generated by tests/benchmarks/serving.py; do not edit. -->\n")


def test_pages_get_their_tables() -> None:
    """What stands between the marks is replaced, everything else stays."""
    page = "A\n<!-- generated: rates -->\nold\n<!-- end -->\nB\n"
    filled = "A\n<!-- generated: rates -->\n\nnew\n\n<!-- end -->\nB\n"
    assert fill(page, {"rates": "new\n"}) == filled
    assert fill(filled, {"rates": "new\n"}) == filled


def test_docs_show_what_was_measured() -> None:
    """Tables and plot in docs/ are those of the committed numbers; ``serving.py --render`` makes them so."""
    found = json.loads(RESULTS.read_text())
    assert fill(PAGE.read_text(), make_tables(found)) == PAGE.read_text()
    assert draw(find_rates(found), OPERATIONS, ALL_OURS) == PLOT.read_text()


def test_answers_are_compared() -> None:
    """A wrong status or wrong JSON is a fault; times may be written in either way."""
    post = make_calls()["post"]
    good = json.dumps(post.answer).encode()
    assert find_fault(post, 201, good) is None
    assert find_fault(post, 201, good.replace(b"45Z", b"45+00:00")) is None
    assert find_fault(post, 500, good)
    assert find_fault(post, 201, good.replace(b"EUR", b"USD"))
    assert all(find_fault(call, 201, good) for call in make_refused())


@pytest.mark.parametrize("size", [100, 10_000, 1_000_000])
def test_batches_have_their_sizes(size: int) -> None:
    """A body is as large as asked for, give or take a few lines."""
    assert len(make_batch(size).body) == pytest.approx(size, abs=30 + size / 40)
