"""Values at the edges of what a schema allows, and of what programs expect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from pymacaron_testing.declared import branches_of, types_of
from pymacaron_testing.resources import normalise

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject

_MAX_FILLED = 5000
_LONG = 3000
_MAX_NUMBER = 1e15
_INTEROPERABLE = 2**53


class Expectation(Enum):
    """What must become of a request with an edge value."""

    ACCEPTED = "it is accepted, and kept as it is"
    KEPT = "it may be refused, but is kept as it is if it is accepted"
    SURVIVED = "it does not make the server fail"
    REFUSED = "it is refused"
    NOT_ANSWERED = "it may be accepted, but no answer has it, as it is no value of its format"


@dataclass(frozen=True, slots=True)
class Edge:
    """One value. words: what is special, for people. value: as JSON."""

    words: str
    value: Json
    expectation: Expectation


# Texts that programs stumble over, each in fewer than 20 characters: people write them, any service must keep them.
_TEXTS = {
    "characters beyond the basic plane": "🦊𝒳𠜎 fox",
    "combining characters": "e\u0301a\u0308 no\u0302",
    "right-to-left text": "שלום مرحبا",
    "characters whose case changes their number": "İß ŉ ﬁ",
    "joined emoji": "👩‍👩‍👧 👍🏽",
    "percent signs": "50% %2F %41",
    "quotes and backslashes": "O'Br\"ien \\ `x`",
    "open brackets": "a (b [c *d",
    "the word null": "null",
    "the number 0 as text": "0",
    "the number 007 as text": "007",
    "the word false": "false",
    "placeholders": "%s {0} ${x} {{7}}",
    "a comma and a semicolon": "a,b;c|d&e=f+g",
}
_TEXTS_MAYBE = {
    "markup": "<b>&amp;</b>",
    "a line break": "two\nlines\tand",
    "a name of JavaScript's": "__proto__",
    "a formula": "=1+1",
}
_TEXTS_BAD = {
    "NUL": "a\x00b",
    "control characters": "\x01\x1f\x7f\u2028\ufeff",
    "white space only": "   ",
    "private characters": "\ue000\uffff\U0010ffff",
}
_INTEGERS = {
    "0": 0,
    "1": 1,
    "-1": -1,
    "2^31 - 1": 2**31 - 1,
    "2^31": 2**31,
    "2^32 + 1": 2**32 + 1,
    "2^53 - 1": 2**53 - 1,
    "-2^31 - 1": -(2**31) - 1,
}
_INTEGERS_MAYBE = {"2^53": 2**53}
_INTEGERS_BAD = {"2^63 - 1": 2**63 - 1, "2^63": 2**63, "2^64": 2**64, "10^40": 10**40}
# Each is less than what it is written as once it is cut instead of rounded: int(0.29 * 100) is 28.
_NUMBERS = {"0": 0, "19.99": 19.99, "0.29": 0.29, "4.35": 4.35, "0.1": 0.1, "1": 1, "2^32 + 0.5": 2**32 + 0.5}
_NUMBERS_BAD = {"1e308": 1e308, "-0.0": -0.0, "1e-320": 1e-320, "2^63": 2**63}
_FORMATTED = {
    "date-time": {
        "another zone": "2024-02-29T23:30:00+05:30",
        "a zone west of Greenwich": "2023-12-31T20:00:00-08:00",
        "fractions of a second": "2031-06-30T12:00:00.123Z",
        "a time before 1970": "1969-07-20T20:17:40Z",
    },
    "date": {"a leap day": "2028-02-29", "the last day of a year": "2031-12-31", "a day before 1970": "1969-07-20"},
    "email": {"capitals and a plus sign": "Ada.Love+tag@Example.COM", "a long domain": "a@sub.sub.example.museum"},
    "uuid": {"capitals": "A987FBC9-4BED-4078-8F07-9141BA07C9F3"},
    "uri": {"a query and a fragment": "https://example.com/a%20b?c=d&e=%26#f"},
}
_FORMATTED_BAD = {
    "date-time": ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2016-12-31T23:59:60Z", "2024-01-01t00:00:00z"),
    "date": ("0001-01-01", "9999-12-31"),
    "uri": ("http://[", "//", "http://a:99999/"),
    "uuid": ("00000000-0000-0000-0000-000000000000", "urn:uuid:a987fbc9-4bed-4078-8f07-9141ba07c9f3"),
    "email": ("@", "a@b@c", "ü@ü.example"),
}
# Texts that mean something to a service, whatever the document says of their form.
_MEANINGFUL = re.compile(
    r".*(?:email|mail|url|uri|link|href|website|phone|tel|mobile|fax|iban|bic|vat|zip|postcode|postalcode|currency|country"
    r"|language|lang|locale|timezone|tz|date|time|password|passwd|secret|token|otp|code|username|login|slug|color|colour"
    r"|domain|host|hostname|ip|ipaddress|mac|mimetype|contenttype|cron|regex|pattern|sort|orderby|cursor|fields|etag|sku|isbn)"
)
_REFERENCE = re.compile(r".*(?:ids?|uuids?|key|ref|reference)")
_COUNTING = re.compile(
    r"(?:limit|offset|page|pagesize|perpage|size|count|skip|start|top|first|last|cursor|max|year|month|day)"
)
_SUFFIX_LENGTH = 6


def list_edges(schema: JsonObject, name: str, document: JsonObject, suffix: str) -> list[Edge]:
    """Return the edge values of a property or parameter called *name*, whether its schema allows them or not.

    suffix: letters or digits that make texts unlike all others, where there is room. document: what ``$ref`` point
    into. Empty where the schema lists its values.
    """
    branches = list(branches_of(schema, document))
    if any("enum" in branch or "const" in branch for branch in branches):
        return []
    types = types_of(branches)
    is_meaningful = _MEANINGFUL.fullmatch(normalise(name)) or _REFERENCE.fullmatch(normalise(name))
    if "string" in types:
        return list(_string_edges(branches, suffix, is_meaningful=bool(is_meaningful)))
    if "integer" in types:
        return list(_integer_edges(branches, name))
    if "number" in types:
        return list(_number_edges())
    if "array" in types:
        return list(_array_edges(branches, name, document, suffix))
    return []


def _string_edges(branches: list[JsonObject], suffix: str, *, is_meaningful: bool) -> Iterator[Edge]:
    form = next((str(branch["format"]) for branch in branches if "format" in branch), "")
    if form in _FORMATTED or form in _FORMATTED_BAD:
        for words, value in _FORMATTED.get(form, {}).items():
            yield Edge(words, value, Expectation.KEPT)
        for value in _FORMATTED_BAD.get(form, ()):
            yield Edge(f"the {form} {value}", value, Expectation.SURVIVED)
        if form == "date":
            yield Edge("a day that does not exist", "2023-02-29", Expectation.NOT_ANSWERED)
        return
    is_free = not is_meaningful and not form and not any("pattern" in branch for branch in branches)
    most = min((branch["maxLength"] for branch in branches if "maxLength" in branch), default=None)
    for texts, expectation in (
        (_TEXTS, Expectation.ACCEPTED if is_free else Expectation.SURVIVED),
        (_TEXTS_MAYBE, Expectation.KEPT if is_free else Expectation.SURVIVED),
        (_TEXTS_BAD, Expectation.SURVIVED),
    ):
        for words, text in texts.items():
            yield Edge(words, _make_unlike(text, suffix, most), expectation)
    yield Edge("an empty text", "", Expectation.KEPT if is_free else Expectation.SURVIVED)
    if is_free:
        yield from _long_edges(most, suffix)


def _long_edges(most: int | None, suffix: str) -> Iterator[Edge]:
    if most is None:
        yield Edge(f"{_LONG} characters", "x" * _LONG + suffix, Expectation.KEPT)
    elif len(suffix) < most <= _MAX_FILLED:
        room = most - len(suffix)
        yield Edge(f"{most} characters of three bytes", "あ" * room + suffix, Expectation.ACCEPTED)
        yield Edge(f"{most} characters of four bytes", "🦊" * room + suffix, Expectation.KEPT)
        yield Edge(f"{most} characters", "x" * room + suffix, Expectation.ACCEPTED)


def _make_unlike(text: str, suffix: str, most: int | None) -> str:
    """Return *text*, cut to *most* characters, with *suffix* where there is room for both."""
    has_room = most is None or len(text) + 1 + len(suffix) <= most
    plain = text in {"null", "0", "007", "false", "__proto__"}
    return f"{text} {suffix}" if has_room and not plain else text[:most]


def _integer_edges(branches: list[JsonObject], name: str) -> Iterator[Edge]:
    is_plain = not _REFERENCE.fullmatch(normalise(name)) and not _COUNTING.fullmatch(normalise(name))
    bounds = [value for branch in branches for value in (branch.get("minimum"), branch.get("maximum"))]
    expectation = Expectation.ACCEPTED if is_plain else Expectation.SURVIVED
    is_int32 = any(branch.get("format") == "int32" for branch in branches)
    for words, value in [*_INTEGERS.items(), *((str(bound), bound) for bound in bounds if isinstance(bound, int))]:
        is_too_wide = is_int32 and not -(2**31) <= value < 2**31
        yield Edge(words, value, Expectation.SURVIVED if is_too_wide else expectation)
    for words, value in _INTEGERS_MAYBE.items():
        yield Edge(words, value, Expectation.KEPT if is_plain else Expectation.SURVIVED)
    for words, value in _INTEGERS_BAD.items():
        yield Edge(words, value, Expectation.SURVIVED)
    lowest = max((value for value in (branch.get("minimum") for branch in branches) if value is not None), default=0)
    if any(isinstance(branch.get("maximum"), int) for branch in branches):
        for power in (32, 64):
            yield Edge(f"2^{power} + {lowest + 1:g}", 2**power + int(lowest) + 1, Expectation.REFUSED)


def _number_edges() -> Iterator[Edge]:
    for words, value in _NUMBERS.items():
        yield Edge(words, value, Expectation.ACCEPTED)
    for words, value in _NUMBERS_BAD.items():
        yield Edge(words, value, Expectation.SURVIVED)


def _array_edges(branches: list[JsonObject], name: str, document: JsonObject, suffix: str) -> Iterator[Edge]:
    """Put edge texts and numbers into lists of one."""
    yield Edge("an empty list", [], Expectation.KEPT)
    items = next((branch["items"] for branch in branches if isinstance(branch.get("items"), dict)), None)
    if items is None:
        return
    kinds = types_of(branches_of(items, document))
    if kinds & {"string", "integer", "number"}:
        for edge in list_edges(items, name, document, suffix):
            yield Edge(f"a list with {edge.words}", [edge.value], edge.expectation)


def find_careless(pattern: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, and texts that a careless pattern matches: without ``^`` or ``$``, or in any case."""
    if value.swapcase() != value:
        yield "letters in the other case", value.swapcase()
    if pattern.startswith("^") and pattern.endswith("$"):
        yield "something before what the pattern allows", f"!! {value}"
        yield "something after what the pattern allows", f"{value} !!"
