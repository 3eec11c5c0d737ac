"""Which parts of a document a run has seen: answers, parameters, enum members, optional values, callers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pymacaron_testing.declared import branches_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.exchange import Exchange

_MAX_DEPTH = 3
_BODY = "body"
_UNDECLARED = "undeclared"


@dataclass(slots=True)
class OperationCoverage:
    """What was seen of one operation; each table starts with everything that the document declares, at 0.

    answers: declared status -> how often, ``undeclared`` for others. parameters: ``query limit`` -> valid requests
    that sent it. members: ``query sort`` -> text of the enum member -> valid requests that sent it. optional:
    ``body.nickname`` -> valid requests with and without it. callers: who asked -> requests.
    """

    operation: Operation
    answers: Counter[str] = field(default_factory=Counter)
    parameters: Counter[str] = field(default_factory=Counter)
    members: dict[str, Counter[str]] = field(default_factory=dict)
    optional: dict[str, Counter[str]] = field(default_factory=dict)
    callers: Counter[str] = field(default_factory=Counter)

    def to_dict(self) -> JsonObject:
        """Return the form of the report."""
        return {
            "operation_id": self.operation.operation_id,
            "method": self.operation.method.upper(),
            "path": self.operation.path,
            "answers": dict(self.answers),
            "parameters": dict(self.parameters),
            "enum_members": {name: dict(found) for name, found in self.members.items()},
            "optional": {name: dict(found) for name, found in self.optional.items()},
            "callers": dict(self.callers),
        }


class Coverage:
    """Collects what requests and answers show of one document."""

    def __init__(self, api: Api, source: str = "") -> None:
        """List what *api* declares, all of it unseen. source: the document as the report names it."""
        self._api = api
        self._source = source
        self._operations = {one.operation_id: self._declare(one) for one in api.operations}

    def observe(self, exchange: Exchange, values: Mapping[str, Json], caller: str) -> None:
        """Take in one exchange.

        values: what it sent, by location, as `Generator.values_of` gives it. caller: ``anonymous``, ``user 1``,
        ``wrong credentials``; empty where the operation asks for none.
        """
        found = self._operations.get(exchange.case.operation.operation_id)
        if found is None or exchange.response is None:
            return
        if caller:
            found.callers[caller] += 1
        declared = found.operation.find_response(exchange.status)
        found.answers[declared.status if declared else _UNDECLARED] += 1
        if exchange.case.is_valid and not exchange.case.is_probe:
            self._observe_values(found, {**values, "path": dict(exchange.path_values or {})})

    def to_list(self) -> list[JsonObject]:
        """Return the form of the report, one entry per operation, in the document's order."""
        return [{"document": self._source, **found.to_dict()} for found in self._operations.values()]

    def _declare(self, operation: Operation) -> OperationCoverage:
        found = OperationCoverage(operation, Counter(dict.fromkeys(operation.statuses, 0)))
        for parameter in operation.parameters:
            name = f"{parameter.location} {parameter.name}"
            found.parameters[name] = 0
            self._declare_value(found, name, parameter.schema, _MAX_DEPTH)
        for schema in self._body_schemas(operation):
            self._declare_value(found, _BODY, schema, 0)
        return found

    def _declare_value(self, found: OperationCoverage, name: str, schema: JsonObject, depth: int) -> None:
        """List the enum members and optional properties of *schema* under *name*."""
        for member in self._members(schema):
            found.members.setdefault(name, Counter())[_text(member)] = 0
        for prop, rule, is_required in self._properties(schema, depth):
            if not is_required:
                found.optional[f"{name}.{prop}"] = Counter({"with": 0, "without": 0})
            self._declare_value(found, f"{name}.{prop}", rule, depth + 1)

    def _observe_values(self, found: OperationCoverage, values: Mapping[str, Json]) -> None:
        for parameter in found.operation.parameters:
            part = values.get("body" if parameter.location == "form" else parameter.location)
            if isinstance(part, Mapping) and parameter.name in part:
                name = f"{parameter.location} {parameter.name}"
                found.parameters[name] += 1
                self._observe_value(found, name, part[parameter.name])
        if _BODY in values:
            self._observe_value(found, _BODY, values[_BODY])

    def _observe_value(self, found: OperationCoverage, name: str, value: Json) -> None:
        """Count the members and properties of *value* that are listed under *name*."""
        members = found.members.get(name, Counter())
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict) and _text(one) in members:
                members[_text(one)] += 1
        if not isinstance(value, dict):
            return
        for key, counts in found.optional.items():
            owner, _, prop = key.rpartition(".")
            if owner == name:
                counts["with" if prop in value else "without"] += 1
        for prop, item in value.items():
            self._observe_value(found, f"{name}.{prop}", item)

    def _body_schemas(self, operation: Operation) -> list[JsonObject]:
        media = operation.body.media if operation.body is not None else ()
        return [one.schema for one in media if one.schema is not None and one.is_json][:1]

    def _members(self, schema: JsonObject) -> list[Json]:
        """Return the enum members of *schema*, or of its items."""
        for branch in branches_of(schema, self._api.document):
            if isinstance(branch.get("enum"), list):
                return list(branch["enum"])
        items = schema.get("items")
        return self._members(items) if isinstance(items, dict) else []

    def _properties(self, schema: JsonObject, depth: int) -> Iterator[tuple[str, JsonObject, bool]]:
        """Yield name, schema and whether it is required of each property that a request may send."""
        if depth >= _MAX_DEPTH:
            return
        branches = list(branches_of(schema, self._api.document))
        required = {name for branch in branches for name in branch.get("required", [])}
        seen: set[str] = set()
        for branch in branches:
            for name, rule in branch.get("properties", {}).items():
                if isinstance(rule, dict) and name not in seen and not rule.get("readOnly"):
                    seen.add(name)
                    yield name, rule, name in required


