"""Events are written so that browsers read what was meant, and nothing else."""

from __future__ import annotations

import pytest

from pymacaron import ServerSentEvent
from pymacaron.item_streams import split_items

FULL = ServerSentEvent("x", event="e", id="7", retry_ms=1500, comment="hi\nho")


@pytest.mark.parametrize(
    ("item", "lines"),
    [
        pytest.param("a", "data: a", id="text"),
        pytest.param("a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: ", id="lines"),
        pytest.param({"a": [1, None]}, 'data: {"a":[1,null]}', id="JSON"),
        pytest.param(("added", 1), "event: added\ndata: 1", id="pair"),
        pytest.param(FULL, ": hi\n: ho\nevent: e\nid: 7\nretry: 1500\ndata: x", id="all"),
        pytest.param(ServerSentEvent(comment=""), ": ", id="ping"),
    ],
)
def test_encoding(item: object, lines: str) -> None:
    """What a handler yields becomes the lines of one event, which reads back as its fields."""
    event = ServerSentEvent.of(item)
    assert event.encode().decode() == f"{lines}\n\n"
    expected = [event.to_object()] if event.data is not None else []
    for fields in expected:
        fields["data"] = str(fields["data"]).replace("\r\n", "\n").replace("\r", "\n")
    assert split_items(event.encode(), "text/event-stream", "text/event-stream") == expected


@pytest.mark.parametrize("name", ["event", "id"])
@pytest.mark.parametrize("text", ["a\ndata: forged", "a\rb", "a\0b"])
def test_a_field_cannot_become_several(name: str, text: str) -> None:
    """A line end in a name or an id would let values write fields of their own."""
    with pytest.raises(ValueError, match=f"^{name} of a server-sent event must be one line$"):
        ServerSentEvent("x", **{name: text})  # type: ignore[arg-type]  # a text for either name
