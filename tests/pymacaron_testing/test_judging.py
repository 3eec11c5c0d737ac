"""What counts as kept, as let in, as slow and as odd: the judging functions, by tables."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pymacaron.spec import parse_spec
from pymacaron_testing.checks.boundaries import plan_edges
from pymacaron_testing.checks.cors import find_preflight_fault, find_withheld_header
from pymacaron_testing.checks.echo import are_alike
from pymacaron_testing.checks.leaks import is_secret_name
from pymacaron_testing.checks.malformed import odd_bodies, odd_queries
from pymacaron_testing.edge_values import Expectation, find_careless, list_edges
from pymacaron_testing.objectives import find_objectives
from pymacaron_testing.request_fields import list_fields
from pymacaron_testing.timings import Pulse, find_lowest_share

if TYPE_CHECKING:
    from pymacaron_testing.suite import Suite

ORIGIN = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET, DELETE"}
DOCUMENT = """
openapi: 3.1.0
info: {title: Slow, version: '1'}
x-slo: {latency: {p95: 200ms, p99: 1.5s}}
paths:
  /a:
    get:
      operationId: a
      x-slo: {latency: {p95: 50ms, p100: 1s, p50: soon}}
      responses: {'200': {description: ok}}
"""


@pytest.mark.parametrize(
    ("sent", "answered", "value_format", "is_kept"),
    [
        pytest.param("a", "a", "", True, id="same"),
        pytest.param(" a  b ", "a b", "", True, id="space"),
        pytest.param("e\u0301", "\u00e9", "", True, id="composed"),
        pytest.param("a", "b", "", False, id="other text"),
        pytest.param("A", "a", "", False, id="other case"),
        pytest.param("A@B.C", "a@b.c", "email", True, id="other case of an email"),
        pytest.param("2024-01-01T00:00:00+02:00", "2023-12-31T22:00:00Z", "date-time", True, id="same instant"),
        pytest.param("2024-01-01T00:00:00.123456Z", "2024-01-01T00:00:00.123Z", "date-time", True, id="milliseconds"),
        pytest.param("2024-01-01T00:00:00+02:00", "2024-01-01T00:00:00Z", "date-time", False, id="zone lost"),
        pytest.param("http://a.b", "http://a.b/", "uri", True, id="slash of a URL"),
        pytest.param(2**32 + 1, 1, "", False, id="32 bits"),
        pytest.param(2**53 - 1, float(2**53 - 1), "", True, id="a whole number as a float"),
        pytest.param(0.29, 0.28, "", False, id="cut"),
        pytest.param(0.12345, 0.12, "", True, id="rounded to cents"),
        pytest.param(0.5, 1, "", False, id="rounded to one"),
        pytest.param(1.1, 1.100000023841858, "float", True, id="single precision"),
        pytest.param(False, True, "", False, id="false"),
        pytest.param(True, 1, "", False, id="true as a number"),
        pytest.param(None, "", "", True, id="null as nothing"),
        pytest.param(None, "old", "", False, id="null is not stored"),
        pytest.param("a", None, "", False, id="lost"),
        pytest.param(["b", "a", "a"], ["a", "b"], "", True, id="a sorted set"),
        pytest.param(["a", "b"], ["a"], "", False, id="item lost"),
        pytest.param([{"x": 1}], [{"x": 1, "id": 2}], "", True, id="objects with more"),
    ],
)
def test_kept(sent: Any, answered: Any, value_format: str, is_kept: bool) -> None:
    """Other notations of the same value are the same, other values are not."""
    assert are_alike(sent, answered, value_format) is is_kept


@pytest.mark.parametrize(
    ("method", "status", "headers", "fault"),
    [
        pytest.param("DELETE", 204, ORIGIN, "", id="right"),
        pytest.param("POST", 204, ORIGIN, "", id="needs no permission"),
        pytest.param("PUT", 204, ORIGIN, "Access-Control-Allow-Methods lists PUT: it is GET, DELETE", id="not listed"),
        pytest.param("GET", 405, ORIGIN, "the preflight request is answered with 2xx: it was 405", id="not answered"),
        pytest.param(
            "GET", 200, {}, "Access-Control-Allow-Origin names the origin or *: it is not there", id="no origin"
        ),
        pytest.param(
            "GET",
            200,
            {**ORIGIN, "Access-Control-Allow-Credentials": "true"},
            "Access-Control-Allow-Credentials is not true for all origins: it is, for *",
            id="credentials for all",
        ),
    ],
)
def test_preflight(method: str, status: int, headers: dict[str, str], fault: str) -> None:
    """The fault of a preflight answer is told."""
    assert find_preflight_fault(method, status, headers) == fault


@pytest.mark.parametrize(
    ("allowed", "is_withheld"),
    [
        pytest.param("Content-Type, If-Match", True, id="others are listed"),
        pytest.param("content-type,x-api-key", False, id="listed"),
        pytest.param("*", False, id="all"),
        pytest.param("", False, id="none is listed"),
    ],
)
def test_withheld_header(allowed: str, is_withheld: bool) -> None:
    """A header that the operation asks for is missing where others are listed."""
    fault = f"Access-Control-Allow-Headers lists X-API-Key, which the operation asks for: it is {allowed}"
    found = find_withheld_header("X-API-Key", {"Access-Control-Allow-Headers": allowed})
    assert found == (fault if is_withheld else "")


def test_secret_names() -> None:
    """Properties that hold secrets are told from those that speak of them."""
    secret = ["password", "passwordHash", "password_hash", "hashed_password", "client_secret", "apiKey", "private-key"]
    secret += ["api_key_hash", "token_digest", "secretHash"]
    harmless = ["has_password", "password_changed_at", "hash", "token", "secretary", "salted", "reset_password"]
    assert [name for name in [*secret, *harmless] if is_secret_name(name)] == secret


def test_objectives() -> None:
    """The nearest objective of a percentile counts; what makes no sense is left out."""
    api = parse_spec(DOCUMENT, source="slow.yaml")
    found = find_objectives(api, api.get_operation("a"))
    assert [(one.percentile, one.bound_s, one.pointer) for one in found] == [
        (95.0, 0.05, "/paths/~1a/get/x-slo/latency/p95"),
        (99.0, 1.5, "/x-slo/latency/p99"),
    ]
    assert str(found[0]) == "95 % of the answers come within 50 ms"


def test_lowest_share() -> None:
    """A share is believed only as far as the number of answers shows it."""
    assert find_lowest_share(0, 0) == 0
    assert find_lowest_share(5, 100) == pytest.approx(0.0215, abs=0.0005)
    assert find_lowest_share(50, 1000) == pytest.approx(0.0381, abs=0.0005)


def test_pulse() -> None:
    """Without a thread that beats nothing has stood still."""
    assert not Pulse().was_stalled(0.0, 1e9)


def test_edges_by_type() -> None:
    """Free texts must be kept, meaningful ones only survived, listed ones are left alone; some numbers are refused."""
    kept = {Expectation.ACCEPTED, Expectation.KEPT}
    free = list_edges({"type": "string", "maxLength": 20}, "title", {}, "123456")
    assert all(len(edge.value) <= 20 for edge in free)
    assert {edge.expectation for edge in free} == {*kept, Expectation.SURVIVED}
    assert {edge.expectation for edge in list_edges({"type": "string"}, "email", {}, "1")} == {Expectation.SURVIVED}
    assert list_edges({"enum": ["a"]}, "kind", {}, "1") == []
    whole = list_edges({"type": "integer", "maximum": 9}, "pages", {}, "1")
    assert [edge.value for edge in whole if edge.expectation is Expectation.REFUSED] == [2**32 + 1, 2**64 + 1]
    owner = list_edges({"type": "integer"}, "owner_id", {}, "1")
    assert {edge.expectation for edge in owner} == {Expectation.SURVIVED}
    assert [text for _, text in find_careless("^[a-z]$", "a")] == ["A", "!! a", "a !!"]
    assert list(find_careless("[0-9]", "1")) == []


def test_odd_requests() -> None:
    """Queries without parameters have no odd form; bodies have more of them when they are objects."""
    assert list(odd_queries("http://a/b")) == []
    assert dict(odd_queries("http://a/b?x=1"))["each parameter twice"] == "http://a/b?x=1&x=1"
    assert [words for words, _ in odd_bodies([])] == [*(f"lists in lists, {n} deep" for n in (6, 50, 200)), "null"]
    assert dict(odd_bodies({"a": 1}))["each property twice"] == b'{"a": 1, "a": 1}'


def test_fields_of_things_in_a_list() -> None:
    """Of a list of objects the first stands for all; numbers of it are held to a declared maximum only."""
    lines = {"type": "array", "items": {"$ref": "#/components/schemas/Line"}}
    api = parse_spec(
        json.dumps(
            {
                "openapi": "3.1.0",
                "info": {"title": "Shop", "version": "1"},
                "paths": {
                    "/orders": {
                        "post": {
                            "operationId": "addOrder",
                            "requestBody": {
                                "content": {
                                    "application/json": {"schema": {"type": "object", "properties": {"lines": lines}}}
                                }
                            },
                            "responses": {"201": {"description": "made"}},
                        }
                    }
                },
                "components": {
                    "schemas": {
                        "Line": {
                            "type": "object",
                            "properties": {
                                "quantity": {"type": "integer", "maximum": 9},
                                "price": {"type": "integer"},
                            },
                        }
                    }
                },
            }
        ),
        source="shop.json",
        name="shop",
    )
    body: Any = {"lines": [{"quantity": 1}, {"quantity": 2}]}
    fields = {".".join(one.path[1:]): one for one in list_fields(api, api.operations[0], body)}
    assert list(fields) == ["lines", "lines.0.quantity", "lines.0.price"]
    assert [one.is_in_list for one in fields.values()] == [False, True, True]
    assert [one.path for one in list_fields(api, api.operations[0], {"lines": []})] == [("body", "lines")]
    suite = cast("Suite", SimpleNamespace(api=api, run_salt=1))
    held = {
        name: [edge.value for edge in plan_edges(suite, one) if edge.expectation is Expectation.ACCEPTED]
        for name, one in fields.items()
    }
    assert 9 in held["lines.0.quantity"]
    assert held["lines.0.price"] == []
