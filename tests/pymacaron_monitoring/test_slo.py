from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from pymacaron.exceptions import Finding, SpecError
from pymacaron.spec import Api
from pymacaron_monitoring.slo import (
    DAY_S,
    DEFAULT_WINDOW_S,
    Latency,
    Slo,
    parse_duration,
    parse_window,
    read_objectives,
)

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
OF_PATH = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
x-slo: {availability: 99, latency: {p95: 200ms}, window: 28d}
paths:
  /pets:
    x-slo: %s
    get:
      operationId: listPets
      x-slo: {latency: {p95: 100ms}}
      responses: {"200": {description: all}}
    post:
      operationId: createPet
      responses: {"200": {description: made}}
  /toys:
    get:
      operationId: listToys
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


def test_a_path_stands_between_its_operations_and_the_document(read_api: MakeApi) -> None:
    """What a path declares goes before the document, and each of its operations goes before it."""
    objectives = read_objectives(read_api(OF_PATH % "{availability: 90, latency: {p95: 300ms, p99: 1s}}"))
    p99 = Latency(Decimal(99), 1.0)
    assert objectives.operations == {
        "listPets": Slo(Decimal(90), (Latency(Decimal(95), 0.1), p99), 28 * DAY_S),
        "createPet": Slo(Decimal(90), (Latency(Decimal(95), 0.3), p99), 28 * DAY_S),
        "listToys": Slo(Decimal(99), (Latency(Decimal(95), 0.2),), 28 * DAY_S),
    }
    assert objectives.own_availability == {"listPets", "createPet"}


def test_a_window_of_its_own_sets_an_operation_apart(read_api: MakeApi) -> None:
    """Budgets over different times cannot be one; without any window it is 30 days."""
    objectives = read_objectives(read_api(DOCUMENT % ("{availability: 99}", "{window: 1w}")))
    assert objectives.own_availability == {"listPets"}
    assert (objectives.operations["listPets"].period_s, objectives.service.period_s) == (7 * DAY_S, DEFAULT_WINDOW_S)


def test_a_mistake_of_a_path_is_found_once(read_api: MakeApi) -> None:
    """Not once for each of its operations; next to the document's objectives, too."""
    with pytest.raises(SpecError) as refused:
        read_objectives(read_api(OF_PATH % "{availability: 200, latency: {p99: 100ms}}"))
    path = "apis/pets.yaml:6#/paths/~1pets/x-slo"
    assert refused.value.findings == (
        Finding(f"{path}/availability", "200 is no availability", PERCENT),
        Finding(f"{path}/latency", "p99 is 0.1s, faster than p95, 0.2s", GROWING),
    )


@pytest.mark.parametrize(("text", "days"), [("7d", 7), ("30d", 30), ("4w", 28), ("90d", 90)])
def test_windows(text: str, days: int) -> None:
    """Days or weeks."""
    assert parse_window(text) == days * DAY_S


@pytest.mark.parametrize("text", ["6d", "91d", "13w", "30", "1 month", "-7d", "7.5d", "", 30, None])
def test_no_windows(text: object) -> None:
    """Under a week a budget is noise, over a quarter nobody remembers it."""
    with pytest.raises(ValueError, match="is no window"):
        parse_window(text)


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
                Finding(f"{SERVICE}/uptime", "'uptime' is no objective", "Use availability, latency and window only"),
                Finding(OPERATION, "'fast' is no objective", "Write {availability: 99.9, latency: {p95: 200ms}}"),
            ],
            id="all findings at once",
        ),
        pytest.param(
            "{window: 1d}",
            "{}",
            [Finding(f"{SERVICE}/window", "'1d' is no window", "Write 7d to 90d, such as 30d or 4w")],
            id="window too short",
        ),
        pytest.param(
            "{latency: {p99: 1s, p99.0: 2s}}",
            "{}",
            [Finding(f"{SERVICE}/latency/p99.0", "'p99.0' is declared twice", "Keep one of them")],
            id="one percentile twice",
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
