"""The single values that a request of an operation may have: properties of its body, parameters of its query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jsonschema_rs import Draft202012Validator

from pymacaron_testing.declared import branches_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Api, Operation

_MAX_DEPTH = 2


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One value. path: where it stands, ``("body", "lines", "0", "quantity")``, ``("query", "limit")``."""

    path: tuple[str, ...]
    schema: JsonObject
    is_required: bool
    validator: Draft202012Validator

    @property
    def is_in_list(self) -> bool:
        """Tell whether it is part of one of several things, such as a line of an order."""
        return any(part.isdecimal() for part in self.path[1:-1])

    @property
    def name(self) -> str:
        """Its own name, without what it is part of."""
        return self.path[-1]

    def allows(self, value: Json) -> bool:
        """Tell whether *value* keeps the field's own schema."""
        return bool(self.validator.is_valid(value))


def list_fields(api: Api, operation: Operation, body: Json) -> list[Field]:
    """Return the fields of the query and of a JSON body like *body*; inner objects only where *body* has them.

    Of a list of objects the first one stands for all.
    """
    found = [
        _build(api, ("query", one.name), one.schema, is_required=one.is_required)
        for one in operation.parameters
        if one.location == "query" and one.style != "content"
    ]
    media = next((one for one in (operation.body.media if operation.body else ()) if one.is_json and one.schema), None)
    if media is not None and media.schema is not None and isinstance(body, dict):
        found += _walk(api, media.schema, body, ("body",))
    return found


def _walk(api: Api, schema: JsonObject, body: JsonObject, path: tuple[str, ...]) -> Iterator[Field]:
    branches = list(branches_of(schema, api.document))
    required = {name for branch in branches for name in branch.get("required", ())}
    properties: dict[str, JsonObject] = {}
    for branch in branches:
        properties.update({key: one for key, one in branch.get("properties", {}).items() if isinstance(one, dict)})
    for name, inner in properties.items():
        if any(branch.get("readOnly") is True for branch in branches_of(inner, api.document)):
            continue
        value = body.get(name)
        if isinstance(value, dict) and len(path) <= _MAX_DEPTH:
            yield from _walk(api, inner, value, (*path, name))
            continue
        yield _build(api, (*path, name), inner, is_required=name in required)
        items = next((one["items"] for one in branches_of(inner, api.document) if "items" in one), None)
        first = value[0] if isinstance(value, list) and value else None
        if isinstance(first, dict) and isinstance(items, dict) and len(path) <= _MAX_DEPTH:
            yield from _walk(api, items, first, (*path, name, "0"))


def _build(api: Api, path: tuple[str, ...], schema: JsonObject, *, is_required: bool) -> Field:
    whole = {"allOf": [schema], "components": api.document.get("components", {})}
    return Field(path, schema, is_required, Draft202012Validator(whole, validate_formats=True))
