"""Messages tell when they are due, and how long they have waited."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from pymacaron.tasks.messages import find_age, find_due


def _write(queued_at: Any, **headers: Any) -> str:
    body = base64.b64encode(json.dumps([[{"queued_at": queued_at}], {}, {}]).encode()).decode()
    return json.dumps({"body": body, "headers": headers})


def test_when_a_message_is_due() -> None:
    """It is due at its ETA, or has always been."""
    assert find_due({"eta": "2030-01-01T00:00:00+00:00"}) == datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    assert [find_due(headers) for headers in ({}, {"eta": None})] == [0.0, 0.0]


def test_how_long_a_message_has_waited() -> None:
    """What has a delay waits from its end on."""
    now = time.time()
    ages = [
        find_age(_write(now - 1000)),
        find_age(_write(now - 1000, eta=datetime.fromtimestamp(now - 400, UTC).isoformat())),
    ]
    assert [age is not None and round(age, -2) for age in ages] == [1000, 400]
    assert find_age(_write(now, eta=datetime.fromtimestamp(now + 400, UTC).isoformat())) == 0


@pytest.mark.parametrize("message", ["no json", "[]", json.dumps({"body": "e30="}), _write("soon"), b"\xff"])
def test_messages_of_other_programs_have_no_age(message: str | bytes) -> None:
    """What has another form is none of ours, and does no harm."""
    assert find_age(message) is None
