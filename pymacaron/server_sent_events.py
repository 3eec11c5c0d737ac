"""Server-sent events, as a handler yields them and as a browser reads them.

Source: the HTML standard, section 9.2, "Server-sent events".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic_core import to_json

from pymacaron.json_types import Json, JsonObject

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event of a ``text/event-stream``.

    data: text as it is; anything else becomes JSON; None sends no data. event: its name, ``message`` to browsers if
    there is none. id: what a browser that reconnects sends back as ``Last-Event-ID``. retry_ms: how long it waits
    before that, in milliseconds. comment: a line that readers skip, to keep a connection open.
    Raises: ValueError: event or id has more than one line.
    """

    data: object = None
    event: str | None = None
    id: str | None = None
    retry_ms: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        """Refuse what would end a line, and with it write fields of its own."""
        for name in ("event", "id"):
            text = getattr(self, name)
            if text is not None and (_LINE_END.search(text) or "\0" in text):
                raise ValueError(f"{name} of a server-sent event must be one line")

    @classmethod
    def of(cls, item: object) -> ServerSentEvent:
        """Return the event that *item* means: one already, ``(event, data)``, or data alone."""
        if isinstance(item, cls):
            return item
        if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):  # noqa: PLR2004 - a pair
            return cls(item[1], event=item[0])
        return cls(item)

    def read_data(self) -> str | None:
        """Return the text of the data."""
        if self.data is None or isinstance(self.data, str):
            return self.data
        return self.data.decode() if isinstance(self.data, bytes) else to_json(self.data, by_alias=True).decode()

    def to_object(self) -> JsonObject:
        """Return what OpenAPI's itemSchema describes: ``{data, event?, id?, retry?}``."""
        fields: dict[str, Json] = {"data": self.read_data(), "event": self.event, "id": self.id, "retry": self.retry_ms}
        return {name: value for name, value in fields.items() if value is not None}

    def encode(self) -> bytes:
        """Return the lines of the event."""
        lines = [f": {line}" for line in _split(self.comment)]
        lines += [f"{name}: {value}" for name, value in (("event", self.event), ("id", self.id)) if value is not None]
        if self.retry_ms is not None:
            lines.append(f"retry: {self.retry_ms}")
        lines += [f"data: {line}" for line in _split(self.read_data())]
        return ("\n".join(lines) + "\n\n").encode()


def _split(text: str | None) -> list[str]:
    return [] if text is None else _LINE_END.split(text)
