"""What is asked of each service, what must come back, and the requests that it must refuse."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt

PEERS = Path(__file__).parent / "peers"
sys.path.insert(0, str(PEERS))

from samples import AUDIENCE, ISSUER, ORDERS, SECRET, USER, make_line, make_order  # noqa: E402 - from the folder above

TOKEN_LIFE_S = 86400


@dataclass(frozen=True, slots=True)
class Call:
    """A request and its expected answer. answer: JSON; None if only the status matters. statuses: any of these."""

    name: str
    method: str
    path: str
    statuses: tuple[int, ...]
    answer: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def make_token(secret: str = SECRET) -> str:
    """Return a token that the services accept, or a forged one if *secret* is not theirs."""
    now = int(time.time())
    claims = {"sub": USER, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + TOKEN_LIFE_S}
    return jwt.encode(claims, secret, algorithm="HS256")


def make_calls() -> dict[str, Call]:
    """Return the three operations that are measured: ``ping``, ``post``, ``list``."""
    order = make_order(7)
    headers = (("Authorization", f"Bearer {make_token()}"), ("Content-Type", "application/json"))
    return {
        "ping": Call("ping", "GET", "/ping", (200,), {}),
        "post": Call("post", "POST", "/orders", (200, 201), order, headers, json.dumps(order).encode()),
        "list": Call("list", "GET", "/orders", (200,), {"orders": ORDERS}),
    }


def make_refused() -> list[Call]:
    """Return what must be refused, each broken in one place: token, and each constraint that the others do not show."""
    good = make_calls()["post"]
    forged = (("Authorization", f"Bearer {make_token('f' * 32)}"), *good.headers[1:])
    broken: dict[str, dict[str, object]] = {
        "no reference": {"reference": ""},
        "incomplete address": {"customer": {"name": "Ada", "email": "a@b.test", "address": {"country": "GB"}}},
        "no quantity": {"lines": [{**make_line(1), "quantity": 0}]},
        "quantity as words": {"lines": [{**make_line(1), "quantity": "many"}]},
        "unknown currency": {"currency": "XYZ"},
        "large discount": {"discount": 1.5},
        "time as words": {"placed_at": "today"},
        "day as words": {"deliver_on": "tomorrow"},
    }
    wrong = [
        replace(good, name=name, statuses=(400, 422), answer=None, body=json.dumps({**good.answer, **change}).encode())
        for name, change in broken.items()
    ]
    return [
        replace(good, name="no token", statuses=(401,), answer=None, headers=good.headers[1:]),
        replace(good, name="forged token", statuses=(401,), answer=None, headers=forged),
        replace(good, name="no JSON", statuses=(400, 422), answer=None, body=b'{"reference": '),
        *wrong,
    ]


def make_batch(size_bytes: int) -> Call:
    """Return a call whose body has about *size_bytes*."""
    line = len(json.dumps(make_line(1), separators=(",", ":"))) + 1
    count = max(1, round(size_bytes / line))
    lines = [make_line(number % 1000) for number in range(count)]
    body = json.dumps({"lines": lines}, separators=(",", ":")).encode()
    headers = (("Content-Type", "application/json"),)
    return Call(f"batch {size_bytes}", "POST", "/batches", (200,), {"count": count}, headers, body)


def make_part(operations: int) -> Call:
    """Return a call to the last of many *operations* that differ in their paths."""
    return Call(f"part {operations}", "GET", f"/kind{operations - 1}/7", (200,), {"id": 7})


def find_fault(call: Call, status: int, body: bytes) -> str | None:
    """Return what is wrong with an answer to *call*, None if it is as it must be."""
    if status not in call.statuses:
        return f"{call.name}: answered {status} instead of {call.statuses}: {body[:300]!r}"
    if call.answer is None:
        return None
    answer = json.loads(body)
    if _normalize(answer) == _normalize(call.answer):
        return None
    return f"{call.name}: answered {body[:300]!r} instead of {call.answer}"


def _normalize(value: Any) -> Any:
    """Return *value* with times of day in one notation: RFC 3339 allows ``Z`` and ``+00:00`` alike."""
    if isinstance(value, dict):
        return {name: _normalize(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_normalize(item) for item in value]
    if isinstance(value, str) and "T" in value and value[:4].isdecimal():
        return datetime.fromisoformat(value).isoformat()
    return value
