"""Bodies that are a sequence of items, cut into the texts of the items.

Source: OpenAPI 3.2, "Sequential Media Types"; RFC 7464 (json-seq); RFC 2046, section 5.1 (multipart); the
HTML standard, "Server-sent events".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import HTTP

from pymacaron.json_types import Json
from pymacaron.spec.media_types import is_json_type

_LINES = frozenset({"application/jsonl", "application/x-jsonl", "application/x-ndjson", "application/ndjson"})
_SEQUENCES = frozenset({"application/json-seq", "application/geo+json-seq"})
_RECORD_SEPARATOR = b"\x1e"
Items = list[bytes | Json]


def is_json_lines(essence: str) -> bool:
    """Tell whether the content is one JSON value a line."""
    return essence in _LINES


def is_json_sequence(essence: str) -> bool:
    """Tell whether the content is JSON values, each after a record separator."""
    return essence in _SEQUENCES or essence.endswith("+json-seq")


def is_event_stream(essence: str) -> bool:
    """Tell whether the content is server-sent events."""
    return essence == "text/event-stream"


def is_sequential(essence: str) -> bool:
    """Tell whether the content is a sequence of items."""
    return (
        is_json_lines(essence)
        or is_json_sequence(essence)
        or is_event_stream(essence)
        or (essence.startswith("multipart/") and essence != "multipart/form-data")
    )


def split_items(data: bytes, essence: str, media_type: str) -> Items:
    """Return the items of the sequence *data*: JSON text as bytes, what is no JSON as a value.

    media_type: the Content-Type in full, which names the boundary of a multipart body.
    Raises: ValueError: it cannot be cut into items.
    """
    if is_json_lines(essence):
        return [line for line in data.split(b"\n") if line.strip()]
    if is_json_sequence(essence):
        if data.strip() and not data.startswith(_RECORD_SEPARATOR):
            raise ValueError("the first item has no record separator before it")
        return [item for item in data.split(_RECORD_SEPARATOR) if item.strip()]
    return list(split_events(data)) if is_event_stream(essence) else _split_multipart(data, media_type)


def _split_multipart(data: bytes, media_type: str) -> Items:
    message = message_from_bytes(b"Content-Type: " + media_type.encode() + b"\r\n\r\n" + data, policy=HTTP)
    if not isinstance(message, EmailMessage) or not message.is_multipart() or message.defects:
        raise ValueError("it has no parts between boundaries")
    items: Items = []
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes):
            raise ValueError("a part of it has parts")  # noqa: TRY004 - of the request, not of the code
        items.append(content if is_json_type(part.get_content_type()) else content.decode())
    return items


def split_events(data: bytes) -> list[Mapping[str, Json]]:
    """Return the events of the stream *data*, as ``{data, event?, id?, retry?}``."""
    events: list[Mapping[str, Json]] = []
    fields: dict[str, Json] = {}
    for line in [*data.decode().replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff").split("\n"), ""]:
        name, _, text = line.partition(":")
        if line:
            reader = _EVENT_FIELDS.get(name)
            if reader is not None:
                reader(fields, text.removeprefix(" "))
        elif fields:
            if "data" in fields:
                events.append(fields)
            fields = {}
    return events


def _read_data(fields: dict[str, Json], text: str) -> None:
    fields["data"] = f"{fields['data']}\n{text}" if "data" in fields else text


def _read_retry(fields: dict[str, Json], text: str) -> None:
    if text.isascii() and text.isdecimal():
        fields["retry"] = int(text)


def _read_id(fields: dict[str, Json], text: str) -> None:
    if "\0" not in text:
        fields["id"] = text


def _read_event(fields: dict[str, Json], text: str) -> None:
    fields["event"] = text


_EVENT_FIELDS: Mapping[str, Callable[[dict[str, Json], str], None]] = {
    "data": _read_data,
    "event": _read_event,
    "id": _read_id,
    "retry": _read_retry,
}
