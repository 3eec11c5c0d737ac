"""What the query parameters of a list select by, read from their names: order, filters, ranges, a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymacaron_testing.fields import merge_rules
from pymacaron_testing.kinds import properties_of
from pymacaron_testing.resources import normalise, singular
from pymacaron_testing.sameness import read_instant

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Api, Parameter
    from pymacaron_testing.paging import Listing

_SORTS = {"sort", "order", "sortby", "orderby", "ordering", "sorting", "sortfield", "sortkey", "orderfield"}
_DIRECTIONS = {"order", "direction", "dir", "sortorder", "sortdir", "sortdirection", "orderdir", "orderdirection"}
_TEXTS = {"q", "query", "search", "text", "term", "keyword", "searchterm", "searchtext", "searchquery"}
_ASCENDING, _DESCENDING = {"asc", "ascending"}, {"desc", "descending"}
_LOW = r"min|from|after|since|gte|gt|start|above|newer"
_HIGH = r"max|to|before|until|lte|lt|end|below|older"
_BOUND = re.compile(
    rf"^(?:(?P<first>{_LOW}|{_HIGH})[_\-.]*(?P<after>.+)|(?P<before>.+?)[_\-.\[]*(?P<last>{_LOW}|{_HIGH})\]?)$",
    re.IGNORECASE,
)
_INCLUSIVE_NAME = re.compile(r"^(?:min|max)|(?:min|max|gte|lte)\]?$", re.IGNORECASE)
_INCLUSIVE = re.compile(r"at (?:least|most)|or (?:more|less|later|earlier|equal)|inclusive|up to and", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CREATED = (
    "createdat", "created", "createdon", "date", "timestamp", "creationdate", "datecreated", "placedat", "orderedat",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """A value of a sort parameter. query: what asks for it. descending: None where either way is right."""

    query: Mapping[str, Json]
    field: str
    descending: bool | None


@dataclass(frozen=True, slots=True)
class Filter:
    """A parameter that leaves only some items. bound: "" for equal ones, "low" or "high" for one end of a range."""

    parameter: Parameter
    field: str
    bound: str = ""


def find_text_parameter(listing: Listing) -> Parameter | None:
    """Return the parameter that holds a text to look for."""
    queries = [one for one in listing.operation.parameters if one.location == "query"]
    return next((one for one in queries if normalise(one.name) in _TEXTS), None)


def find_orders(api: Api, listing: Listing) -> Iterator[Order]:
    """Yield each order that the document lets a caller ask for."""
    queries = [one for one in listing.operation.parameters if one.location == "query"]
    rules = {one.name: merge_rules(one.schema, api.document) for one in queries}
    fields = {normalise(name): name for name in properties_of(listing.thing, api.document)}
    sorts = [one for one in queries if normalise(one.name) in _SORTS]
    sort = next((one for one in sorts if not _is_direction(rules[one.name])), None)
    told = f"{listing.operation.summary} {listing.operation.description}"
    created = next((fields[name] for name in _CREATED if name in fields), "")
    if created and re.search(r"(?:newest|latest|most recent)(?: one)?s? first", told, re.IGNORECASE):
        yield Order({}, created, descending=True)
    if created and re.search(r"oldest first", told, re.IGNORECASE):
        yield Order({}, created, descending=False)
    direction = next(
        (one for one in queries if normalise(one.name) in _DIRECTIONS and _is_direction(rules[one.name])), None
    )
    if sort is None:
        return
    values = [str(value) for value in rules[sort.name].get("enum", rules[sort.name].get("items", {}).get("enum", ()))]
    has_minus = any(value.startswith("-") for value in values)
    for value in values:
        field, descending = _read_order(value, fields)
        if not field:
            continue
        if direction is not None and descending is None:
            for word in rules[direction.name]["enum"]:
                yield Order({sort.name: value, direction.name: word}, field, str(word).lower() in _DESCENDING)
        else:
            yield Order({sort.name: value}, field, False if descending is None and has_minus else descending)


def find_filters(api: Api, listing: Listing) -> Iterator[Filter]:
    """Yield the parameters that are called like a property of the items, or like one end of a range of it."""
    rules = properties_of(listing.thing, api.document)
    fields = {normalise(name): name for name in rules}
    singles = {singular(name): name for name in rules}
    text = find_text_parameter(listing)
    for parameter in listing.operation.parameters:
        name = re.sub(r"^filter\[(.+)\]$", r"\1", parameter.name)
        plain = normalise(name)
        is_other = parameter.location != "query" or parameter.name in listing.controls or parameter is text
        if is_other or plain in _SORTS | _DIRECTIONS:
            continue
        field = fields.get(plain) or singles.get(singular(name)) or fields.get(re.sub("^(?:is|has)", "", plain), "")
        if field:
            if is_alike(merge_rules(parameter.schema, api.document), merge_rules(rules[field], api.document)):
                yield Filter(parameter, field)
            continue
        bound, field = _read_bound(name, fields, parameter.description)
        if field and merge_rules(rules[field], api.document).get("type") != ["array"]:
            yield Filter(parameter, field, bound)


def is_alike(parameter: JsonObject, field: JsonObject) -> bool:
    """Tell whether values of a field can be asked for by a parameter: a flag is not chosen by a text.

    parameter, field: rules as of `merge_rules`; an array on one side stands for its items.
    """
    ours, theirs = (_scalar_types(rules) for rules in (parameter, field))
    return not ours or not theirs or bool(ours & theirs)


def _scalar_types(rules: JsonObject) -> set[str]:
    types = set(rules.get("type", [])) | set(rules.get("items", {}).get("type", []))
    return {"number" if name == "integer" else name for name in types - {"array", "null"}}


def matches(chosen: Filter, item: Json, value: Json) -> bool | None:
    """Tell whether *item* may be in a list that *value* of the parameter selects; None where that is open.

    Texts that contain the value may be, whatever their case; those at the very end of a range may or may not, unless
    the parameter's name or description says that they are. A list of values selects what has one of them; of what has a
    list itself those with one may be, and those with all must.
    """
    own = item.get(chosen.field) if isinstance(item, dict) else None
    if isinstance(value, list):
        answers = [matches(chosen, item, one) for one in value]
        is_sure = all(answers) if isinstance(own, list) else True in answers
        return True if is_sure else None if None in answers or True in answers else False
    if own is None:
        return None if chosen.bound else False
    if chosen.bound:
        return _is_within(own, value, chosen)
    if isinstance(own, list):
        return any(part == value for part in own)
    if isinstance(own, str) and isinstance(value, str) and own != value:
        return None if value.casefold() in own.casefold() else False
    return bool(own == value)


def comparable(value: Json) -> float | str | None:
    """Return what *value* is compared by: numbers and instants as numbers, plain words as texts, None for all else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value
    instant = read_instant(value)
    if instant is not None:
        return instant
    is_word = isinstance(value, str) and re.fullmatch(r"[a-z]+", value)
    return value if is_word else None


