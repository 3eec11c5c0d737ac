"""Whether a schema allows a value that a demand forbids, and such a value: decided by jsonschema-rs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import jsonschema_rs
from jsonschema_rs import Draft202012Validator, ReferencingError

from pymacaron.diff.change import Witness
from pymacaron.diff.flat import Side
from pymacaron.diff.sample import sample_values
from pymacaron.json_types import Json, JsonObject

# Ranges of OpenAPI's formats of integers, which JSON Schema does not know.
_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_BY_NAME = ("properties", "patternProperties", "dependentSchemas", "$defs")
_INNER = (
    "items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "contains", "propertyNames", "not",
    "if", "then", "else",
)  # fmt: skip
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
# Under these a schema describes a value together with others, so that it cannot be closed on its own.
_SHARED = ("$ref", "allOf", "anyOf", "oneOf")
_CONDITIONS = ("not", "if", "then", "else", "dependentSchemas", "contains", "propertyNames")
# closed: objects hold only what is named; shared: that, but for this object itself; open: objects may hold anything.
_Mode = Literal["closed", "shared", "open"]
_SAYS_WHICH = ("additionalProperties", "unevaluatedProperties", "patternProperties", "propertyNames")


@dataclass(frozen=True, slots=True)
class Verdict:
    """is_possible: whether there is a value that is allowed and forbidden; None where that cannot be decided."""

    is_possible: bool | None
    witness: Witness | None = None


def judge(sub: Side, allowed: JsonObject, sup: Side, demand: JsonObject, *, is_closed: bool = True) -> Verdict:
    """Look for a value that *allowed* takes and *demand* refuses.

    is_closed: objects hold only properties that *allowed* names.
    """
    low = _Standalone(sub, is_closed=is_closed).build(allowed)
    high = _Standalone(sup, is_closed=False).build(demand)
    try:
        rest = jsonschema_rs.canonicalize(low, draft=jsonschema_rs.Draft202012, validate_formats=True).subtract(
            jsonschema_rs.canonicalize(high, draft=jsonschema_rs.Draft202012, validate_formats=True)
        )
    except (ValueError, ReferencingError):
        return Verdict(None, _find_witness(low, high, [low]))
    if str(rest.satisfiability()) == "no":
        return Verdict(is_possible=False)
    difference = rest.to_json_schema()
    witness = _find_witness(low, high, [difference, low] if isinstance(difference, dict) else [low])
    return Verdict(True if witness else None, witness)


def are_apart(side: Side, schemas: Sequence[JsonObject]) -> bool:
    """Tell whether no value is right for two of *schemas*; also false where that cannot be decided."""
    try:
        forms = [
            jsonschema_rs.canonicalize(
                _Standalone(side, is_closed=False).build(schema), draft=jsonschema_rs.Draft202012, validate_formats=True
            )
            for schema in schemas
        ]
        return all(
            str(one.intersect(other).satisfiability()) == "no" for one, other in itertools.combinations(forms, 2)
        )
    except (ValueError, ReferencingError):
        return False


def _find_witness(low: JsonObject, high: JsonObject, sources: list[JsonObject]) -> Witness | None:
    try:
        allows = Draft202012Validator(low, validate_formats=True, offline=True)
        demands = Draft202012Validator(high, validate_formats=True, offline=True)
    except (ValueError, ReferencingError):
        return None
    for source in sources:
        for value in sample_values(source):
            if allows.is_valid(value) and not demands.is_valid(value):
                return Witness(value)
    return None


@dataclass(slots=True)
class _Standalone:
    """Copies a schema with everything that it refers to, as its document means it in one direction."""

    side: Side
    is_closed: bool
    _names: dict[tuple[str, _Mode], str] = field(default_factory=dict)
    _definitions: JsonObject = field(default_factory=dict)

    def build(self, schema: JsonObject) -> JsonObject:
        copy: JsonObject = self._copy(schema, "closed" if self.is_closed else "open")
        return copy | {"$defs": self._definitions} if self._definitions else copy

    def _copy(self, node: Json, mode: _Mode) -> Json:
        if not isinstance(node, dict):
            return node
        copy: JsonObject = {}
        for key, value in self._visible(node).items():
            inner = _inner_mode(mode, key)
            if key == "$ref" and value.startswith("#"):
                copy[key] = self._refer(value, inner)
            elif key in _BY_NAME:
                copy[key] = {name: self._copy(schema, inner) for name, schema in value.items()}
            elif key in _INNER:
                copy[key] = self._copy(value, inner)
            elif key in _LISTS:
                copy[key] = [self._copy(schema, inner) for schema in value]
            elif key == "example":
                copy.setdefault("examples", [value])
            elif key not in ("discriminator", "default", "xml", "externalDocs"):
                copy[key] = value
        if mode == "closed" and not any(key in copy for key in _SAYS_WHICH) and self._has_properties(copy):
            copy["unevaluatedProperties"] = False
        return _hold_to_range(copy)

    def _has_properties(self, copy: JsonObject) -> bool:
        """Tell whether the schema describes an object, itself or through what it is composed of."""
        return "properties" in copy or any(key in copy for key in ("$ref", "allOf", "anyOf", "oneOf"))

    def _visible(self, node: JsonObject) -> JsonObject:
        """Return *node* without the properties that do not travel."""
        properties = node.get("properties", {})
        hidden = {name for name, schema in properties.items() if self.side.is_hidden(schema)}
        if not hidden:
            return node
        required = [name for name in node.get("required", ()) if name not in hidden]
        return node | {
            "properties": {name: properties[name] for name in properties if name not in hidden},
            "required": required,
        }

    def _refer(self, ref: str, mode: _Mode) -> str:
        key = (ref, mode)
        if key not in self._names:
            name = self._names[key] = f"d{len(self._names)}"
            self._definitions[name] = self._copy(self.side.resolve(ref).schema, mode)
        return f"#/$defs/{self._names[key]}"


def _inner_mode(mode: _Mode, keyword: str) -> _Mode:
    if mode == "open" or keyword in _CONDITIONS:
        return "open"
    return "shared" if keyword in _SHARED else "closed"


def _hold_to_range(copy: JsonObject) -> JsonObject:
    if copy.get("format") not in _RANGES:
        return copy
    low, high = _RANGES[copy["format"]]
    return {key: value for key, value in copy.items() if key != "format"} | {
        "minimum": max(low, copy.get("minimum", low)),
        "maximum": min(high, copy.get("maximum", high)),
    }
