"""The parameters of an operation, fields of its form among them, and the schema of their model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.media_types import is_form_type, is_json_type
from pymacaron.spec.model import Parameter
from pymacaron.spec.naming import name_keywords
from pymacaron.spec.opaque_parts import find_opaque_parts, write_as_text
from pymacaron.spec.operations import Located, WrittenOperation, dereference
from pymacaron.spec.pointers import join_pointer
from pymacaron.spec.schemas import schema_object

# OpenAPI 3: "If in is header and name is Accept, Content-Type or Authorization, the definition SHALL be ignored."
_IGNORED_HEADERS = {"accept", "content-type", "authorization"}
_DEFAULT_STYLES = {"path": "simple", "query": "form", "querystring": "form", "header": "simple", "cookie": "form"}


@dataclass(frozen=True, slots=True)
class ParameterReader:
    """Reads parameters out of an upgraded document. locate: pointer of it -> where that stands in the text."""

    document: JsonObject
    locate: Callable[[str], str]

    def read(self, operation: WrittenOperation) -> tuple[Parameter, ...]:
        """Return the parameters of *operation*, those in its form last, all with their keywords.

        A body becomes parameters if all its media types are forms and its schema has properties.
        """
        declared = [
            self._read_parameter(part)
            for part in operation.parameters
            if part.node["in"] != "header" or part.node["name"].lower() not in _IGNORED_HEADERS
        ]
        fields = list(self._read_form(operation))
        parameters = declared + fields
        keywords = name_keywords(
            [(parameter.name, parameter.location) for parameter in parameters],
            has_body="requestBody" in operation.node and not fields,
        )
        return tuple(
            replace(parameter, keyword=keyword) for parameter, keyword in zip(parameters, keywords, strict=True)
        )

    def _read_parameter(self, part: Located) -> Parameter:
        node, pointer = part
        location = node["in"]
        style = node.get("style", _DEFAULT_STYLES[location])
        schema = node.get("schema", {})
        if "content" in node:
            style, schema = _read_content(node["content"], is_whole_query=location == "querystring")
        return Parameter(
            name=node["name"],
            location=location,
            schema=schema_object(schema),
            is_required=location == "path" or node.get("required") is True,
            style=style,
            explode=node.get("explode", style in ("form", "cookie", "deepObject")),
            pointer=self.locate(pointer),
            keyword="",
            description=node.get("description", ""),
            may_be_empty=node.get("allowEmptyValue") is True,
        )

    def _read_form(self, operation: WrittenOperation) -> Iterator[Parameter]:
        """Yield the properties of the form's first media type; nothing if the body may be something else."""
        if "requestBody" not in operation.node:
            return
        written = join_pointer(operation.pointer, "requestBody")
        body, pointer = dereference(self.document, operation.node["requestBody"], written)
        if not all(map(is_form_type, body["content"])):
            return
        media_type, media = next(iter(body["content"].items()))
        place = join_pointer(pointer, "content", media_type, "schema")
        properties = dict(self._properties(media.get("schema", {}), place, ()))
        required = set(self._required(media.get("schema", {}), ()))
        is_form_required = body.get("required") is True
        opaque = find_opaque_parts(self.document, media_type, media)
        for name, (written_schema, field_pointer) in properties.items():
            schema = write_as_text(self.document, written_schema) if name in opaque else written_schema
            encoding = media.get("encoding", {}).get(name, {})
            style = encoding.get("style", "form")
            yield Parameter(
                name=name,
                location="form",
                schema=_mark_files(schema_object(schema), media_type),
                is_required=name in required and is_form_required,
                is_required_if_form=name in required and not is_form_required,
                style=style,
                explode=encoding.get("explode", style in ("form", "deepObject")),
                pointer=self.locate(field_pointer),
                keyword="",
                description=schema.get("description", "") if isinstance(schema, dict) else "",
            )

    def _properties(self, schema: Json, pointer: str, seen: tuple[str, ...]) -> Iterator[tuple[str, Located]]:
        """Yield the properties of *schema* and of everything that it is composed of."""
        node, pointer = dereference(self.document, schema, pointer)
        if not isinstance(node, dict) or pointer in seen:
            return
        for index, inner in enumerate(node.get("allOf", ())):
            yield from self._properties(inner, join_pointer(pointer, "allOf", index), (*seen, pointer))
        for name, inner in node.get("properties", {}).items():
            yield name, Located(inner, join_pointer(pointer, "properties", name))

    def _required(self, schema: Json, seen: tuple[str, ...]) -> Iterator[str]:
        node, pointer = dereference(self.document, schema, "")
        if not isinstance(node, dict) or (pointer and pointer in seen):
            return
        yield from node.get("required", ())
        for inner in node.get("allOf", ()):
            yield from self._required(inner, (*seen, pointer))


def parameters_schema(parameters: Sequence[Parameter]) -> JsonObject | None:
    """Return the schema of an object that holds *parameters* by keyword, files left out; None if there are none."""
    texts = [parameter for parameter in parameters if not parameter.is_file]
    if not texts:
        return None
    schema: JsonObject = {
        "type": "object",
        "properties": {parameter.keyword: parameter.schema for parameter in texts},
        "additionalProperties": False,
    }
    required = [parameter.keyword for parameter in texts if parameter.is_required]
    return schema | ({"required": required} if required else {})


def _read_content(content: JsonObject, *, is_whole_query: bool) -> tuple[str, Json]:
    """Return style and schema of a parameter with content: JSON in a text, a form, or any other text as it is."""
    media_type, media = next(iter(content.items()))
    if is_json_type(media_type):
        return "content", media.get("schema", {})
    if is_whole_query and is_form_type(media_type):
        return "form", media.get("schema", {"type": "object"})
    return "simple", {"type": "string"}


def _mark_files(schema: JsonObject, media_type: str) -> JsonObject:
    """Give ``format: binary`` to what OpenAPI 3.1 says is a file: content of a media type without an encoding."""
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return schema | {"items": _mark_files(schema["items"], media_type)}
    is_raw = "contentMediaType" in schema and "contentEncoding" not in schema
    if is_raw or (not schema and media_type == "multipart/form-data"):
        return schema | {"type": "string", "format": "binary"}
    return schema
