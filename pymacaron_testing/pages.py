"""Lists asked for on the target, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pymacaron_testing.paging import Listing, find_listing, read_cursor
from pymacaron_testing.sameness import is_kept
from pymacaron_testing.things import Thing, plain_case, read_thing

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_MOST_PAGES = 60
_USUAL_SIZE = 100


@dataclass(frozen=True, slots=True)
class Page:
    """One answer. items: None where it has none. query: what was asked for."""

    exchange: Exchange
    items: list[Json] | None
    query: Mapping[str, Json]

    @property
    def answer(self) -> Json:
        """The JSON of the answer."""
        return self.exchange.read_json()


@dataclass(frozen=True, slots=True)
class Walk:
    """All pages of a list. is_complete: they ended by themselves."""

    pages: list[Page] = field(default_factory=list)
    is_complete: bool = False

    @property
    def items(self) -> list[Json]:
        """The items of all pages."""
        return [item for page in self.pages for item in page.items or ()]

    @property
    def last(self) -> Exchange | None:
        """The last answer, None if nothing was sent."""
        return self.pages[-1].exchange if self.pages else None


def ask(
    suite: Suite, listing: Listing, path_values: Mapping[str, str], query: JsonObject, *, user: int = 0
) -> Page | None:
    """Ask for a part of a list; None where no valid request could be generated.

    query: replaces the optional query; required parameters stay as they are unless they stand in it.
    """
    case = plain_case(suite, listing.operation)
    if case is None:
        return None
    told = suite.hints.of(listing.operation).values
    names = {one.name for one in listing.operation.parameters if one.location == "query"}
    fixed = {**suite.generator.values_of(case).get("query", {}), **{key: told[key] for key in names & told.keys()}}
    wanted = {**fixed, **{name: _as_text(value) for name, value in query.items()}}
    if wanted != suite.generator.values_of(case).get("query", {}):
        case = suite.generator.with_part(case, "query", wanted)
    exchange = suite.send_apart(case, path_values, user=user)
    return Page(exchange, listing.read_items(exchange.read_json()) if exchange.is_success else None, wanted)


def _as_text(value: Json) -> Json:
    """Return *value* as it stands in a query: JSON's words for booleans."""
    return str(value).lower() if isinstance(value, bool) else value


def largest_size(listing: Listing) -> int:
    """Return the most items that a page may have."""
    assert listing.size is not None
    return int(min(listing.size.schema.get("maximum", _USUAL_SIZE), _USUAL_SIZE))


def walk(
    suite: Suite,
    listing: Listing,
    path_values: Mapping[str, str],
    query: JsonObject | None = None,
    *,
    size: int | None = None,
    user: int = 0,
) -> Walk:
    """Ask for all pages, as a caller does who wants everything. size: of a page, otherwise the largest one.

    Pages that are numbered or counted end with the first one that is empty, the largest ones also with one that is not
    full; those with cursors when there is no next one.
    """
    steps: JsonObject = dict(query or {})
    if listing.size is not None:
        steps[listing.size.name] = size or largest_size(listing)
    pages: list[Page] = []
    seen: set[str] = set()
    while len(pages) < _MOST_PAGES:
        page = ask(suite, listing, path_values, _step(listing, steps, len(pages)), user=user)
        if page is None or page.items is None:
            return Walk([*pages, page] if page else pages)
        pages.append(page)
        if not listing.has_pages or not page.items:
            return Walk(pages, is_complete=True)
        if listing.cursor is not None:
            cursor = read_cursor(listing, page.answer, page.items)
            if cursor is None or cursor in seen:
                return Walk(pages, is_complete=cursor is None)
            seen.add(cursor)
            steps[listing.cursor.name] = cursor
        elif len(page.items) < int(steps[listing.size.name] if listing.size else 0) and size is None:
            return Walk(pages, is_complete=True)
    return Walk(pages)


def _step(listing: Listing, query: JsonObject, number: int) -> JsonObject:
    """Return the query of page *number*, from 0."""
    if listing.offset is not None and listing.size is not None and number:
        return {**query, listing.offset.name: number * int(query[listing.size.name])}
    if listing.page is not None and number:
        return {**query, listing.page.name: listing.first_page + number}
    return query


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen of a thing. value: None: it is not there. exchange: None: there is no way to look."""

    exchange: Exchange | None
    value: JsonObject | None = None
    is_listed: bool = False


def look_at(suite: Suite, thing: Thing) -> Look:
    """Read *thing* back, from the list where the document has no reader."""
    exchange = read_thing(suite, thing)
    if exchange is None:
        return look_in_list(suite, thing)
    return Look(exchange, thing.kind.read_thing(exchange.read_json()) if exchange.is_success else None)


def look_in_list(suite: Suite, thing: Thing) -> Look:
    """Look for *thing* in the list of its kind, on all pages where the first one lacks it."""
    kind = thing.kind
    listing = find_listing(suite.api, suite.kinds, kind.lister) if kind.lister else None
    if listing is None:
        return Look(None)
    walked = walk(suite, listing, thing.path_values, user=thing.user)
    if walked.last is None or not walked.is_complete:
        return Look(None)
    found = next((page for page in walked.pages if any(is_thing(item, thing) for item in page.items or ())), None)
    if found is None:
        return Look(walked.pages[0].exchange)
    item = next(item for item in found.items or () if is_thing(item, thing))
    return Look(found.exchange, item, is_listed=True)


def is_thing(item: Json, thing: Thing) -> bool:
    """Tell whether *item* of a list is *thing*: it has its key, or all that was sent where things have none."""
    key = thing.path_values.get(thing.kind.key) or thing.kind.read_key(thing.answered)
    own = thing.kind.read_key(item)
    if key is not None and own is not None:
        return key == own
    sent = thing.sent_fields
    return isinstance(item, dict) and bool(sent) and all(is_kept(sent[name], item.get(name), {}) for name in sent)
