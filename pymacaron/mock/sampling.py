"""Instances of a schema: drawn at random, the same ones for the same seed, and judged by jsonschema-rs.

Own code, since no library fits: jsf knows half of the keywords and leaves instances unjudged, polyfactory needs models,
hypothesis-jsonschema needs hypothesis, is made for tests and ends at draft 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from jsonschema_rs import Draft202012Validator, Registry

from pymacaron.json_types import Json, JsonObject
from pymacaron.mock.drawing import Draw, Manner
from pymacaron.mock.flattening import ImpossibleError
from pymacaron.mock.heights import find_heights, reachable_schemas
from pymacaron.spec import find_resources

_ATTEMPTS = 60
_MOST_FAULTS = 5
_DATA = frozenset({"default", "example", "examples", "enum", "const"})


class Sampler:
    """Makes instances of one schema."""

    def __init__(self, schema: Json, schemas: Mapping[str, JsonObject]) -> None:
        """Take the *schema* of an answer; its references lead into *schemas*."""
        self._schema = _hide_write_only(schema)
        self._schemas = {name: _hide_write_only(inner) for name, inner in reachable_schemas(schema, schemas).items()}
        self._heights = find_heights(self._schemas)
        document = {"allOf": [self._schema], "components": {"schemas": self._schemas}}
        registry = Registry(list(find_resources(document).items()))
        self._validator = Draft202012Validator(document, validate_formats=True, registry=registry, offline=True)

    def is_valid(self, value: Json) -> bool:
        """Tell whether *value* is an instance."""
        return bool(self._validator.is_valid(value))

    def sample(self, seed: str) -> Json:
        """Return an instance; examples of the schema and of its parts come before drawn values.

        Raises: ImpossibleError: none was found; what stood in the way of the last attempts.
        """
        banned: frozenset[tuple[str | int, ...]] = frozenset()
        reason = ""
        for attempt in range(_ATTEMPTS):
            manner = _choose_manner(attempt, banned)
            draw = Draw(self._schemas, self._heights, Random(f"{seed} {attempt}"), manner)  # noqa: S311 - no secret
            try:
                value = draw.value(self._schema)
            except ImpossibleError as error:
                reason = str(error)
                continue
            faults = list(self._find_faults(value))
            if not faults:
                return value
            reason = faults[0][1]
            banned |= {path for path in draw.examples for fault, _ in faults if fault[: len(path)] == path}
        raise ImpossibleError(reason)

    def _find_faults(self, value: Json) -> list[tuple[tuple[str | int, ...], str]]:
        """Return where *value* breaks the schema, and the keyword that it breaks."""
        if self._validator.is_valid(value):
            return []
        faults = []
        for error in self._validator.iter_errors(value):
            pointer = "".join(f"/{part}" for part in error.instance_path) or "/"
            faults.append((tuple(error.instance_path), f"{pointer} breaks {error.schema_path[-1]}"))
            if len(faults) == _MOST_FAULTS:
                break
        return faults


def _choose_manner(attempt: int, banned: frozenset[tuple[str | int, ...]]) -> Manner:
    """Return how attempt number *attempt* draws: rich at first, then with more and more left out."""
    if attempt < 3:  # noqa: PLR2004 - faulty examples are known by then
        return Manner(has_examples=True, banned=banned)
    shares = (1.0, 0.0, 0.5, 0.0, 0.8)
    return Manner(has_examples=attempt % 7 == 0, banned=banned, optional_share=shares[attempt % len(shares)])


def _hide_write_only(schema: Json) -> Json:
    """Return *schema* as it holds for answers: write-only properties are not required, and never there.

    Source: OpenAPI 3.1, "Schema Object", writeOnly.
    """
    if isinstance(schema, list):
        return [_hide_write_only(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    seen = {key: inner if key in _DATA else _hide_write_only(inner) for key, inner in schema.items()}
    properties = seen.get("properties")
    if isinstance(properties, dict):
        hidden = {
            name for name, inner in properties.items() if isinstance(inner, dict) and inner.get("writeOnly") is True
        }
        seen["properties"] = {name: False if name in hidden else inner for name, inner in properties.items()}
        if hidden and isinstance(seen.get("required"), list):
            seen["required"] = [name for name in seen["required"] if name not in hidden]
    return seen
