"""Which values of parameters can be written into a request at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jsonschema_rs import Draft202012Validator

from pymacaron_testing.declared import branches_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Api, Operation, Parameter

_CONTAINERS = {"array", "object"}
_NOT_IN_HEADERS = re.compile(r"[^\t -~\x80-\xff]")
_BLANK_ENDS = re.compile(r"^\s+|\s+$")


def drop_unsendable(api: Api, operation: Operation, generated: Any) -> bool:
    """Leave out parameters whose value has no text: null, lists and objects without content, or with others in them.

    Headers are left out as well where HTTP cannot carry their text.

    generated: the generator's case. Returns whether the request is still valid: False where such a parameter is
    required.
    """
    nested = [parameter for parameter in operation.parameters if _is_nested(api, parameter)]
    # The properties of an object that explodes are keys of their own, whatever their names.
    has_any_key = any(parameter.explode for parameter in nested)
    plain = {parameter.name for parameter in operation.parameters if parameter not in nested}
    names = {parameter.name for parameter in nested}
    required = {parameter.name for parameter in operation.parameters if parameter.is_required}
    dropped: set[str] = set()
    for container in (generated.query, generated.headers, generated.cookies):
        unsendable = [
            key
            for key, value in container.items()
            if value in (None, "null", [], {})
            or key in names
            or (has_any_key and key not in plain)
            or (container is generated.headers and write_header(str(value)) != value)
        ]
        dropped.update(unsendable)
        for key in unsendable:
            del container[key]
    return not dropped & required


def write_header(text: str) -> str:
    """Return *text* as a header can carry it: as long, with a letter for what HTTP cannot carry.

    Source: RFC 9110, section 5.5; what is at its ends and blank gets lost.
    """
    carried = _NOT_IN_HEADERS.sub("x", text)
    return _BLANK_ENDS.sub(lambda blank: "x" * len(blank[0]), carried)


def _is_nested(api: Api, parameter: Parameter) -> bool:
    """Tell whether the parameter holds lists or objects inside of a list or an object, and is no JSON.

    Source: OpenAPI 3.1, "Parameter Object": for nested values the behaviour is undefined.
    """
    if parameter.style == "content" or parameter.location not in {"query", "header", "cookie"}:
        return False
    inner = [part for branch in branches_of(parameter.schema, api.document) for part in _parts(branch)]
    return any(_CONTAINERS & set(_types(branch)) for part in inner for branch in branches_of(part, api.document))


def _parts(schema: JsonObject) -> Iterator[JsonObject]:
    items, properties = schema.get("items"), schema.get("properties", {})
    yield from (part for part in (items, *properties.values()) if isinstance(part, dict))


def _types(schema: JsonObject) -> list[str]:
    types: Json = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


class PathValues:
    """Tells which texts may stand in the paths and parameters of one document."""

    def __init__(self, api: Api) -> None:
        """Read the parameters of *api* when they are asked for."""
        self._api = api
        self._validators: dict[str, Draft202012Validator] = {}

    def fit(self, operation: Operation, values: Mapping[str, str]) -> bool:
        """Tell whether the texts *values* keep the schemas of the path parameters of *operation*."""
        parameters = [one for one in operation.parameters if one.location == "path" and one.name in values]
        return all(self.fits(parameter, values[parameter.name]) for parameter in parameters)

    def fits(self, parameter: Parameter, text: str) -> bool:
        """Tell whether *text* keeps the schema of *parameter*."""
        validator = self._validators.get(parameter.pointer)
        if validator is None:
            schema = {"allOf": [parameter.schema], "components": self._api.document.get("components", {})}
            validator = self._validators[parameter.pointer] = Draft202012Validator(schema, validate_formats=True)
        return any(validator.is_valid(value) for value in (text, *_read_json(text)))


def _read_json(text: str) -> list[Json]:
    """Return what *text* is as JSON, in a list; an empty one if it is none."""
    try:
        return [json.loads(text)]
    except ValueError:
        return []
