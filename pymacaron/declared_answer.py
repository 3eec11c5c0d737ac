"""What the document says of one status of an operation, made ready for the answers with that status."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, RootModel, TypeAdapter
from pydantic_core import PydanticSerializationError

from pymacaron.call import PlainAnswer
from pymacaron.exceptions import ERROR_FIELDS
from pymacaron.header_values import HeaderCheck
from pymacaron.item_streams import is_event_stream, is_sequential
from pymacaron.media_table import MediaTable, is_within, split_media_type
from pymacaron.response_check import Violation, find_json_violations, find_value_violations
from pymacaron.shapes import parse_scalar, read_shape
from pymacaron.validation import SchemaCheck, walk_core_schema

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

    from pymacaron.json_types import JsonObject
    from pymacaron.server_sent_events import ServerSentEvent
    from pymacaron.spec import Api, Media, Response

_new = tuple.__new__


class Representation:
    """One media type of an answer."""

    def __init__(self, media: Media, api: Api, models: Mapping[str, type]) -> None:
        """Take *models*, class name -> generated class."""
        self.media_type = media.media_type
        self.essence, self.parameters = split_media_type(media.media_type)
        self.is_range = "*" in self.essence
        self.is_json = media.is_json
        self.is_sequential = is_sequential(self.essence)
        self.is_event_stream = is_event_stream(self.essence)
        self.model = models.get(media.model_name or "")
        self.list_item = _list_item(self.model) if self.model else None
        self._media = media
        self._schemas = api.schemas
        self.item_model = models.get(media.item_model_name or "")

    @property
    def takes_json(self) -> bool:
        """Tell whether JSON is a content of it."""
        return self.is_json or is_within("application/json", self.essence)

    @property
    def has_items(self) -> bool:
        """Tell whether the document describes the items of the stream."""
        return self._media.item_schema is not None

    @cached_property
    def check(self) -> SchemaCheck | None:
        """Return what the model does not say of a whole answer."""
        schema = self._media.schema
        if self.model is None:
            return SchemaCheck(schema, self._schemas, direction="response") if schema else None
        return SchemaCheck.build(schema, self._schemas, direction="response")

    @cached_property
    def item_check(self) -> SchemaCheck | None:
        """Return what the model of an item does not say."""
        schema = self._media.item_schema
        if self.item_model is None or self.is_event_stream:
            return SchemaCheck(schema, self._schemas, direction="response") if schema else None
        return SchemaCheck.build(schema, self._schemas, direction="response")

    def write_trusted(self, value: object) -> bytes | None:
        """Return the JSON of *value* if it was checked when it was made: it is of the declared model, or a list of it.

        Raises: PydanticSerializationError: a value in it has no JSON.
        """
        if self.check is not None:
            return None
        if type(value) is self.model:
            return self.dump(value)
        item = self.list_item
        if item is not None and type(value) is list and {*map(type, value)} <= {item}:
            return self._dump_list(value)
        return None

    @cached_property
    def dump(self) -> Callable[[object], bytes]:
        """Return what writes instances of the model as JSON. Raises PydanticSerializationError, as `write_trusted`."""
        return _find_dump(self.model)

    @cached_property
    def _dump_list(self) -> Callable[[object], bytes]:
        return _find_dump(list[self.list_item])  # type: ignore[name-defined]  # a type that is known now

    def is_trusted_item(self, item: object) -> bool:
        """Tell whether *item* of a stream was checked when it was made."""
        return self.item_model is not None and type(item) is self.item_model and self.item_check is None

    def find_violations(self, data: bytes) -> list[Violation]:
        """Return what is wrong with the JSON text *data*."""
        return find_json_violations(data, self.model, self.check, "body")

    def find_text_violations(self, text: str) -> list[Violation]:
        """Return what is wrong with *text*, by a schema without a model."""
        schema = self._media.schema
        if not schema or self.check is None:
            return []
        return find_value_violations(parse_scalar(text, read_shape(schema, self._schemas).types), self.check, "body")

    def find_item_violations(self, data: bytes) -> list[Violation]:
        """Return what is wrong with the JSON text *data* of one item."""
        return find_json_violations(data, self.item_model, self.item_check, "item")

    def find_event_violations(self, event: ServerSentEvent) -> list[Violation]:
        """Return what is wrong with one server-sent event.

        Source: OpenAPI 3.2, "Special Considerations for Server-Sent Events".
        """
        value = event.to_object()
        if self.item_check is None or "data" not in value:
            return []
        violations = find_value_violations(value, self.item_check, "item")
        return violations or self._find_content_violations(value)

    def _find_content_violations(self, event: JsonObject) -> list[Violation]:
        """Return what is wrong with the JSON in an event's data, by the ``contentSchema`` of each variant it is of."""
        data = str(event["data"]).encode()
        return [
            Violation("item", found.reason, f"/data{found.pointer.rstrip('/')}")
            for variant, content in self._contents
            if variant is None or not variant.find_faults(event)
            for found in find_json_violations(data, None, content, "item")
        ]

    @cached_property
    def _contents(self) -> list[tuple[SchemaCheck | None, SchemaCheck]]:
        return list(self._read_contents(self._media.item_schema or {}, None, 0))

    def _read_contents(
        self, schema: JsonObject, variant: JsonObject | None, depth: int
    ) -> Iterator[tuple[SchemaCheck | None, SchemaCheck]]:
        if depth > 8 or not isinstance(schema, dict):  # noqa: PLR2004 - ends recursive schemas
            return
        data = schema.get("properties", {}).get("data")
        if isinstance(data, dict) and data.get("contentSchema"):
            yield self._full_check(variant) if variant else None, self._full_check(data["contentSchema"])
        if "$ref" in schema:
            target = self._schemas.get(str(schema["$ref"]).rsplit("/", 1)[-1])
            yield from self._read_contents(target or {}, variant, depth + 1)
        for inner in schema.get("allOf", []):
            yield from self._read_contents(inner, variant, depth + 1)
        for inner in [*schema.get("oneOf", []), *schema.get("anyOf", [])]:
            yield from self._read_contents(inner, inner, depth + 1)

    def _full_check(self, schema: JsonObject) -> SchemaCheck:
        return SchemaCheck(schema, self._schemas, direction="response")


