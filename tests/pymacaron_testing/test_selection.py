"""What may be asked of a list, which of its orders count, and which failures are told of."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pymacaron.spec import parse_spec
from pymacaron_testing.checks.sorting import find_disorder
from pymacaron_testing.confirm import Outcome
from pymacaron_testing.failure import Failure
from pymacaron_testing.items import Contract, ContractItem
from pymacaron_testing.paging import find_listing
from pymacaron_testing.selection import Filter, Order, find_filters, is_alike, matches

PRODUCTS = """
openapi: 3.1.0
info: {title: Shop, version: "1"}
paths:
  /products:
    get:
      operationId: listProducts
      parameters: [{name: "%s", in: query, description: "%s", schema: {type: integer}}]
      responses:
        "200":
          description: all
          content:
            application/json:
              schema:
                type: array
                items:
                  type: object
                  properties: {sku: {type: string}, price_cents: {type: integer}, price_net: {type: integer}}
"""


@pytest.mark.parametrize(
    ("parameter", "field", "expected"),
    [
        pytest.param({"type": ["string"]}, {"type": ["boolean"]}, False, id="a user's name asks for no flag"),
        pytest.param({"type": ["boolean"]}, {"type": ["boolean", "null"]}, True, id="flag"),
        pytest.param({"type": ["integer"]}, {"type": ["number"]}, True, id="numbers"),
        pytest.param({"type": ["array"], "items": {"type": ["string"]}}, {"type": ["string"]}, True, id="one of many"),
        pytest.param({}, {"type": ["string"]}, True, id="no type"),
    ],
)
def test_filters_ask_for_values_of_their_type(parameter: Any, field: Any, expected: bool) -> None:
    assert is_alike(parameter, field) is expected


@pytest.mark.parametrize(
    ("name", "description", "found"),
    [
        pytest.param("max_price_cents", "", [("price_cents", "high")], id="the property's name"),
        pytest.param("min_price", "Lowest price_cents, included", [("price_cents", "low")], id="its unit is described"),
        pytest.param("max_price", "", [], id="nobody says its unit"),
        pytest.param("max_price", "Highest price in euros", [], id="another unit is described"),
        pytest.param("max_price", "Highest price_net, or price_cents", [], id="two are described"),
        pytest.param("max_age", "Of what has price_cents", [], id="what is described has another name"),
    ],
)
def test_ends_of_a_range_are_those_of_what_is_described(name: str, description: str, found: Any) -> None:
    api = parse_spec(PRODUCTS % (name, description), source="shop.yaml", name="shop")
    listing = find_listing(api, (), api.operations[0])
    assert listing is not None
    assert [(one.field, one.bound) for one in find_filters(api, listing)] == found


@pytest.mark.parametrize(
    ("own", "wanted", "expected"),
    [
        pytest.param("paid", ["open", "paid"], True, id="one of them"),
        pytest.param("sent", ["open", "paid"], False, id="none of them"),
        pytest.param(["open", "paid"], ["open", "paid"], True, id="all that are wanted"),
        pytest.param(["open"], ["open", "paid"], None, id="some of those that are wanted, perhaps all are"),
        pytest.param(["sent"], ["open", "paid"], False, id="a list with none"),
    ],
)
def test_lists_of_values(own: Any, wanted: Any, expected: bool | None) -> None:
    """What has one of the values fits; what has a list itself may have to have all of them."""
    api = parse_spec(PRODUCTS % ("sku", ""), source="shop.yaml", name="shop")
    chosen = Filter(api.operations[0].parameters[0], "sku")
    assert matches(chosen, {"sku": own}, wanted) is expected


@pytest.mark.parametrize(
    ("first", "second", "is_wrong"),
    [
        pytest.param("2026-01-01T10:00:00.9Z", "2026-01-01T10:00:00.1Z", False, id="made at once"),
        pytest.param("2026-01-01T10:00:05Z", "2026-01-01T10:00:00Z", True, id="seconds apart"),
        pytest.param(2, 1, True, id="numbers"),
    ],
)
def test_instants_of_one_second_may_be_in_any_order(first: Any, second: Any, is_wrong: bool) -> None:
    ascending = Order({}, "at", descending=False)
    assert bool(find_disorder([{"at": first}, {"at": second}], ascending)) is is_wrong
    descending = Order({}, "at", descending=True)
    assert bool(find_disorder([{"at": second}, {"at": first}], descending)) is is_wrong


def test_one_cause_is_told_by_one_item_of_an_operation() -> None:
    """The item that told of it tells of it again when it runs again; another operation's cause is another one."""
    contract = Contract.__new__(Contract)
    contract._told = {}
    first, second = (cast("ContractItem", object()) for _ in range(2))
    failure = Failure("get_pet", "status_code", "promise", "answer", "place", "curl", cause=("status_code", "400"))
    other = Failure("put_pet", "status_code", "promise", "answer", "place", "curl", cause=("status_code", "400"))
    outcome = Outcome(failures=(failure,))
    assert contract.drop_told(first, outcome) == outcome
    assert contract.drop_told(second, Outcome(failures=(failure, other))).failures == (other,)
    assert contract.drop_told(first, outcome) == outcome
