from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from pymacaron_monitoring.families import BUILD, FAMILIES, QUEUE_LENGTH, REQUEST_BYTES, SECTIONS
from pymacaron_monitoring.page import Page, Sample, count_lines
from pymacaron_monitoring.records import Key
from pymacaron_monitoring.store import Store

BOUNDS = (256.0, 1048576.0, 16777216.0)
AWKWARD = ("GET", '/a"b\\c\nd/ü', "x")


def make_store(folder: Path | None = None) -> Store:
    """Count two bodies of one operation, one of 12 bytes and one of 17 MB."""
    store = Store("app", folder)
    sizes = store.histogram(REQUEST_BYTES.name, AWKWARD, BOUNDS)
    for size in (12, 17_000_000):
        sizes.observe(size)
    return store


def cut(page: str) -> list[str]:
    return sorted(line for line in page.splitlines() if line.startswith(REQUEST_BYTES.name))


@pytest.mark.parametrize("is_openmetrics", [pytest.param(False, id="text"), pytest.param(True, id="OpenMetrics")])
def test_the_page_is_what_prometheus_client_writes(is_openmetrics: bool) -> None:
    """The same counts, shown by the library, are the same lines, whatever stands in labels."""
    registry = CollectorRegistry()
    peer = Histogram(
        REQUEST_BYTES.name, "text", REQUEST_BYTES.labels, buckets=BOUNDS, registry=registry, unit=""
    ).labels(*AWKWARD)
    for size in (12, 17_000_000):
        peer.observe(size)
    expected = generate_openmetrics(registry) if is_openmetrics else generate_latest(registry)  # type: ignore[no-untyped-call]
    ours = Page(make_store(), lambda _: ()).write(is_openmetrics=is_openmetrics)
    theirs = [line for line in cut(expected.decode()) if "_created" not in line]
    assert [line.rpartition(" ")[0] for line in cut(ours)] == [line.rpartition(" ")[0] for line in theirs]
    values = [[float(line.rpartition(" ")[2]) for line in lines] for lines in (cut(ours), theirs)]
    assert values[0] == values[1]


def test_all_families_are_told_of() -> None:
    """Name, kind and text of each metric stand on the page, series or not, in both formats."""
    for is_openmetrics, parse in ((False, parse_text), (True, parse_openmetrics)):
        page = Page(Store("app"), lambda _: ()).write(is_openmetrics=is_openmetrics)
        found = [(family.name, family.type, family.documentation) for family in parse(page)]
        assert found == [(family.name.removesuffix("_total"), family.kind, family.text) for family in FAMILIES]


def test_examples_stand_at_their_buckets(tmp_path: Path) -> None:
    """OpenMetrics shows the request id of the newest request of a bucket, the text format does not know how."""
    store = make_store(tmp_path)
    store.histogram(REQUEST_BYTES.name, AWKWARD, BOUNDS).note_example(3, 17_000_000, "r-1")
    page = Page(store, lambda _: ())
    (family,) = (one for one in parse_openmetrics(page.write(is_openmetrics=True)) if one.name == REQUEST_BYTES.name)  # type: ignore[no-untyped-call]
    shown = {sample.labels.get("le"): sample.exemplar for sample in family.samples if sample.exemplar}
    assert {bound: (one.labels, one.value) for bound, one in shown.items()} == {"+Inf": ({"request_id": "r-1"}, 17e6)}
    assert "r-1" not in page.write()


def test_samples_are_found_when_the_page_is_read() -> None:
    """Who finds them out is told how many lines the rest has."""
    told: list[int] = []

    def find(lines: int) -> list[Sample]:
        told.append(lines)
        return [Sample(BUILD, ("1.4.2", "abc", "def"), 1)]

    page = Page(make_store(), find).write()
    assert told == [count_lines(Key(REQUEST_BYTES.name, AWKWARD, BOUNDS, "histogram"))]
    assert 'build_info{revision="abc",spec_sha256="def",version="1.4.2"} 1.0' in page


def test_what_nobody_measures_any_more_has_no_line() -> None:
    """A queue whose length was never known, or not for a minute, is not shown as one of an old length, or empty."""
    store = Store("app")
    page = Page(store, lambda _: ())
    series = store.latest(QUEUE_LENGTH.name, ("mails",))
    line = f'{QUEUE_LENGTH.name}{{queue="mails"}} 0.0'
    assert line not in page.write().splitlines()
    series.measure(0)
    assert line in page.write().splitlines()
    series.values[1] -= 61
    assert line not in page.write().splitlines()


def test_promtool_finds_nothing_wrong(promtool: str) -> None:
    """Prometheus' own linter reads the page and has nothing to say, also where labels are not even Unicode."""
    store = make_store()
    store.histogram(SECTIONS.name, ("file", os.fsdecode(b"no-utf-8-\x80")), BOUNDS)
    page = Page(store, lambda _: [Sample(BUILD, ("1", "", ""), 1)]).write()
    assert r'method="no-utf-8-\\udc80"' in page
    done = subprocess.run([promtool, "check", "metrics"], input=page.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
