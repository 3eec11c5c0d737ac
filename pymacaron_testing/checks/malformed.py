"""Requests of odd forms, of which no document speaks, never make the server fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from pymacaron_testing.checks.examples import NO_EXAMPLE, find_example, send_example
from pymacaron_testing.checks.leaks import describe_leak, find_leaks
from pymacaron_testing.checks.responses import suspect_answer
from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.wire import Change

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.suite import Suite

# Python's own JSON reader ends at a depth near 1000; what a service can be asked to survive lies well below.
_DEPTHS = (6, 50, 200)
_PADDING_BYTES = 1_200_000
_PATH_VALUES = (
    "a\x00b", "ü🦊", "'\"`", "%", "%2F", "../x", "\\", "-1", "0", str(2**31), str(2**63), "9" * 30, "null", "1e3",
    "x" * 300,
)  # fmt: skip
_PATH_BYTES = ("%00", "%FF", "%C3%28")
_HEADERS = {
    "Accept": "*/*;q=x, ;/",
    "Accept-Language": ";;,-",
    "Accept-Charset": "nonsense",
    "If-None-Match": "no quotes",
    "If-Modified-Since": "yesterday",
    "Range": "bytes=z-a",
    "X-Request-Id": "",
    "X-Forwarded-For": "not an address",
}


def check_malformed(suite: Suite, operation: Operation) -> Outcome:
    """Send requests with odd paths, queries, headers and bodies."""
    if find_example(suite, operation) is None:
        return Outcome(gaps=(f"requests of odd forms: {NO_EXAMPLE}",))
    suspicions: list[Suspicion] = []
    for exchange in _send_all(suite, operation):
        is_too_large = exchange.response is None and exchange.case.description.startswith("large")
        suspicions += [] if is_too_large else suspect_answer(suite, exchange)
        suspicions += [describe_leak(suite, exchange, what, found) for what, found in find_leaks(suite, exchange)]
    return confirm(suspicions, suite)


def _send_all(suite: Suite, operation: Operation) -> Iterator[Exchange]:
    if "{" in operation.path:
        yield from _send_paths(suite, operation)
    example = None if operation.method.upper() == "DELETE" else send_example(suite, operation)
    if example is None:
        return
    if any(parameter.location == "query" for parameter in operation.parameters):
        for words, url in odd_queries(str(example.request.url)):
            yield _change(suite, example, Change(url=url), words)
    yield _change(suite, example, Change(headers=dict(_HEADERS)), "odd headers")
    if operation.body is not None and any(media.is_json for media in operation.body.media) and example.request.body:
        sent = suite.generator.values_of(example.case).get("body")
        for words, data in odd_bodies(sent):
            yield _change(suite, example, Change(body=data), words)


def odd_queries(url: str) -> Iterator[tuple[str, str]]:
    """Yield what is odd, and *url* with such a query: all keys twice, one twice, lists, objects, bad encoding."""
    start, _, query = url.partition("?")
    pairs = {pair.partition("=")[0]: pair for pair in query.split("&") if pair}
    names = list(pairs)
    if not names:
        return
    yield "each parameter twice", f"{start}?{query}&{query}"
    for name, pair in pairs.items() if len(pairs) > 1 else ():
        yield f"the parameter {name} twice", f"{start}?{query}&{pair}"
    yield "lists in brackets", start + "?" + "&".join(f"{name}[]=1&{name}[]=2" for name in names)
    yield "objects in brackets", start + "?" + "&".join(f"{name}[a][b]=1" for name in names)
    yield "names without values", start + "?" + "&".join(names)
    yield "broken percent signs", start + "?" + "&".join(f"{name}=%zz%" for name in names)
    yield "bytes that are no UTF-8", start + "?" + "&".join(f"{name}=%FF%C3%28" for name in names)
    yield "NUL", start + "?" + "&".join(f"{name}=a%00b" for name in names)


def odd_bodies(sent: Json) -> Iterator[tuple[str, bytes]]:
    """Yield what is odd, and a JSON body like that; *sent* is one that is accepted."""
    for depth in _DEPTHS:
        yield f"lists in lists, {depth} deep", b"[" * depth + b"]" * depth
    yield "null", b"null"
    if not isinstance(sent, dict):
        return
    text = json.dumps(sent)
    nested: Json = "x"
    for _ in range(_DEPTHS[1]):
        nested = {"a": nested}
    yield f"an unknown property, {_DEPTHS[1]} deep", json.dumps({**sent, "pymacaron": nested}).encode()
    odd_keys = {"__proto__": {"x": 1}, "constructor": {"prototype": 1}, "": "x", "a.b": 1, "$ne": 1, "ü\x00🦊": 1}
    yield "properties of odd names", json.dumps({**sent, **odd_keys}).encode()
    if sent:
        yield "each property twice", f"{text[:-1]}, {text[1:]}".encode()
        wrapped = {key: [value] for key, value in sent.items()}
        yield "lists around all values", json.dumps(wrapped).encode()
        yield "objects around all values", json.dumps({key: {"$gt": value} for key, value in sent.items()}).encode()
    yield "large: spaces around it", text.encode() + b" " * _PADDING_BYTES


def _send_paths(suite: Suite, operation: Operation) -> Iterator[Exchange]:
    """Send odd values in the last parameter of the path, as text and as bytes that are no text."""
    case = find_example(suite, operation)
    assert case is not None
    known = suite.choose_path_values(case) or suite.generator.path_values(case)
    last = operation.path.rpartition("{")[2].partition("}")[0]
    odd = _as_probe(case, "odd path value")
    exchange = None
    for value in _PATH_VALUES:
        exchange = suite.wire.send(odd, {**known, last: value})
        yield exchange
    if exchange is None:
        return
    marker = quote(_PATH_VALUES[-1], safe="")
    for raw in _PATH_BYTES:
        yield suite.wire.send_changed(exchange, Change(url=str(exchange.request.url).replace(marker, raw)))


def _change(suite: Suite, example: Exchange, change: Change, words: str) -> Exchange:
    return suite.wire.send_changed(example, change, _as_probe(example.case, words))


def _as_probe(case: Case, words: str) -> Case:
    return replace(case, is_valid=False, is_probe=True, location="", subject="", description=words)
