"""Callers cannot set what the document keeps for the service: ids, owners, times of creation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.checks.examples import find_example
from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.declared import branches_of, find_property, types_of
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Media, Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_NUMBER = 987_654_321
_TEXTS = {
    "uuid": "5a5a5a5a-5a5a-4a5a-8a5a-5a5a5a5a5a5a",
    "date-time": "2001-02-03T04:05:06Z",
    "date": "2001-02-03",
    "email": "pymacaron-set@example.com",
    "uri": "https://example.com/pymacaron-set",
}
_TEXT = "pymacaron-set"


def check_read_only(suite: Suite, operation: Operation) -> Outcome:
    """Send, beside a body that is accepted, properties that only answers have."""
    case = find_example(suite, operation)
    body = suite.generator.values_of(case).get("body") if case is not None else None
    if case is None or not isinstance(body, dict) or operation.method.upper() not in {"POST", "PUT", "PATCH"}:
        return Outcome()
    planted = dict(_plant(suite, operation, case.generated.media_type))
    if not planted:
        return Outcome()
    fresh = suite.make_distinct(case)
    changed = {**suite.generator.values_of(fresh)["body"], **planted}
    words = "properties that only answers have"
    odd = replace(suite.generator.with_part(fresh, "body", changed), is_valid=False, location="body", description=words)
    exchange = suite.send(odd)
    suspicions = [_describe(suite, exchange, name, planted) for name in _taken_over(planted, exchange)]
    return confirm(suspicions, suite)


def _plant(suite: Suite, operation: Operation, media_type: str | None) -> Iterator[tuple[str, Json]]:
    """Yield the properties that the answer has and the request's schema has not, or has as read-only, with values."""
    document = suite.api.document
    asked = (
        next((one.schema for one in operation.body.media if one.media_type == media_type), None)
        if operation.body
        else None
    )
    told = next((_json_schema(one.media) for one in operation.responses if one.status.startswith("2")), None)
    if asked is None or told is None or not any("properties" in branch for branch in branches_of(asked, document)):
        return
    for branch in branches_of(told, document):
        for name, schema in branch.get("properties", {}).items():
            known = find_property(asked, name, document)
            if known is None or any(one.get("readOnly") is True for one in branches_of(known, document)):
                value = _invent(schema, document)
                if value is not None:
                    yield name, value


def _json_schema(media: tuple[Media, ...]) -> JsonObject | None:
    return next((one.schema for one in media if one.is_json and one.schema), None)


def _invent(schema: JsonObject, document: JsonObject) -> Json:
    """Return a value of the schema's type that no service gives by itself; None where there is none."""
    branches = list(branches_of(schema, document))
    kinds = types_of(branches)
    form = next((branch["format"] for branch in branches if "format" in branch), "")
    if any("enum" in branch or "const" in branch for branch in branches):
        return None
    if "string" in kinds:
        return _TEXTS.get(form, _TEXT)
    if kinds & {"integer", "number"}:
        return _NUMBER
    return None


def _taken_over(planted: JsonObject, exchange: Exchange) -> list[str]:
    answered = exchange.read_json() if exchange.is_success else None
    if not isinstance(answered, dict):
        return []
    return [name for name, value in planted.items() if answered.get(name) == value]


def _is_taken_over(planted: JsonObject, name: str, exchange: Exchange) -> bool:
    return name in _taken_over(planted, exchange)


def _describe(suite: Suite, exchange: Exchange, name: str, planted: JsonObject) -> Suspicion:
    operation = exchange.case.operation
    failure = suite.build_failure(
        exchange,
        "read_only",
        promise=f"{name_of(operation)} takes no {name} from its caller: the document has it in the answer only",
        pointer=operation.body.pointer if operation.body else operation.pointer,
        cause=(name,),
    )
    return Suspicion(exchange, failure, partial(_is_taken_over, planted, name))
