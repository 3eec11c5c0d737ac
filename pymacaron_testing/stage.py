"""Things made for a list to show, so that there is something to page through, to sort and to filter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pymacaron_testing.bodies import Changes, complete, fields_of, with_changes
from pymacaron_testing.fields import merge_rules, ordinary_value, to_letters
from pymacaron_testing.pages import Page, Walk, ask, walk
from pymacaron_testing.selection import find_filters, find_text_parameter
from pymacaron_testing.things import Thing, make_thing, renew

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.fields import Field
    from pymacaron_testing.kinds import Kind
    from pymacaron_testing.paging import Listing
    from pymacaron_testing.suite import Suite

_THINGS = 7
FEWEST = 3


@dataclass(frozen=True, slots=True)
class Stage:
    """A list with something in it.

    query: what is always asked for. whole: all its items, taken in large pages. made: those of them that were made for
    it. word: stands in all texts of these, empty where nothing looks for texts.
    """

    suite: Suite
    listing: Listing
    path_values: Mapping[str, str]
    query: JsonObject
    whole: list[Json]
    exchange: Exchange
    made: tuple[Thing, ...] = ()
    word: str = ""

    @property
    def keys(self) -> list[str]:
        """What names each item."""
        return [self.key_of(item) for item in self.whole]

    def key_of(self, item: Json) -> str:
        """Return what names *item*, all of it where things have no key."""
        key = self.listing.kind.read_key(item) if self.listing.kind else None
        if key is None and isinstance(item, dict) and isinstance(item.get("id"), str | int):
            key = str(item["id"])
        return key if key is not None else json.dumps(item, sort_keys=True)

    def ask(self, query: JsonObject) -> Page | None:
        """Ask for a part; None where the answer is no list."""
        page = ask(self.suite, self.listing, self.path_values, {**self.query, **query})
        return page if page is not None and page.items is not None else None

    def walk(self, query: JsonObject, *, size: int | None = None) -> Walk:
        """Ask for all pages."""
        return walk(self.suite, self.listing, self.path_values, {**self.query, **query}, size=size)

    def fail(self, exchange: Exchange, check: str, promise: str, detail: str, cause: str = "") -> Failure:
        """Return the failure of an answer. cause: the parameter that it is about."""
        operation = self.listing.operation
        pointers = {one.name: one.pointer for one in operation.parameters}
        return self.suite.build_failure(
            exchange,
            check,
            promise=promise,
            pointer=pointers.get(cause, operation.pointer),
            cause=(cause,) if cause else (),
            detail=detail,
        )


def set_stage(suite: Suite, listing: Listing) -> Stage | str:
    """Make things that differ in all properties, and return the list with them; why there is none otherwise."""
    kind = listing.kind
    text = find_text_parameter(listing)
    suite.key_number += 1
    word = to_letters(suite.run_salt + suite.key_number) if text is not None else ""
    made: list[Thing] = []
    values: Mapping[str, str] = {}
    if kind is not None and kind.creator is not None:
        things = _make_things(suite, kind, word)
        if isinstance(things, str):
            return things
        made, values = things, things[0].path_values
    elif "{" in listing.operation.path:
        values = suite.find_path_values(listing.operation) or {}
    query: JsonObject = _ask_for_made(suite, listing, made)
    if text is not None and text.is_required:
        query[text.name] = word
    stage = see_whole(suite, listing, values, query)
    return replace(stage, word=word, made=tuple(made)) if isinstance(stage, Stage) else stage


def see_whole(suite: Suite, listing: Listing, path_values: Mapping[str, str], query: JsonObject) -> Stage | str:
    """Return the list as it is now; why it cannot be looked at otherwise."""
    walked = walk(suite, listing, path_values, query)
    if walked.last is None or not walked.is_complete:
        return "the list could not be read to its end"
    if len(walked.items) < FEWEST:
        return f"there are only {len(walked.items)} things in the list"
    return Stage(suite, listing, path_values, query, walked.items, walked.pages[0].exchange)


def again(stage: Stage) -> Stage | str:
    """Return the same list as it is now."""
    seen = see_whole(stage.suite, stage.listing, stage.path_values, stage.query)
    return replace(seen, word=stage.word, made=stage.made) if isinstance(seen, Stage) else seen


def _ask_for_made(suite: Suite, listing: Listing, made: list[Thing]) -> JsonObject:
    """Return the query that asks for *made* by their keys, where a parameter for these is required."""
    query: JsonObject = {}
    for one in find_filters(suite.api, listing):
        is_list = "array" in merge_rules(one.parameter.schema, suite.api.document).get("type", [])
        if one.parameter.is_required and is_list and made and one.field == made[0].kind.key_field:
            most = one.parameter.schema.get("maxItems", len(made))
            query[one.parameter.name] = [thing.answered.get(one.field) for thing in made][:most]
    return query


def _make_things(suite: Suite, kind: Kind, word: str) -> list[Thing] | str:
    """Make several things that belong to one new thing, where they belong to any. word: to stand in all their texts."""
    parent = next((other for other in suite.kinds if kind.parent and other.item_path == kind.parent), None)
    above = make_thing(suite, parent) if parent is not None and parent.creator is not None else None
    first = make_thing(suite, kind, parents=above.path_values if isinstance(above, Thing) else None)
    if isinstance(first, str) or kind.creator is None:
        return first if isinstance(first, str) else ""
    recipe = suite.recipes.get(kind.creator.operation_id)
    fields = [one for one in fields_of(suite, kind, kind.creator) if not one.is_reference]
    full = complete(suite, kind, recipe, fields) if recipe is not None else None
    made: list[Thing] = []
    for number in range(_THINGS if full is not None else 0):
        assert full is not None
        body = _vary(suite, kind, renew(suite, full), fields, number=number, word=word)
        thing = make_thing(suite, kind, parents=first.path_values, body=body)
        made += [thing] if isinstance(thing, Thing) else []
    return made or [first]


def _vary(suite: Suite, kind: Kind, case: Case, fields: list[Field], *, number: int, word: str) -> Json:
    """Return the body of *case* with the *number*-th of the ordinary values everywhere."""
    suite.key_number += 1
    tail = to_letters(suite.run_salt + suite.key_number)
    for field in fields:
        value = ordinary_value(field, number)
        if value is None:
            continue
        if isinstance(value, str) and "enum" not in field.rules and field.rules.get("format") is None:
            value = f"{value[: -len(tail)]}{tail}"
            with_word: Changes = {field.path: f"{word} {value}"}
            worded = with_changes(suite, kind, case, with_word) if word else None
            if worded is not None:
                case = worded
                continue
        changes: Changes = {field.path: value}
        case = with_changes(suite, kind, case, changes) or case
    return suite.generator.values_of(case).get("body")
