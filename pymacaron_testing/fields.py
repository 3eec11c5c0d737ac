"""Properties of a body that a caller sets, and values for them that tell whether they are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING

from pymacaron_testing.declared import branches_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject

_MAX_DEPTH = 2
_LETTERS = 6
_LARGE = (2**53 - 1, 2**32 + 1, 2**31)
_REFERENCE = re.compile(r"(?:^|[a-z_-])(?:Id|_id|-id|ID|Ids|_ids|IDs)$|^(?:id|ids|href)$")
_NUMBERS = (9, 10, 100, 2, 33, 1000, 5, 21, 7)
_WORDS = ("mango", "apple", "zebra", "kiwi", "banana", "olive", "cherry", "tulip", "plum")
_ORDINARY_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Field:
    """One property.

    path: below the body, ``("address", "city")``. rules: its schema's keywords, references followed.
    """

    path: tuple[str, ...]
    rules: Mapping[str, Json]
    is_required: bool

    @property
    def name(self) -> str:
        """The last word of its path."""
        return self.path[-1]

    @property
    def types(self) -> frozenset[str]:
        """Types that it may have."""
        types = self.rules.get("type", ())
        return frozenset([types] if isinstance(types, str) else types)

    @property
    def is_reference(self) -> bool:
        """Tell whether it names another thing."""
        return is_reference(self.name)


def find_fields(schema: JsonObject | None, document: JsonObject, path: tuple[str, ...] = ()) -> list[Field]:
    """Return the properties of *schema* that a caller may set, those of objects inside after these."""
    properties: dict[str, JsonObject] = {}
    required: set[str] = set()
    for branch in branches_of(schema or {}, document):
        properties.update({key: rule for key, rule in branch.get("properties", {}).items() if isinstance(rule, dict)})
        required.update(branch.get("required", ()))
    found: list[Field] = []
    inner: list[Field] = []
    for name, rule in properties.items():
        rules = merge_rules(rule, document)
        if rules.get("readOnly"):
            continue
        found.append(Field((*path, name), rules, name in required))
        if len(path) < _MAX_DEPTH and "properties" in rules:
            inner += find_fields(rule, document, (*path, name))
    return [*found, *inner]


def merge_rules(schema: JsonObject, document: JsonObject) -> JsonObject:
    """Return the keywords of *schema* and of what it refers to and is combined from, all types of these together."""
    merged: JsonObject = {}
    types: list[str] = []
    for branch in branches_of(schema, document):
        for key, value in branch.items():
            if key == "type":
                types += [value] if isinstance(value, str) else value
            elif key == "items" and isinstance(value, dict):
                merged.setdefault(key, merge_rules(value, document))
            elif key not in {"$ref", "allOf", "anyOf", "oneOf"}:
                merged.setdefault(key, value)
    if types:
        merged["type"] = list(dict.fromkeys(types))
    return merged


def telling_values(field: Field, number: int) -> list[Json]:
    """Return values that careless code changes; not all of them need be valid. number: makes texts unique."""
    rules, types = field.rules, field.types
    values: list[Json] = []
    if "enum" in rules:
        return [value for value in rules["enum"] if value is not None]
    if "const" in rules:
        return []
    if "boolean" in types:
        values += [True, False]
    if "integer" in types:
        values += [*_bounds(rules), *(large - number % 9 for large in _LARGE[:1]), *_LARGE[1:], 0, -1]
    elif "number" in types:
        values += [*_bounds(rules), 0.29, 1234567.89, 0, -1.5, 19.99]
    if "string" in types:
        values += list(_telling_texts(rules, number))
    if "array" in types:
        values.append([])
    if "null" in types:
        values.append(None)
    return values


def ordinary_value(field: Field, number: int) -> Json:
    """Return the *number*-th of some values as people write them, all different; None where there is no such."""
    rules, types = field.rules, field.types
    if "enum" in rules:
        members = [value for value in rules["enum"] if value is not None]
        return members[number % len(members)] if members else None
    if "boolean" in types:
        return number % 2 == 0
    if "integer" in types or "number" in types:
        return _fit_number(rules, number, is_whole="integer" in types)
    if "string" in types:
        return _ordinary_text(rules, number)
    if "array" in types and isinstance(rules.get("items"), dict):
        item = ordinary_value(Field(field.path, rules["items"], is_required=True), number)
        return None if item is None else [item]
    return None


def is_reference(name: str) -> bool:
    """Tell whether a property of this name names another thing: ``pet_id``, ``ownerIds``."""
    return bool(_REFERENCE.search(name))


def keep_references(fresh: Json, old: Json) -> Json:
    """Return *fresh* with what names other things as in *old*, which has the same properties."""
    if not isinstance(fresh, dict) or not isinstance(old, dict):
        return fresh
    return {
        key: old[key] if key in old and is_reference(key) else keep_references(value, old.get(key))
        for key, value in fresh.items()
    }


def to_letters(number: int) -> str:
    """Return *number* as six letters."""
    letters = ""
    for _ in range(_LETTERS):
        number, rest = divmod(number, len(ascii_lowercase))
        letters += ascii_lowercase[rest]
    return letters


def _bounds(rules: Mapping[str, Json]) -> Iterator[Json]:
    for key in ("maximum", "minimum"):
        if isinstance(rules.get(key), int | float):
            yield rules[key]


def _telling_texts(rules: Mapping[str, Json], number: int) -> Iterator[str]:
    tail = to_letters(number)
    match rules.get("format"):
        case "date-time":
            yield f"2031-07-{number % 27 + 1:02}T23:45:{number % 60:02}+05:30"
            yield f"2032-01-{number % 27 + 1:02}T00:15:{number % 60:02}.250Z"
        case "date":
            yield f"2032-02-{number % 28 + 1:02}"
        case "email":
            yield f"O'Brien+{tail}@example.com"
        case "uri" | "url":
            yield f"https://example.com/{tail}?a=1&b=%20#x"
        case None | "password" | "byte" | "html" | "markdown":
            longest = rules.get("maxLength", _ORDINARY_LENGTH)
            for text in (f"Zoë 😀 {tail}", f"Tom & Jerry's <{tail}>", f"ñ漢é\u05d0 {tail}"):
                yield text[:longest] if len(text) <= longest else tail[:longest]
            yield ("Ab " * longest)[: max(longest - len(tail), 0)] + tail[:longest]
            yield ""


def _fit_number(rules: Mapping[str, Json], number: int, *, is_whole: bool) -> Json:
    """Return a number within the bounds of *rules*; the first ones sort differently as texts."""
    low = rules.get("minimum", rules.get("exclusiveMinimum", 0))
    high = rules.get("maximum", rules.get("exclusiveMaximum"))
    step = rules.get("multipleOf", 1 if is_whole else 0.25)
    value = _NUMBERS[number % len(_NUMBERS)]
    if is_whole or step != 0.25:  # noqa: PLR2004 - the step of numbers that nothing is said about
        value = value * step if step >= 1 else value
    else:
        value += step * (number % 4)
    if value < low:
        value += -(-low // step) * step if step else low
    if high is not None and value > high:
        room = int((high - low) // step) if step else 0
        value = low + step * (1 + number % max(room - 1, 1)) if room else low
    return value


def _ordinary_text(rules: Mapping[str, Json], number: int) -> str | None:
    word = _WORDS[number % len(_WORDS)]
    day = f"2031-{number % 12 + 1:02}-{number % 27 + 1:02}"
    tail = to_letters(number)
    texts = {
        "date-time": f"{day}T{number % 24:02}:30:00Z",
        "date": day,
        "email": f"{word}.{tail}@example.com",
        "uri": f"https://example.com/{word}/{tail}",
        None: f"{word}{tail}",
    }
    text = texts.get(rules.get("format"))
    longest = rules.get("maxLength")
    if text is not None and rules.get("format") is None and longest is not None and len(text) > longest:
        text = text[-longest:] if longest < len(tail) else word[: longest - len(tail)] + tail
    return text
