"""Request bodies and answers of an operation, and the names of their models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.media_types import is_form_type, is_json_type
from pymacaron.spec.model import Body, Media, Response
from pymacaron.spec.naming import class_name, unique_name
from pymacaron.spec.opaque_parts import find_opaque_parts, write_parts_as_text
from pymacaron.spec.operations import WrittenOperation, dereference
from pymacaron.spec.pointers import join_pointer, split_pointer
from pymacaron.spec.renaming import referred_name
from pymacaron.spec.schemas import schema_object

# Keywords that restrict nothing: a schema of these alone needs no model.
_ANNOTATIONS = {"title", "description", "example", "examples", "default", "deprecated", "readOnly", "writeOnly"}


@dataclass(slots=True)
class ModelNames:
    """The schemas that get a model; grows while inline schemas are named.

    schemas: class name -> schema. made: where a named inline schema stands -> its name.
    """

    schemas: dict[str, JsonObject]
    made: dict[str, str] = field(default_factory=dict)
    _wanted: dict[str, list[str]] = field(default_factory=dict)

    def add(self, wanted: str, schema: JsonObject, pointer: str) -> str:
        """Return the name of the inline *schema* at *pointer*: *wanted*, with a number if another one has that."""
        if pointer not in self.made:
            equal = [name for name in self._wanted.get(wanted, ()) if self.schemas[name] == schema]
            name = equal[0] if equal else unique_name(wanted, self.schemas)
            self.schemas[name] = schema
            self._wanted.setdefault(wanted, []).append(name)
            self.made[pointer] = name
        return self.made[pointer]


@dataclass(frozen=True, slots=True)
class BodyReader:
    """Reads bodies and answers out of an upgraded document.

    locate: pointer of the upgraded document -> where that stands in the text. close: what makes a schema of a request
    body refuse properties that it does not name; changes nothing where the document is not of that kind.
    is_classic: the document is of Swagger 2.0.
    """

    document: JsonObject
    names: ModelNames
    locate: Callable[[str], str]
    close: Callable[[Json], Json]
    is_classic: bool = False

    def read_body(self, operation: WrittenOperation, *, is_named: bool) -> Body | None:
        """Return the request body of *operation*, if it takes one; without names of models if not *is_named*."""
        if "requestBody" not in operation.node:
            return None
        written = join_pointer(operation.pointer, "requestBody")
        node, pointer = dereference(self.document, operation.node["requestBody"], written)
        wanted = _wanted_name(operation, pointer, written, "Request") if is_named else None
        media = self._read_media(node, pointer, wanted, self.close)
        is_required = node.get("required") is True
        return Body(tuple(media), is_required, self.locate(written), is_object_if_absent=self.is_classic)

    def read_responses(self, operation: WrittenOperation) -> Iterator[Response]:
        """Yield the declared answers of *operation*."""
        responses = {
            status: node for status, node in operation.node.get("responses", {}).items() if not status.startswith("x-")
        }
        main = next((status for status in responses if status.startswith("2")), None)
        for status, written_node in responses.items():
            written = join_pointer(operation.pointer, "responses", status)
            node, pointer = dereference(self.document, written_node, written)
            suffix = "Response" if status == main else f"Response{'Default' if status == 'default' else status.upper()}"
            wanted = _wanted_name(operation, pointer, written, suffix)
            yield Response(
                status=status,
                media=tuple(self._read_media(node, pointer, wanted, lambda schema: schema)),
                headers=self._read_headers(node),
                description=node.get("description", ""),
                pointer=self.locate(written),
            )

    def _read_media(
        self, holder: JsonObject, pointer: str, wanted: str | None, adapt: Callable[[Json], Json]
    ) -> Iterator[Media]:
        for media_type, node in holder.get("content", {}).items():
            place = join_pointer(pointer, "content", media_type)
            opaque = find_opaque_parts(self.document, media_type, node)
            schema = self._read_schema(adapt(node["schema"]), opaque) if "schema" in node else None
            items = schema_object(adapt(node["itemSchema"])) if "itemSchema" in node else None
            is_typed = wanted and (is_json_type(media_type) or is_form_type(media_type))
            yield Media(
                media_type=media_type,
                schema=schema,
                model_name=self._model_name(schema, place, wanted) if wanted and is_typed else None,
                pointer=self.locate(place),
                item_schema=items,
                item_model_name=self._model_name(items, f"{place}/itemSchema", f"{wanted}Item") if wanted else None,
                encoding=self._read_encoding(node.get("encoding", {})),
                examples=dict(read_examples(self.document, node)),
                opaque_parts=opaque,
            )

    def _read_schema(self, schema: Json, opaque: frozenset[str]) -> JsonObject:
        return schema_object(write_parts_as_text(self.document, schema, opaque))

    def _model_name(self, schema: JsonObject | None, place: str, wanted: str) -> str | None:
        if schema is None or not [key for key in schema if key not in _ANNOTATIONS and not key.startswith("x-")]:
            return None
        name = referred_name(schema["$ref"]) if "$ref" in schema else None
        return name or self.names.add(wanted, schema, place)

    def _read_encoding(self, encoding: JsonObject) -> Mapping[str, JsonObject]:
        return {
            name: {key: value for key, value in node.items() if not key.startswith("x-")}
            | ({"headers": self._read_headers(node)} if "headers" in node else {})
            for name, node in encoding.items()
        }

    def _read_headers(self, holder: JsonObject) -> Mapping[str, JsonObject]:
        return {
            name: dereference(self.document, node, "").node
            for name, node in holder.get("headers", {}).items()
            if name.lower() != "content-type"
        }


def read_examples(document: JsonObject, holder: JsonObject) -> Iterator[tuple[str, Json]]:
    """Yield name and value of the examples of a media type, a header or a parameter, the nameless one first.

    Examples at other addresses (``externalValue``) are left out.
    """
    if "example" in holder:
        yield "", holder["example"]
    for name, written in holder.get("examples", {}).items():
        node = dereference(document, written, "").node
        for key in ("dataValue", "value", "serializedValue"):  # source: OpenAPI 3.2, "Example Object"
            if key in node:
                yield name, node[key]
                break


def _wanted_name(operation: WrittenOperation, pointer: str, written: str, suffix: str) -> str:
    """Return the name of the components' part if the body came from there, else one made of the operation's."""
    if pointer != written:
        return class_name(split_pointer(pointer)[-1])
    return class_name(operation.operation_id) + suffix
