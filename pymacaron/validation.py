"""What is wrong with a value, in words for the caller: found by pydantic, or by jsonschema-rs where models say less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Literal

from jsonschema_rs import Draft202012Validator, Registry
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec import RESOURCES_KEY, find_resources

Direction = Literal["request", "response"]
_NOT_INTEGER = frozenset({"int_type", "int_from_float"})
_MOST = 20
_REF = "#/components/schemas/"
# Source: JSON Schema 2020-12. Generated models know nothing of these keywords, or less than they mean.
_BEYOND_MODELS = frozenset({
    "contains", "dependentRequired", "dependentSchemas", "if", "maxProperties", "minProperties", "not", "oneOf",
    "patternProperties", "prefixItems", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "uniqueItems",
})  # fmt: skip
# Source: OpenAPI 3.1, "Schema Object", readOnly and writeOnly: `required` takes effect in the other direction only.
_FOREIGN: Mapping[Direction, str] = {"request": "readOnly", "response": "writeOnly"}
_BY_NAME = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
_NO_SCHEMA = frozenset({"default", "example", "examples", "enum", "const"})


class SchemaCheck:
    """Holds JSON values to a schema with keywords that models do not express."""

    def __init__(
        self, schema: JsonObject, schemas: Mapping[str, JsonObject], *, direction: Direction = "request"
    ) -> None:
        """Take the *schema*; its references lead into *schemas*."""
        document = {"allOf": [schema], "components": {"schemas": dict(schemas)}}
        document = _without_foreign(document, _FOREIGN[direction])
        registry = Registry(list(find_resources(document).items()))
        self._validator = Draft202012Validator(document, validate_formats=False, registry=registry, offline=True)

    @classmethod
    def build(
        cls, schema: JsonObject | None, schemas: Mapping[str, JsonObject], *, direction: Direction = "request"
    ) -> SchemaCheck | None:
        """Return the check of *schema*, None where its model says everything.

        direction: a request need not have the read-only properties that the schema requires, an answer not the
        write-only ones.
        """
        is_needed = schema and _is_beyond_models(schema, schemas)
        return cls(schema, schemas, direction=direction) if schema and is_needed else None

    def find_faults(self, value: Json) -> list[str]:
        """Return what is wrong with *value*, as ``/items: breaks uniqueItems``. Values never appear."""
        faults = []
        for error in islice(self._validator.iter_errors(value), _MOST):
            pointer = "".join(f"/{part}" for part in error.instance_path) or "/"
            faults.append(f"{pointer}: breaks {error.schema_path[-1]}")
        return list(dict.fromkeys(faults))


def _without_foreign(schema: Json, mark: str) -> Json:
    """Return *schema*, none of whose objects requires a property with the *mark* of the other direction."""
    if isinstance(schema, list):
        return [_without_foreign(part, mark) for part in schema]
    if not isinstance(schema, dict):
        return schema
    adapted = {key: inner if key in _NO_SCHEMA else _without_foreign(inner, mark) for key, inner in schema.items()}
    required, properties = adapted.get("required"), adapted.get("properties")
    if isinstance(required, list) and isinstance(properties, dict):
        foreign = {name for name, inner in properties.items() if isinstance(inner, dict) and inner.get(mark) is True}
        adapted["required"] = [name for name in required if name not in foreign]
    return adapted


def _is_beyond_models(schema: JsonObject, schemas: Mapping[str, JsonObject]) -> bool:
    seen: set[str] = set()
    return any(RESOURCES_KEY in part or not _BEYOND_MODELS.isdisjoint(part) for part in _walk(schema, schemas, seen))


def _walk(schema: Json, schemas: Mapping[str, JsonObject], seen: set[str]) -> Iterator[JsonObject]:
    """Yield *schema* and every schema inside it or behind its references, each referenced one once."""
    if isinstance(schema, list):
        for part in schema:
            yield from _walk(part, schemas, seen)
    if not isinstance(schema, dict):
        return
    yield schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith(_REF) and reference not in seen:
        seen.add(reference)
        yield from _walk(schemas.get(reference.removeprefix(_REF)), schemas, seen)
    for key, inner in schema.items():
        if key in _BY_NAME and isinstance(inner, dict):
            yield from _walk(list(inner.values()), schemas, seen)
        elif key not in _NO_SCHEMA and not key.startswith("x-"):
            yield from _walk(inner, schemas, seen)


def validate_json(model: type, data: bytes | str) -> Any:
    """Return the instance of *model* that the JSON text *data* is, by JSON Schema's rules: "1" is no integer, 1.0 is.

    Raises: ValidationError: with every reason.
    """
    validate = model.__pydantic_validator__.validate_json  # type: ignore[attr-defined]  # models and root models have it
    try:
        return validate(data, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        if not any(finding["type"] in _NOT_INTEGER and _is_whole(finding["input"]) for finding in error.errors()):
            raise
    # Source: JSON Schema 2020-12, validation, section 6.1.1: a number without a fraction is an integer.
    return validate(to_json(_make_whole(from_json(data))), strict=True, by_alias=True, by_name=False)


def _is_whole(value: Json) -> bool:
    return isinstance(value, float) and value.is_integer()


def _make_whole(value: Json) -> Json:
    """Return *value* with 1 in place of each 1.0."""
    if isinstance(value, dict):
        return {key: _make_whole(element) for key, element in value.items()}
    if isinstance(value, list):
        return [_make_whole(element) for element in value]
    return int(value) if _is_whole(value) else value


def describe(error: ValidationError, prefix: str = "") -> str:
    """Return one clause per finding, as ``/items/0/id: Input should be a valid integer``.

    prefix: what the JSON pointer is relative to, ``"body "``. Values never appear: they may be secrets.
    """
    clauses = []
    findings = error.errors(include_url=False, include_context=False, include_input=False)
    for finding in findings[:_MOST]:
        pointer = "".join(f"/{part}" for part in finding["loc"]) or "/"
        clauses.append(f"{prefix}{pointer}: {finding['msg']}")
    if len(findings) > _MOST:
        clauses.append(f"and {len(findings) - _MOST} more")
    return "; ".join(clauses)
