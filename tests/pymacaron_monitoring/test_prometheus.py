from __future__ import annotations

from math import inf

import pytest

from pymacaron_monitoring.prometheus import Labels, Page, read_page, select_requests, subtract_pages

GET = Labels("GET", "/pets/{id}", "getPet", 200)
FAILED = Labels("GET", "/pets/{id}", "getPet", 500)
TEXT = """\
# HELP http_server_request_duration_seconds Duration.
# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{http_request_method="GET",http_route="/pets/{id}",operation_id="getPet",http_response_status_code="200",le="0.2"} 3.0
http_server_request_duration_seconds_bucket{http_request_method="GET",http_route="/pets/{id}",operation_id="getPet",http_response_status_code="200",le="+Inf"} 4.0
http_server_request_duration_seconds_count{http_request_method="GET",http_route="/pets/{id}",operation_id="getPet",http_response_status_code="200"} 4.0
http_server_request_duration_seconds_sum{http_request_method="GET",http_route="/pets/{id}",operation_id="getPet",http_response_status_code="200"} 1.5
# TYPE jobs_total counter
jobs_total{name="a"} 5.0
"""  # noqa: E501 - lines as they are served


def test_a_page_is_read() -> None:
    """Request histograms are read, other metrics skipped."""
    assert read_page(TEXT) == {GET: {0.2: 3.0, inf: 4.0}}


def test_a_page_of_another_library_is_read() -> None:
    """Without operation_id the route says which requests are counted."""
    text = TEXT.replace('operation_id="getPet",', "")
    assert read_page(text) == {Labels("GET", "/pets/{id}", "", 200): {0.2: 3.0, inf: 4.0}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("<html></html>", "invalid metric name:<html></html>", id="no metrics"),
        pytest.param(
            TEXT.replace('"200"', '"OK"'),
            "http_server_request_duration_seconds has http_response_status_code='OK', which is no HTTP status",
            id="no status",
        ),
        pytest.param(
            TEXT.replace("+Inf", "7"),
            "http_server_request_duration_seconds of GET /pets/{id} has no bucket le=+Inf",
            id="no last bucket",
        ),
    ],
)
def test_no_page(text: str, message: str) -> None:
    """What is no page of metrics is refused with the reason."""
    with pytest.raises(ValueError, match="^" + message.replace("+", r"\+").replace("{", r"\{") + "$"):
        read_page(text)


@pytest.mark.parametrize(
    ("before", "after", "counts", "restarted"),
    [
        pytest.param({GET: {0.2: 1, inf: 2}}, {GET: {0.2: 3, inf: 5}}, {GET: {0.2: 2, inf: 3}}, (), id="more"),
        pytest.param({}, {GET: {0.2: 3, inf: 5}}, {GET: {0.2: 3, inf: 5}}, (), id="born between"),
        pytest.param({GET: {inf: 5}}, {GET: {inf: 2}}, {GET: {inf: -3}}, (GET,), id="went backwards"),
        pytest.param(
            {GET: {0.2: 5, inf: 5}}, {GET: {0.2: 2, inf: 5}}, {GET: {0.2: -3, inf: 0}}, (GET,), id="one bucket"
        ),
        pytest.param({GET: {inf: 5}}, {}, {}, (GET,), id="gone"),
        pytest.param({GET: {inf: 0}}, {}, {}, (), id="gone from zero"),
    ],
)
def test_difference(before: Page, after: Page, counts: Page, restarted: tuple[Labels, ...]) -> None:
    """What was counted between two pages; a counter that went backwards tells of a restart."""
    difference = subtract_pages(before, after)
    assert (difference.counts, difference.restarted) == (counts, restarted)


def test_selected_requests_are_added_up() -> None:
    """Series of several statuses become one set of requests; a bound that one of them lacks is left out."""
    other = Labels("POST", "/pets", "createPet", 201)
    page = {GET: {0.1: 1.0, 0.2: 3.0, inf: 4.0}, FAILED: {0.2: 1.0, inf: 2.0}, other: {inf: 9.0}}
    requests = select_requests(page, lambda labels: labels.operation_id == "getPet")
    assert requests.by_status == {200: 4, 500: 2}
    assert (requests.total, requests.server_errors) == (6, 2)
    assert requests.histogram == {0.2: 4.0, inf: 6.0}
    assert [requests.count_slower(bound_s) for bound_s in (0.2, inf, 0.1)] == [2, 0, None]


def test_nothing_selected_is_no_request() -> None:
    """An operation that was never called has no requests."""
    requests = select_requests({GET: {inf: 4.0}}, lambda _: False)
    assert (requests.total, requests.server_errors, requests.histogram) == (0, 0, {})