class DeclaredAnswer:
    """One declared status."""

    def __init__(self, response: Response, api: Api, models: Mapping[str, type]) -> None:
        """Take *models*, class name -> generated class."""
        self.representations = [Representation(media, api, models) for media in response.media]
        self.headers = [HeaderCheck(name, node, api.schemas) for name, node in response.headers.items()]
        self._headers_by_name = {header.name.lower(): header for header in self.headers}
        self._table = MediaTable(response.media)
        self._by_pointer = {media.pointer: one for media, one in zip(response.media, self.representations, strict=True)}
        only = self.representations[0] if len(self.representations) == 1 else None
        self.only_json = only if only is not None and only.is_json and not only.is_range else None

    @property
    def needs_headers(self) -> bool:
        """Tell whether an answer to which its handler gives no headers may have wrong ones."""
        return any(header.is_required or header.name.lower().startswith("content-") for header in self.headers)

    def find(self, media_type: str) -> Representation | None:
        """Return the representation that content of *media_type* is of."""
        media = self._table.find(media_type)
        return self._by_pointer[media.pointer] if media is not None else None

    def find_header(self, name: str) -> HeaderCheck | None:
        """Return the declared header *name*."""
        return self._headers_by_name.get(name.lower())

    def find_header_violations(self, headers: Headers) -> Iterator[Violation]:
        """Yield what is wrong with the *headers* of an answer."""
        for header in self.headers:
            fault = header.find_fault(headers.get(header.name))
            if fault:
                yield Violation("header", f"header {header.name}: {fault}")


