"""A handler's value becomes the bytes of an answer in the representation that was chosen for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from flask import Response, stream_with_context
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from pymacaron import file_answers
from pymacaron.call import PlainAnswer
from pymacaron.error_response import report_failure
from pymacaron.exceptions import BadResponseException, PyMacaronException
from pymacaron.response_check import Violation
from pymacaron.streams import EVENT_STREAM_HEADERS, PieceWriter, is_stream, to_iterator, write_pieces

if TYPE_CHECKING:
    from pymacaron.declared_answer import Representation
    from pymacaron.handler_result import Draft
    from pymacaron.response_check import ViolationReporter
    from pymacaron.service import Service

Encoders = Mapping[type, Callable[[Any], object]]
_END = object()


class Renderer:
    """Renders the answers of one operation."""

    def __init__(
        self, service: Service, operation_id: str, reporter: ViolationReporter, note_error: Callable[[int], None]
    ) -> None:
        """Take *note_error*, which hears of the status of an error that a stream begins with."""
        self._service = service
        self._operation_id = operation_id
        self._reporter = reporter
        self._note_error = note_error

    def render(self, draft: Draft) -> PlainAnswer | Response:
        """Return the answer of *draft*. Raises BadResponseException: its value has no bytes of that kind."""
        value, representation = draft.value, draft.representation
        if isinstance(value, (bytes, str)) and not (representation is not None and representation.is_json):
            return self._render_text(draft, value)
        if file_answers.is_file(value):
            draft.content_type = self._content_type(draft, file_answers.guess_media_type(value))
            return file_answers.send(value, draft.status, draft.content_type)
        is_sequence = representation is not None and representation.is_sequential and isinstance(value, list)
        if is_stream(value) or is_sequence:
            return self._render_stream(draft, iter(value) if isinstance(value, list) else to_iterator(value))
        if value is None and representation is not None and not representation.takes_json:
            if not draft.is_head:
                draft.violate(Violation("body", "the document declares a body, the handler returned none"))
            return PlainAnswer(draft.status, self._content_type(draft, "text/plain"), b"")
        return self._render_json(draft)

    def _render_text(self, draft: Draft, value: bytes | str) -> PlainAnswer:
        if isinstance(value, bytes):
            return PlainAnswer(draft.status, self._content_type(draft, "application/octet-stream"), value)
        if draft.is_checked and draft.representation is not None:
            draft.violations += draft.representation.find_text_violations(value)
        return PlainAnswer(draft.status, self._content_type(draft, "text/plain"), value.encode())

    def _content_type(self, draft: Draft, default: str) -> str:
        """Return the Content-Type: what the handler named, else the declared one, else *default*, with its charset."""
        if draft.content_type:
            return draft.content_type
        representation = draft.representation
        media_type = default if representation is None or representation.is_range else representation.media_type
        is_bare_text = media_type.startswith("text/") and ";" not in media_type and media_type != "text/event-stream"
        return f"{media_type}; charset=utf-8" if is_bare_text else media_type

    def _render_json(self, draft: Draft) -> PlainAnswer:
        representation = draft.representation
        data = self._to_json(draft, representation)
        content_type = draft.content_type or "application/json"
        if not draft.content_type and representation is not None and representation.is_json:
            content_type = "application/json" if representation.is_range else representation.media_type
        elif not draft.content_type and representation is not None and not representation.takes_json:
            draft.violate(Violation("media type", "the document does not declare the media type application/json"))
        return PlainAnswer(draft.status, content_type, data)

    def _to_json(self, draft: Draft, representation: Representation | None) -> bytes:
        value = draft.value
        encoders = self._service.json_encoders
        try:
            trusted = representation.write_trusted(value) if representation is not None and not encoders else None
            if trusted is not None:
                return trusted
            data = _encode(value, encoders) if encoders else to_json(value, by_alias=True, inf_nan_mode="null")
        except (PydanticSerializationError, TypeError, ValueError) as error:
            raise BadResponseException(f"{self._operation_id} returned what JSON cannot say: {error}") from error
        if draft.is_checked and representation is not None and representation.takes_json:
            draft.violations += representation.find_violations(data)
        return data

    def _render_stream(self, draft: Draft, pieces: Iterator[object]) -> PlainAnswer | Response:
        representation = draft.representation
        is_events = representation is not None and representation.is_event_stream
        if not is_events:  # a browser wants to know at once that it is connected
            first = self._read_first(pieces)
            pieces = _Resumed(pieces, first)
            if _is_array(first, representation):
                draft.value = list(pieces)
                return self._render_json(draft)
        writer = PieceWriter(representation, self._settle_items(draft.status) if draft.is_checked else None)
        content_type = self._content_type(draft, "application/octet-stream")
        if draft.is_head:
            _close(pieces)
            return PlainAnswer(draft.status, content_type, b"")
        body = write_pieces(pieces, writer, lambda error: report_failure(self._service, error))
        response = Response(stream_with_context(body), status=draft.status, content_type=content_type)
        if is_events:
            response.headers.update(EVENT_STREAM_HEADERS)
        return response

    def _settle_items(self, status: int) -> Callable[[list[Violation]], None]:
        return lambda violations: self._reporter.settle(status, violations)

    def _read_first(self, pieces: Iterator[object]) -> object:
        """Return the first piece of a stream: an error before it is still an answer of its own."""
        try:
            return next(pieces, _END)
        except PyMacaronException as error:
            self._note_error(self._service.status_of(error))
            raise


class _Resumed:
    """An iterator whose first piece was read already; closing it closes the rest."""

    def __init__(self, pieces: Iterator[object], first: object) -> None:
        self._pieces = pieces
        self._all = chain(() if first is _END else (first,), pieces)

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        return next(self._all)

    def close(self) -> None:
        _close(self._pieces)


def _close(pieces: Iterator[object]) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()


def _is_array(first: object, representation: Representation | None) -> bool:
    """Tell whether pieces that begin with *first* are the items of a JSON array: they are not written yet, or none."""
    if first is _END:
        return representation is not None and representation.is_json
    is_sequential = representation is not None and representation.is_sequential
    return not is_sequential and not isinstance(first, (str, bytes, bytearray, memoryview))


def _encode(value: object, encoders: Encoders) -> bytes:
    """Encode with the service's own functions by type; for services that give ``API(json_encoders=)``."""

    def default(element: object) -> object:
        if isinstance(element, BaseModel):
            return element.model_dump(by_alias=True)
        for cls, encode in encoders.items():
            if isinstance(element, cls):
                return encode(element)
        return json.loads(to_json(element))

    return json.dumps(value, default=default).encode()
