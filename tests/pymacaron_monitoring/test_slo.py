from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from pymacaron.exceptions import Finding, SpecError
from pymacaron.spec import Api
from pymacaron_monitoring.slo import Latency, Slo, parse_duration, read_objectives

MakeApi = Callable[[str], Api]
DOCUMENT = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
x-slo: %s
paths:
  /pets:
    get:
      operationId: listPets
      x-slo: %s
      responses: {"200": {description: all}}
"""


def test_an_operation_goes_before_its_document(read_api: MakeApi, pets_text: str) -> None:
    """What an operation declares replaces its like in the document's objectives, key by key."""
    objectives = read_objectives(read_api(pets_text))
    p95 = Latency(Decimal(95), 0.2)
    assert objectives.service == Slo(Decimal(99), (p95,))
    assert objectives.operations == {
        "listPets": Slo(Decimal(99), (p95,)),
        "getPet": Slo(Decimal(99), (Latency(Decimal(95), 0.3), Latency(Decimal(99), 1.5))),
        "deletePet": Slo(Decimal(90), (p95,)),
    }
    assert objectives.own_availability == {"deletePet"}
    assert objectives.bounds_s == {0.2, 0.3, 1.5}
    assert not objectives.is_empty


def test_a_document_without_objectives(read_api: MakeApi) -> None:
    """Nothing declared is nothing to keep to."""
    objectives = read_objectives(read_api(DOCUMENT % ("{}", "{}")))
    assert objectives.is_empty
    assert objectives.bounds_s == set()


def test_a_percentile_knows_what_it_allows() -> None:
    """p99.9 lets one request in a thousand be slower."""
    latency = Latency(Decimal("99.9"), 1.0)
    assert (latency.name, latency.allowed_share) == ("p99.9", 0.001)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("200ms", 0.2, id="milliseconds"),
        pytest.param("1.5s", 1.5, id="seconds"),
        pytest.param("300 ms", 0.3, id="with a space"),
        pytest.param("0.5ms", 0.0005, id="half a millisecond"),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """A number and its unit, without rounding."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["0.2", "200 parsecs", "-1s", "0ms", "1m", "", "ms", "1e3s", 0.2, 200, None, ["1s"]])
def test_no_durations(text: object) -> None:
    """A number without unit is refused: nobody knows what was meant."""
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


PERCENT = "Write percent, at least 50 and below 100, such as 99.9"
PERCENTILE = "Write p95, p99 or p99.9"
GROWING = "Declare bounds that grow with the percentile"
SERVICE = "apis/pets.yaml:3#/x-slo"
OPERATION = "apis/pets.yaml:8#/paths/~1pets/get/x-slo"


@pytest.mark.parametrize(
    ("service", "operation", "findings"),
    [
        pytest.param(
            "{availability: 101}",
            "{}",
            [Finding(f"{SERVICE}/availability", "101 is no availability", PERCENT)],
            id="more than all",
        ),
        pytest.param(
            "{}",
            "{availability: 0.999}",
            [Finding(f"{OPERATION}/availability", "0.999 is no availability", PERCENT)],
            id="share instead of percent",
        ),
        pytest.param(
            "{availability: true}",
            "{}",
            [Finding(f"{SERVICE}/availability", "True is no availability", PERCENT)],
            id="no number",
        ),
        pytest.param(
            "{latency: {p95: 200 parsecs}}",
            "{}",
            [
                Finding(
                    f"{SERVICE}/latency/p95",
                    "'200 parsecs' is no duration",
                    "Write it with its unit, ms or s: 200ms, 1.5s",
                )
            ],
            id="unknown unit",
        ),
        pytest.param(
            "{latency: {p100: 1s, median: 1s, p0: 1s}}",
            "{}",
            [
                Finding(f"{SERVICE}/latency/p100", "'p100' is no percentile", PERCENTILE),
                Finding(f"{SERVICE}/latency/median", "'median' is no percentile", PERCENTILE),
                Finding(f"{SERVICE}/latency/p0", "'p0' is no percentile", PERCENTILE),
            ],
            id="no percentile",
        ),
        pytest.param(
            "{latency: 200ms}",
            "{}",
            [Finding(f"{SERVICE}/latency", "'200ms' has no percentiles", "Write {p95: 200ms}")],
            id="latency without percentile",
        ),
        pytest.param(
            "{uptime: 99}",
            "fast",
            [
                Finding(f"{SERVICE}/uptime", "'uptime' is no objective", "Use availability and latency only"),
                Finding(OPERATION, "'fast' is no objective", "Write {availability: 99.9, latency: {p95: 200ms}}"),
            ],
            id="all findings at once",
        ),
        pytest.param(
            "{latency: {p99: 100ms, p95: 200ms}}",
            "{}",
            [Finding(f"{SERVICE}/latency", "p99 is 0.1s, faster than p95, 0.2s", GROWING)],
            id="bounds that shrink",
        ),
        pytest.param(
            "{latency: {p99: 500ms}}",
            "{latency: {p95: 800ms}}",
            [Finding(f"{OPERATION}/latency", "p99 is 0.5s, faster than p95, 0.8s", GROWING)],
            id="bounds that shrink with the document's",
        ),
    ],
)
def test_nonsense_is_found(read_api: MakeApi, service: str, operation: str, findings: list[Finding]) -> None:
    """Each mistake is told with its place and what to write instead."""
    with pytest.raises(SpecError) as refused:
        read_objectives(read_api(DOCUMENT % (service, operation)))
    assert refused.value.findings == tuple(findings)