def _is_direction(rules: JsonObject) -> bool:
    words = {str(value).lower() for value in rules.get("enum", ())}
    return bool(words) and words <= _ASCENDING | _DESCENDING


def _read_order(value: str, fields: Mapping[str, str]) -> tuple[str, bool | None]:
    """Return the property that a value of a sort parameter names, and whether it is descending."""
    sign, word = (value[0], value[1:]) if value[:1] in {"-", "+"} else ("", value)
    if normalise(word) in fields:
        return fields[normalise(word)], {"-": True, "+": False}.get(sign)
    parts = [part for part in re.split(r"[\s:._\-]+", _CAMEL.sub("_", word)) if part]
    for ends, descending in ((_ASCENDING, False), (_DESCENDING, True)):
        if parts and parts[-1].lower() in ends and normalise("".join(parts[:-1])) in fields:
            return fields[normalise("".join(parts[:-1]))], descending
        if parts and parts[0].lower() in ends and normalise("".join(parts[1:])) in fields:
            return fields[normalise("".join(parts[1:]))], descending
    created = next((fields[name] for name in _CREATED if name in fields), "")
    known = {"newest": True, "latest": True, "recent": True, "oldest": False}
    return (created, known[word.lower()]) if word.lower() in known else ("", None)


def _read_bound(name: str, fields: Mapping[str, str], description: str) -> tuple[str, str]:
    """Return which end of a range a parameter is, and of which property; empty texts where it is none.

    It has the property's name, without its unit where the description has that: ``max_price``, "Highest price_cents".
    """
    low = re.compile(rf"(?:{_LOW})", re.IGNORECASE)
    plain = normalise(name)
    if re.fullmatch(rf"{_LOW}|{_HIGH}", plain):
        created = next((fields[key] for key in _CREATED if key in fields), "")
        is_date = plain in {"from", "after", "since", "to", "before", "until"}
        return ("low" if low.fullmatch(plain) else "high", created) if is_date else ("", "")
    match = _BOUND.match(_CAMEL.sub("_", name))
    if match is None:
        return "", ""
    word, rest = (match["first"], match["after"]) if match["first"] else (match["last"], match["before"])
    base = normalise(rest)
    field = fields.get(base) or fields.get(f"{base}at") or fields.get(f"{base}on") or ""
    if not field:
        named = [one for key, one in fields.items() if key.startswith(base) and one in re.findall(r"\w+", description)]
        field = named[0] if len(named) == 1 else ""
    return "low" if low.fullmatch(word) else "high", field


def _is_within(own: Json, value: Json, chosen: Filter) -> bool | None:
    ours, theirs = comparable(own), comparable(value)
    if not isinstance(ours, int | float) or not isinstance(theirs, int | float):
        return None
    if ours == theirs:
        says_so = _INCLUSIVE_NAME.search(chosen.parameter.name) or _INCLUSIVE.search(chosen.parameter.description)
        return True if says_so else None
    return ours > theirs if chosen.bound == "low" else ours < theirs
