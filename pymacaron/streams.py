"""Answers that are produced piece by piece: text and bytes as they are, JSON lines, JSON sequences, events.

Source: OpenAPI 3.2, "Sequential Media Types"; RFC 7464.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from pymacaron.exceptions import BadResponseException
from pymacaron.item_streams import is_json_lines, is_json_sequence
from pymacaron.server_sent_events import ServerSentEvent

if TYPE_CHECKING:
    from pymacaron.declared_answer import Representation
    from pymacaron.response_check import Violation

Settle = Callable[["list[Violation]"], None]
EVENT_STREAM_HEADERS: Mapping[str, str] = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""What keeps caches and nginx from holding events back."""


def is_stream(value: object) -> bool:
    """Tell whether *value* yields the pieces of an answer."""
    return isinstance(value, (Iterator, AsyncIterator))


def to_iterator(value: Any) -> Iterator[object]:
    """Return *value* as an iterator; an asynchronous one runs in an event loop of its own, while it is read."""
    return _run(value) if isinstance(value, AsyncIterator) else value


def _run(pieces: AsyncIterator[object]) -> Iterator[object]:
    with asyncio.Runner() as runner:
        try:
            while True:
                try:
                    yield runner.run(_next(pieces))
                except StopAsyncIteration:
                    return
        finally:
            if isinstance(pieces, AsyncGenerator):
                runner.run(_close(pieces))


async def _next(pieces: AsyncIterator[object]) -> object:
    return await anext(pieces)


async def _close(pieces: AsyncGenerator[object]) -> None:
    await pieces.aclose()


class PieceWriter:
    """Turns the pieces of a stream into bytes and checks each item that the document describes."""

    def __init__(self, representation: Representation | None, settle: Settle | None) -> None:
        """Take what *settle* does with violations; None: nothing is checked."""
        self._representation = representation
        self._settle = settle if representation is not None and representation.has_items else None
        self._rest = b""
        essence = representation.essence if representation is not None else ""
        self._is_lines = is_json_lines(essence)
        self._frame = (b"", b"\n") if self._is_lines else (b"\x1e", b"\n") if is_json_sequence(essence) else None
        self._is_events = representation is not None and representation.is_event_stream

    def write(self, piece: object) -> bytes:
        """Return the bytes of *piece*. Raises BadResponseException: they cannot be made, or break the document."""
        if self._is_events and not isinstance(piece, bytes):
            return self._write_event(ServerSentEvent.of(piece))
        if isinstance(piece, str):
            piece = piece.encode()
        if isinstance(piece, (bytes, bytearray, memoryview)):
            self._check_raw(bytes(piece))
            return bytes(piece)
        if self._frame is None:
            raise BadResponseException(f"a stream of this media type has pieces of str or bytes, not {type(piece)}")
        try:
            data = to_json(piece, by_alias=True, inf_nan_mode="null")
        except ValueError as error:
            raise BadResponseException(f"an item of the stream is what JSON cannot say: {error}") from error
        self._check_item(piece, data)
        return self._frame[0] + data + self._frame[1]

    def finish(self) -> None:
        """Check what is left after the last piece."""
        self._check_lines([self._rest])

    def _write_event(self, event: ServerSentEvent) -> bytes:
        if self._settle is not None and self._representation is not None:
            self._settle(self._representation.find_event_violations(event))
        return event.encode()

    def _check_item(self, item: object, data: bytes) -> None:
        representation = self._representation
        if self._settle is not None and representation is not None and not representation.is_trusted_item(item):
            self._settle(representation.find_item_violations(data))

    def _check_raw(self, data: bytes) -> None:
        """Check JSON lines that the handler wrote itself, wherever it cut them."""
        if self._settle is not None and self._is_lines:
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._check_lines(lines)

    def _check_lines(self, lines: list[bytes]) -> None:
        for line in lines:
            if line.strip():
                self._check_item(None, line)


def write_pieces(pieces: Iterator[object], writer: PieceWriter, note: Callable[[Exception], None]) -> Iterator[bytes]:
    """Yield the bytes of *pieces*; they are closed with the stream. note: told of what ends it early."""
    try:
        for piece in pieces:
            yield writer.write(piece)
        writer.finish()
    except Exception as error:
        note(error)
        raise
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
