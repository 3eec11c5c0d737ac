"""A service whose handlers show what they got, and answer in every way there is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from flask import request
from werkzeug.datastructures import FileStorage

from pymacaron import ServerSentEvent, create_app
from pymacaron.pool import apipool

HERE = Path(__file__).parent
closed: list[int] = []


def take_json(body: Any) -> Any:
    return body


def show(body: Any) -> Any:
    """Return *body* as JSON with the name of its class."""
    value = body.hex() if isinstance(body, bytes) else body
    return {"class": type(body).__name__, "value": value}


take_versioned = take_optional = take_text = take_anything = take_items = show


def take_nothing() -> None:
    return None


def take_form(**fields: Any) -> Any:
    return fields


def upload(meta: Any, photo: FileStorage, docs: list[FileStorage] | None, **texts: Any) -> Any:
    return {
        "meta": meta,
        "photo": [photo.filename, photo.mimetype, len(photo.read())],
        "docs": [doc.read().decode(errors="replace") for doc in docs or []],
        **texts,
    }


def take_mixed(body: Any) -> Any:
    return body


def take_octets(body: bytes) -> bytes:
    return body[::-1]


def get_file(name: str, ext: str) -> list[str]:
    return [name, ext]


def get_report(id: int) -> int:  # noqa: A002 - the document's name
    return id


def get_colors(colors: list[str]) -> list[str]:
    return colors


def search(**parameters: Any) -> Any:
    return parameters


def whole_query(all: Any) -> Any:  # noqa: A002 - the document's name
    return all


def negotiate(kind: str) -> Any:
    note = apipool.bodies.Note(name="Rex")
    answers = {
        "model": note,
        "text": "name\nRex\n",
        "bytes": (b"\x89PNG", {"Content-Type": "image/png"}),
        "named": (note, {"Content-Type": "application/vnd.note+json"}),
    }
    return answers[kind]


def send_file() -> Path:
    return HERE / "hello.txt"


def send_picture() -> Path:
    return HERE / "dot.png"


def send_headers() -> Any:
    point = {"x": 1, "y": 2}
    headers = {"X-Ids": [1, 2], "X-Flag": True, "X-Until": date(2026, 1, 31), "X-Point": point, "X-Json": point}
    return 1, headers


def stream_notes() -> Iterator[object]:
    yield apipool.bodies.Note(name="a")
    yield {"name": "b"}


def tick(count: int) -> Iterator[object]:
    try:
        yield ServerSentEvent(comment="hello")
        for number in range(count):
            yield ServerSentEvent({"n": number}, event="tick", id=str(number))
            time.sleep(float(request.headers.get("X-Pause", "0")))
        yield "tick", {"n": -1}
    finally:
        closed.append(count)


def count_closed() -> int:
    return len(closed)


async def _words() -> AsyncIterator[str]:
    for word in ("one ", "two"):
        yield word


def later() -> AsyncIterator[str]:
    return _words()


def reset() -> None:
    return None


app = create_app(__name__, handlers=__name__)
