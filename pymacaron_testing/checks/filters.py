"""Filters leave what they select and nothing else: all of it, on whatever page it stands without them."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pymacaron_testing.checks.page_parts import judge_total
from pymacaron_testing.fields import merge_rules, to_letters
from pymacaron_testing.sameness import read_instant
from pymacaron_testing.selection import Filter, comparable, find_filters, find_text_parameter, matches
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Parameter
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.stage import Stage

_MAX_FILTERS = 10
_FEW = 2
_PARTS = 4
_TWO_DAYS_S = 2 * 24 * 60 * 60
_ANY_CASE = re.compile(
    r"case.?insensitive|(?:any|whatever|either) case|ignor\w* case|regardless of case", re.IGNORECASE
)


def check_filters(stage: Stage) -> Iterator[Failure]:
    """Ask for values that some items have, and for one that none has, in large pages and in small ones."""
    chosen = list(find_filters(stage.suite.api, stage.listing))[:_MAX_FILTERS]
    for one in chosen:
        values = _choose_values(stage, one)
        for value in values:
            failure = _judge_filter(stage, one, value)
            if failure is not None:
                yield failure
                break
        else:
            yield from _check_small_pages(stage, one, values)


def _choose_values(stage: Stage, chosen: Filter) -> list[Json]:
    """Return values that part the items: the most frequent one, a rare one, and a member of the enum that none has."""
    own = [item.get(chosen.field) for item in stage.whole if isinstance(item, dict)]
    flat = [part for value in own for part in (value if isinstance(value, list) else [value])]
    usable = [value for value in flat if isinstance(value, str | int | float) and value != ""]
    rules = merge_rules(chosen.parameter.schema, stage.suite.api.document)
    if (
        chosen.bound
        and rules.get("format") == "date"
        and any(isinstance(value, str) and "T" in value for value in usable)
    ):
        return list(_days_outside(chosen, usable))
    if chosen.bound:
        ordered = sorted({value for value in usable if isinstance(comparable(value), int | float)}, key=_key)
        return ordered[len(ordered) // 2 : len(ordered) // 2 + 1]
    counts = Counter(usable).most_common()
    values = [value for value, _ in (counts[:1] + counts[-1:] if len(counts) > 1 else counts)]
    is_list = "array" in rules.get("type", [])
    members = (merge_rules(rules.get("items", {}), stage.suite.api.document) if is_list else rules).get("enum", ())
    unused = [member for member in members if member is not None and member not in dict(counts)][:1]
    several = [*unused, *(value for value, _ in reversed(counts[:2]))]  # what all have is not the first
    several = several[: rules.get("maxItems")] if is_list else []
    return [*values, *unused, *([several] if len(several) >= _FEW else [])]


def _days_outside(chosen: Filter, values: list[Json]) -> Iterator[str]:
    """Yield a day with all *values*, instants, on the far side of it: nothing may be left."""
    instants = [instant for value in values if (instant := read_instant(value)) is not None]
    if instants:
        edge = max(instants) + _TWO_DAYS_S if chosen.bound == "low" else min(instants) - _TWO_DAYS_S
        yield dt.datetime.fromtimestamp(edge, tz=dt.UTC).date().isoformat()


def _key(value: Json) -> float:
    key = comparable(value)
    return key if isinstance(key, int | float) else 0


def _judge_filter(stage: Stage, chosen: Filter, value: Json) -> Failure | None:
    name = chosen.parameter.name
    walked = stage.walk({name: _join(chosen, value)})
    if walked.last is None or not walked.is_complete:
        return None
    said = f"{name_of(stage.listing.operation)} with {name}={value}"
    for page in walked.pages:
        for item in page.items or ():
            if matches(chosen, item, value) is False and isinstance(item, dict) and chosen.field in item:
                detail = f"{stage.key_of(item)} has {chosen.field} {item[chosen.field]!r}"
                return stage.fail(page.exchange, "filter", f"{said} answers only what fits", detail, name)
    keys = {stage.key_of(item) for item in walked.items}
    lost = [item for item in stage.whole if matches(chosen, item, value) and stage.key_of(item) not in keys]
    if lost:
        detail = f"{stage.key_of(lost[0])} has {chosen.field} {lost[0][chosen.field]!r} and is not there"
        return stage.fail(walked.pages[0].exchange, "filter", f"{said} answers all that fits", detail, name)
    return next(judge_total(stage, {name: _join(chosen, value)}, len(walked.items)), None)


def _join(chosen: Filter, value: Json) -> Json:
    """Return a list of values as its parameter writes it."""
    marks = {"spaceDelimited": " ", "pipeDelimited": "|"}
    if not isinstance(value, list) or (chosen.parameter.explode and chosen.parameter.style not in marks):
        return value
    return marks.get(chosen.parameter.style, ",").join(map(str, value))


def _check_small_pages(stage: Stage, chosen: Filter, values: list[Json]) -> Iterator[Failure]:
    """Take what a filter leaves in small pages: it is the same as in large ones."""
    if not stage.listing.has_pages or stage.listing.size is None:
        return
    name = chosen.parameter.name
    for value in values[:_FEW]:
        expected = [stage.key_of(item) for item in stage.whole if matches(chosen, item, value)]
        if not len(expected) > _FEW:
            continue
        size = max(_FEW, -(-len(expected) // 4), int(stage.listing.size.schema.get("minimum", 1)))
        walked = stage.walk({name: _join(chosen, value)}, size=size)
        keys = {stage.key_of(item) for item in walked.items}
        lost = [key for key in expected if key not in keys]
        if lost and walked.last is not None and all(page.items is not None for page in walked.pages):
            said = f"the pages of {name_of(stage.listing.operation)} with {name}={value} have all that fits"
            yield stage.fail(walked.last, "filter", said, f"{lost[0]} is on none of them", name)
            return


def check_text(stage: Stage) -> Iterator[Failure]:
    """Look for a text that nothing has, and for one that all have that were made."""
    parameter = find_text_parameter(stage.listing)
    if parameter is None:
        return
    nonsense = to_letters(stage.suite.run_salt // 7 + 11) + "zq"
    page = stage.ask({parameter.name: nonsense})
    if page is not None and page.items and len(page.items) >= min(len(stage.whole), 5):
        promise = f"{name_of(stage.listing.operation)} answers what has the text of {parameter.name}"
        detail = f"{len(page.items)} items came for a text that none has"
        yield stage.fail(page.exchange, "text", promise, detail, parameter.name)
        return
    walked = stage.walk({parameter.name: stage.word})
    if not walked.is_complete or not walked.items:
        return
    keys = {stage.key_of(item) for item in walked.items}
    lost = [key for thing in stage.made if (key := stage.key_of(thing.answered)) not in keys]
    if lost and walked.last is not None and stage.listing.kind is not None and stage.listing.kind.key_field:
        promise = f"{name_of(stage.listing.operation)} answers all that has the text of {parameter.name}"
        yield stage.fail(walked.last, "text", promise, f"{lost[0]} has it and is not there", parameter.name)
        return
    told = f"{stage.listing.operation.summary} {stage.listing.operation.description} {parameter.description}"
    if _ANY_CASE.search(told):
        yield from _check_case(stage, parameter, len(walked.items))


def _check_case(stage: Stage, parameter: Parameter, expected: int) -> Iterator[Failure]:
    upper = stage.walk({parameter.name: stage.word.upper()})
    if upper.last is not None and upper.is_complete and len(upper.items) < expected:
        promise = f"{name_of(stage.listing.operation)} looks for the text of {parameter.name} in any case"
        detail = f"{expected} items came for it in small letters, {len(upper.items)} in capitals"
        yield stage.fail(upper.last, "text", promise, detail, parameter.name)
