"""A value becomes the bytes of a body, by its media type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from pydantic_core import to_json

from pymacaron.item_streams import is_event_stream, is_json_sequence
from pymacaron.json_types import Json, JsonObject
from pymacaron.server_sent_events import ServerSentEvent
from pymacaron.spec.media_types import essence_of, is_json_type

_FORM = "application/x-www-form-urlencoded"
_TEXTS = ("application/xml", "application/javascript", "application/yaml", "application/graphql")
# What a body is called whose document leaves it open.
_CONCRETE = {"*/*": "application/json", "text/*": "text/plain", "image/*": "image/png", "audio/*": "audio/mpeg"}


def concrete_type(media_type: str) -> str:
    """Return *media_type*, or one that it covers if it has a wildcard."""
    essence = essence_of(media_type)
    return _CONCRETE.get(essence, "application/octet-stream") if "*" in essence else media_type


def is_text_type(media_type: str) -> bool:
    """Tell whether the content is text in a wide sense: JSON, XML, a form, ``text/…``."""
    essence = essence_of(media_type)
    is_structured = essence.endswith(("+xml", "+yaml")) or essence in {_FORM, *_TEXTS}
    return essence.startswith("text/") or is_json_type(essence) or is_structured


def is_xml_type(media_type: str) -> bool:
    """Tell whether the content is XML."""
    essence = essence_of(media_type)
    return essence.endswith(("/xml", "+xml"))


def render(value: Json, media_type: str, schema: JsonObject | None) -> bytes:
    """Return *value* as a body of *media_type*, UTF-8 where that is text. schema: names XML elements."""
    if is_json_type(media_type):
        return to_json(value)
    if isinstance(value, str):
        return value.encode()
    if is_xml_type(media_type):
        name = ((schema or {}).get("xml") or {}).get("name") or "root"
        text: bytes = ET.tostring(_element(name, value), encoding="utf-8")
        return text
    if essence_of(media_type) == _FORM and isinstance(value, dict):
        return urlencode({key: _plain(item) for key, item in value.items()}).encode()
    return to_json(value)


def render_items(items: Iterable[Json], media_type: str) -> Iterator[bytes]:
    """Yield the parts of a stream of *items*: server-sent events, JSON text sequences, else JSON lines.

    Source: WHATWG HTML, "Server-sent events"; RFC 7464; jsonlines.org.
    """
    essence = essence_of(media_type)
    for item in items:
        if is_event_stream(essence):
            yield _event(item)
        elif is_json_sequence(essence):
            yield b"\x1e" + to_json(item) + b"\n"
        else:
            yield to_json(item) + b"\n"


def _plain(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _event(item: Json) -> bytes:
    """Return one event. Its fields are those of *item* if it has ``data``, else *item* is the data."""
    if not isinstance(item, dict) or "data" not in item:
        return ServerSentEvent(item).encode()
    texts = {name: _plain(item[name]) for name in ("event", "id") if item.get(name) is not None}
    retry_ms = item["retry"] if type(item.get("retry")) is int else None
    return ServerSentEvent(item["data"], retry_ms=retry_ms, **texts).encode()


def _element(name: str, value: Json) -> ET.Element:
    element = ET.Element(name if name.isidentifier() else "item")
    if isinstance(value, dict):
        for key, inner in value.items():
            parts = inner if isinstance(inner, list) else [inner]
            element.extend(_element(key, part) for part in parts)
    elif isinstance(value, list):
        element.extend(_element("item", part) for part in value)
    elif value is not None:
        element.text = _plain(value)
    return element
