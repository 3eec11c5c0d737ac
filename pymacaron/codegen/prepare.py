"""Schemas as the generator likes them: only keywords that say something about types, and names that fit Python."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterator, Mapping

from pymacaron.codegen.parents import PERSIST, PERSISTENT_NAMES
from pymacaron.formats import FORMATS, INTEGER_FORMATS
from pymacaron.json_types import Json, JsonObject
from pymacaron.judge import drop_required, find_foreign, judge_of
from pymacaron.loops import find_loops
from pymacaron.model import PymacaronBaseModel
from pymacaron.model_dicts import NULLABLE
from pymacaron.patterns import is_linear, translate_pattern

_REF = "#/components/schemas/"
_NUMBER = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_TEXT = ("minLength", "maxLength")
_ARRAY = ("minItems", "maxItems")
_BOUNDS = {
    "string": (*_TEXT, "pattern", "format"),
    "integer": _NUMBER,
    "number": _NUMBER,
    "array": (*_ARRAY, "items", "prefixItems"),
    "object": ("properties", "required", "additionalProperties", "patternProperties"),
}
_COPIED = ("type", *_NUMBER, *_TEXT, *_ARRAY)
_COMPOSED = ("allOf", "anyOf", "oneOf")
# What a property that has no name in the schema may make true or false: objects of these keep such properties.
_COUNTING = frozenset({
    "minProperties", "maxProperties", "propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedProperties",
    "not", "if",
})  # fmt: skip
_NO_TEXT = frozenset({"DateTime", "Date", "Uuid", "DecimalText"})
_TYPES = (
    "str",
    "int",
    "float",
    "bool",
    "list",
    "dict",
    "Dict",
    "Any",
    "Annotated",
    "Literal",
    "Field",
    *FORMATS.values(),
)
_RESERVED = frozenset(
    {*dir(PymacaronBaseModel), *dir(type(PymacaronBaseModel)), *keyword.kwlist, *_TYPES, "self", "cls"}
)


def prepare_schemas(
    schemas: Mapping[str, JsonObject], marks: Mapping[str, frozenset[str]] | None = None
) -> dict[str, JsonObject]:
    """Return *schemas* without what makes no difference to a model, or would reach the generator as an instruction.

    Each optional property that may be null carries ``x-nullable: true``; formats become types of `pymacaron.formats`.
    marks: class name -> marks (``readOnly``, ``writeOnly``) of properties that are optional in it.
    """
    loops = find_loops(schemas)
    return {
        name: _Preparer(schemas, (marks or {}).get(name, frozenset())).prepare_named({} if name in loops else schema)
        for name, schema in schemas.items()
    }


def choose_attributes(schemas: Mapping[str, JsonObject]) -> dict[str, str]:
    """Return property name -> attribute name for those that Python reads as another name, or models use themselves."""
    names = {name for schema in schemas.values() for name in _property_names(schema)}
    reserved = _RESERVED | (PERSISTENT_NAMES if any(PERSIST in schema for schema in schemas.values()) else frozenset())
    chosen: dict[str, str] = {}
    for name in sorted(names):
        attribute = unicodedata.normalize("NFKC", name)
        if name not in reserved and (attribute == name or not name.isidentifier()):
            continue
        attribute = f"{attribute.strip('_')}_"
        while attribute in names or attribute in reserved or attribute in chosen.values():
            attribute += "_"
        chosen[name] = attribute
    return chosen


def _property_names(schema: Json) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _property_names(item)
    elif isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from properties
            yield from _property_names(list(properties.values()))
        yield from _property_names(
            [schema[key] for key in ("items", "additionalProperties", *_COMPOSED) if key in schema]
        )


def _bound_integer(schema: JsonObject, prepared: JsonObject) -> None:
    """Add the bounds of an integer's format, where the schema's own are not narrower."""
    limits = INTEGER_FORMATS.get(str(schema.get("format")))
    if limits is None or "integer" not in schema.get("type", ()):
        return
    least, most = limits
    prepared["minimum"] = max(prepared.get("minimum", least), least)
    prepared["maximum"] = min(prepared.get("maximum", most), most)


def _counts_unnamed(schema: JsonObject) -> bool:
    """Tell whether *schema* is of objects, and looks at properties that it does not name."""
    parts = [schema, *(part for part in schema.get("allOf", ()) if isinstance(part, dict))]
    is_object = any(part.get("type") == "object" or "properties" in part for part in parts)
    is_object |= any("$ref" in part for part in parts[1:])
    return is_object and "$ref" not in schema and any(not _COUNTING.isdisjoint(part) for part in parts)


class _Preparer:
    """Prepares one named schema; *schemas* answers what its references mean."""

    def __init__(self, schemas: Mapping[str, JsonObject], marks: frozenset[str]) -> None:
        self._schemas = schemas
        self._marks = marks

    def prepare_named(self, schema: JsonObject) -> JsonObject:
        prepared = self.prepare(schema)
        description = schema.get("description")
        if isinstance(description, str) and description.strip():
            prepared["description"] = _printable(description.strip())
        if prepared.get("type") == "object" and not any(
            prepared.get(key) for key in ("properties", "$ref", *_COMPOSED)
        ):
            prepared.setdefault("additionalProperties", True)
        return prepared

    def prepare(self, schema: Json, *, is_part: bool = False) -> JsonObject:
        if not isinstance(schema, dict):
            return {}
        one_way = {name for mark in self._marks for name in find_foreign(schema, self._schemas, mark)}
        schema = _split_types(drop_required(schema, one_way) if one_way else schema)
        prepared: JsonObject = {key: schema[key] for key in _COPIED if key in schema}
        if isinstance(schema.get("pattern"), str) and is_linear(schema["pattern"]):
            prepared["pattern"] = translate_pattern(schema["pattern"])
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith(_REF):
            prepared["$ref"] = reference
        for key in _COMPOSED:
            if isinstance(schema.get(key), list):
                prepared[key] = [self.prepare(part, is_part=True) for part in schema[key]]
        if self._is_tagged(schema):
            discriminator = schema["discriminator"]
            prepared["discriminator"] = {
                key: discriminator[key] for key in ("propertyName", "mapping") if key in discriminator
            }
        if "items" in schema and "prefixItems" not in schema:
            prepared["items"] = self.prepare(schema["items"])
        self._prepare_values(schema, prepared)
        self._prepare_object(schema, prepared, is_part=is_part)
        self._prepare_format(schema, prepared)
        _bound_integer(schema, prepared)
        return prepared

    def _is_tagged(self, schema: JsonObject) -> bool:
        """Tell whether the discriminator names one class for each value; where a class has several it does not."""
        discriminator = schema.get("discriminator")
        variants = schema.get("oneOf") or schema.get("anyOf")
        if not isinstance(discriminator, dict) or not variants:
            return False
        for variant in variants:
            target = self._schemas.get(str(variant.get("$ref")).removeprefix(_REF), variant)
            tag = target.get("properties", {}).get(discriminator.get("propertyName"), {})
            if isinstance(tag, dict) and len(tag.get("enum", ())) > 1 and "mapping" not in discriminator:
                return False
        return True

    def _prepare_values(self, schema: JsonObject, prepared: JsonObject) -> None:
        """Copy enum and const where Python has a literal for each value; elsewhere only their type is left."""
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if not isinstance(values, list):
            return
        if all(value is None or isinstance(value, (str, int)) for value in values):
            prepared.update({key: schema[key] for key in ("enum", "const") if key in schema})
        elif "type" not in schema:
            types = sorted({_json_type(value) for value in values})
            prepared["type"] = types[0] if len(types) == 1 else types

    def _prepare_object(self, schema: JsonObject, prepared: JsonObject, *, is_part: bool) -> None:
        required = [name for name in schema.get("required", []) if isinstance(name, str)]
        if required:
            prepared["required"] = required
        if isinstance(schema.get("properties"), dict):
            prepared["properties"] = {
                name: self._prepare_property(value, is_required=name in required)
                for name, value in schema["properties"].items()
            }
            if not is_part and not any(key in schema for key in _COMPOSED):
                prepared["properties"] |= {name: {} for name in required if name not in prepared["properties"]}
        extra = schema.get("additionalProperties")
        if "patternProperties" in schema or extra == {} or (extra is None and _counts_unnamed(schema)):
            extra = True
        if extra is not None:
            prepared["additionalProperties"] = extra if isinstance(extra, bool) else self.prepare(extra)

    def _prepare_property(self, schema: Json, *, is_required: bool) -> JsonObject:
        prepared = self.prepare(schema)
        if not isinstance(schema, dict) or is_required:
            return prepared
        default = self._find_default(schema)
        if default is not None and self._is_valid(default, schema):
            prepared["default"] = default
        if self._admits_null(schema):
            prepared[NULLABLE] = True
        return prepared

    def _find_default(self, schema: JsonObject, seen: tuple[str, ...] = ()) -> Json:
        """Return the default of *schema*, or of what it refers to."""
        name = str(schema.get("$ref", "")).removeprefix(_REF)
        if "default" in schema or name not in self._schemas or name in seen:
            return schema.get("default")
        return self._find_default(self._schemas[name], (*seen, name))

    def _prepare_format(self, schema: JsonObject, prepared: JsonObject) -> None:
        name = FORMATS.get(str(schema.get("format")))
        types = schema.get("type")
        is_text = types == "string" or (isinstance(types, list) and set(types) <= {"string", "null"})
        if name is None or not is_text or any(key in prepared for key in ("enum", "const", "anyOf")):
            return
        text: JsonObject = {"type": "string", "customTypePath": f"pymacaron.formats.{name}"}
        bounds = {key: prepared.pop(key) for key in (*_TEXT, "pattern") if key in prepared}
        if name not in _NO_TEXT:
            text |= bounds
        if types == "string":
            prepared |= text
        else:
            del prepared["type"]
            prepared["anyOf"] = [text, {"type": "null"}]

    def _is_valid(self, value: Json, schema: JsonObject) -> bool:
        try:
            return judge_of(self._schemas).compile(schema).is_valid(value)
        except ValueError:
            return False

    def _admits_null(self, schema: Json, seen: tuple[str, ...] = ()) -> bool:
        """Tell whether *schema* names null among its values; a schema that admits everything does not."""
        if not isinstance(schema, dict):
            return False
        types = schema.get("type")
        if types is not None:
            return types == "null" or "null" in types
        if "enum" in schema or "const" in schema:
            return None in schema.get("enum", [schema.get("const")])
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            return self._admits_null(self._schemas.get(reference.removeprefix(_REF)), (*seen, reference))
        for key, judge in (("anyOf", any), ("oneOf", any), ("allOf", all)):
            if schema.get(key):
                return judge(self._admits_null(part, seen) for part in schema[key])
        return False


def _split_types(schema: JsonObject) -> JsonObject:
    """Return a schema of several types as ``anyOf`` if bounds belong to some of them, each bound beside its type."""
    types = schema.get("type")
    if not isinstance(types, list) or len(set(types) - {"null"}) < 2:  # noqa: PLR2004 - several
        return schema
    bounds = {key for keys in _BOUNDS.values() for key in keys if key in schema}
    if not bounds or any(key in schema for key in ("enum", "const", "anyOf")):
        return schema
    rest = {key: value for key, value in schema.items() if key not in bounds and key != "type"}
    parts = [{"type": kind, **{key: schema[key] for key in _BOUNDS.get(kind, ()) if key in schema}} for kind in types]
    return {**rest, "anyOf": parts}


def _json_type(value: Json) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _printable(text: str) -> str:
    return "".join(character for character in text if character == "\n" or character.isprintable())
