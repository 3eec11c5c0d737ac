"""Answers that arrive piece by piece: server-sent events, JSON texts one a line, bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from pydantic_core import from_json

from pymacaron.item_streams import is_event_stream, is_json_lines, is_json_sequence
from pymacaron.json_types import Json

T = TypeVar("T")


class Stream(Generic[T]):
    """The items of an answer while they arrive.

    Iterate over it, or leave earlier by `close` or the end of a ``with`` block: the connection is then given up.
    """

    def __init__(self, items: Iterator[T], close: Callable[[], None]) -> None:
        """Take the *items*, and what ends the exchange."""
        self._items = items
        self._close = close

    def __iter__(self) -> Iterator[T]:
        """Yield each item as it arrives, then close."""
        try:
            yield from self._items
        finally:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection; may be called more than once."""
        self._close()


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """One event of a ``text/event-stream``. event: its type. id: the last one that the stream named, or ""."""

    data: str
    event: str = "message"
    id: str = ""
    retry_ms: int | None = None


def is_stream_type(essence: str) -> bool:
    """Tell whether content of that media type is events, or JSON texts, one after the other."""
    return is_event_stream(essence) or is_json_lines(essence) or is_json_sequence(essence)


def read_items(essence: str, pieces: Iterator[bytes]) -> Iterator[ReceivedEvent | Json]:
    """Yield what the stream *pieces* holds: events, or JSON values. Raises ValueError: one is no JSON."""
    if is_event_stream(essence):
        yield from read_events(pieces)
        return
    separator = b"\x1e" if is_json_sequence(essence) else b"\n"
    for text in _split(pieces, separator):
        if text.strip():
            yield from_json(text, allow_inf_nan=False)


def read_events(pieces: Iterator[bytes]) -> Iterator[ReceivedEvent]:
    """Yield the events of a stream; comments and events without data are left out.

    Source: HTML, section 9.2.6, "Interpreting an event stream".
    """
    data: list[str] = []
    event, last_id, retry_ms = "", "", None
    for line in _event_lines(pieces):
        if not line:
            if data:
                yield ReceivedEvent("\n".join(data), event or "message", last_id, retry_ms)
            data, event, retry_ms = [], "", None
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            event = value
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and value.isascii() and value.isdecimal():
            retry_ms = int(value)


def _event_lines(pieces: Iterator[bytes]) -> Iterator[str]:
    """Yield lines that end with CR, LF or both, without a byte order mark; a last one without an end is dropped."""
    rest = b""
    is_first = True
    for piece in pieces:
        rest += piece
        # A CR at the very end may be half of a CR LF.
        end = len(rest) - 1 if rest.endswith(b"\r") else len(rest)
        lines = rest[:end].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest = lines.pop() + rest[end:]
        for line in lines:
            text = line.decode(errors="replace")
            yield text.removeprefix("\ufeff") if is_first else text
            is_first = False
    if rest.endswith(b"\r"):
        yield rest[:-1].decode(errors="replace")


def _split(pieces: Iterator[bytes], separator: bytes) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *texts, rest = (rest + piece).split(separator)
        yield from texts
    yield rest