class LeanAnswer:
    """The short way to an answer of which everything but the value is known before: one status, no headers."""

    def __init__(self, declared: DeclaredAnswer, status: int, *, may_have_body: bool, is_status_given: bool) -> None:
        """Take what is *declared* for *status*; is_status_given: the handler named it, it need not be in the value."""
        only = declared.only_json if may_have_body else None
        missing = frozenset() if is_status_given or only is None else _missing_error_fields(only.model)
        is_plain = only is not None and not only.is_sequential and missing is not None
        self._representation = representation = only if is_plain else None
        self._missing = missing or frozenset()
        self._status = status
        is_empty = not may_have_body or not declared.representations
        self._nothing = PlainAnswer(status, "", b"") if is_empty else None
        # The usual case, of which nothing has to be found out any more: an instance of the declared model.
        self._usual: type | None = None
        if representation is not None and representation.model and not self._missing and representation.check is None:
            self._usual, self._media_type = representation.model, representation.media_type
            self._dump = representation.dump

    def answer(self, value: object) -> PlainAnswer | None:
        """Return the answer with a *value* that is known to be right, None for any other: that takes the long way."""
        if type(value) is self._usual:
            try:
                # As `PlainAnswer` does, in half the time.
                return _new(PlainAnswer, (self._status, self._media_type, self._dump(value)))
            except (PydanticSerializationError, TypeError, ValueError):
                return None
        return self._answer_unusual(value)

    def _answer_unusual(self, value: object) -> PlainAnswer | None:
        if value is None:
            return self._nothing
        representation = self._representation
        if representation is None:
            return None
        if self._missing and type(value) is representation.model:
            extras: Mapping[str, object] | None = value.__pydantic_extra__  # type: ignore[attr-defined]
            if extras and extras.keys() >= self._missing:
                return None
        try:
            data = representation.write_trusted(value)
        except (PydanticSerializationError, TypeError, ValueError):
            return None
        return None if data is None else PlainAnswer(self._status, representation.media_type, data)


def _find_dump(model: Any) -> Callable[[object], bytes]:
    """Return pydantic-core's own function that writes instances of *model*."""
    adapter: TypeAdapter[Any] = TypeAdapter(model)
    write = adapter.serializer.to_json
    core_schema = adapter.core_schema
    is_same = isinstance(core_schema, dict) and _has_no_alias(core_schema)
    return write if is_same else partial(write, by_alias=True)


def _has_no_alias(core_schema: Any) -> bool:
    """Tell whether aliases make no difference to what is written: there are none, and no function asks for them."""
    nodes = walk_core_schema(core_schema, without=("metadata",))
    return not any(node.get("serialization_alias") is not None or node.get("info_arg") for node in nodes)


def _missing_error_fields(model: type | None) -> frozenset[str] | None:
    """Return what an instance of *model* must have beside its fields to be an error body, which says its own status.

    Empty: it cannot be one. None: it is one.
    """
    if model is None or issubclass(model, RootModel):
        return frozenset()
    fields: Mapping[str, object] = model.model_fields  # type: ignore[attr-defined]
    missing = frozenset(name for name in ERROR_FIELDS if name not in fields and not hasattr(model, name))
    is_open = model.model_config.get("extra") == "allow"  # type: ignore[attr-defined]
    return None if not missing else missing if is_open else frozenset()


def _list_item(model: type) -> type[BaseModel] | None:
    """Return X for a root model of ``list[X]`` that asks nothing else of the list."""
    if not issubclass(model, RootModel):
        return None
    root = model.model_fields["root"]
    items = get_args(root.annotation)
    is_list = get_origin(root.annotation) is list and len(items) == 1 and not root.metadata
    return items[0] if is_list and isinstance(items[0], type) and issubclass(items[0], BaseModel) else None