def merge_coverage(first: list[JsonObject], second: list[JsonObject]) -> list[JsonObject]:
    """Add up two lists of `Coverage.to_list`, of processes that tested the same documents."""
    by_key = {_key(entry): entry for entry in first}
    for entry in second:
        known = by_key.get(_key(entry))
        by_key[_key(entry)] = _add(known, entry) if known else entry
    return list(by_key.values())


def summarise_coverage(entries: list[JsonObject]) -> dict[str, tuple[int, int]]:
    """Return for each table how many entries were seen and how many there are; operations count with a 2xx."""
    operations = [any(count and status[0] == "2" for status, count in one["answers"].items()) for one in entries]
    answers = [bool(n) for one in entries for status, n in one["answers"].items() if status != _UNDECLARED]
    parameters = [bool(count) for one in entries for count in one["parameters"].values()]
    members = [bool(n) for one in entries for found in one["enum_members"].values() for n in found.values()]
    optional = [bool(n) for one in entries for found in one["optional"].values() for n in found.values()]
    tables = {
        "operations": operations,
        "answers": answers,
        "parameters": parameters,
        "enum_members": members,
        "optional": optional,
    }
    return {name: (sum(found), len(found)) for name, found in tables.items()}


def list_unseen_answers(entries: list[JsonObject]) -> list[str]:
    """Return the declared answers that never came, ``GET /pets 404``, of operations that were asked at all."""
    return [
        f"{entry['method']} {entry['path']} {status}"
        for entry in entries
        if any(entry["answers"].values())
        for status, count in entry["answers"].items()
        if not count and status != "default"
    ]


def _add(first: Json, second: Json) -> Json:
    if isinstance(first, dict) and isinstance(second, dict):
        return {
            key: _add(first[key], second[key]) if key in first and key in second else first.get(key, second.get(key))
            for key in {**first, **second}
        }
    return first + second if isinstance(first, int) and isinstance(second, int) else first


def _key(entry: JsonObject) -> tuple[str, str, str]:
    return entry["document"], entry["method"], entry["path"]


def _text(value: Json) -> str:
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
