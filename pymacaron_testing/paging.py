"""How a document divides a list into pages: which parameters and properties say what, read from their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from pymacaron_testing.fields import merge_rules
from pymacaron_testing.kinds import Kind, answer_schema, find_list, inside, items_schema, properties_of
from pymacaron_testing.resources import normalise

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Api, Operation, Parameter

_SIZES = {
    "limit", "perpage", "pagesize", "size", "count", "max", "top", "first", "take", "maxresults", "pagelen", "rows",
    "maxitems", "pagelimit", "itemsperpage", "results",
}  # fmt: skip
_OFFSETS = {"offset", "skip", "start", "startindex", "pageoffset", "from", "firstresult"}
_PAGES = {"page", "pagenumber", "pageno", "p", "pagenum", "pageindex", "currentpage"}
_CURSORS = {
    "cursor", "after", "next", "pagetoken", "token", "continuation", "startingafter", "nexttoken", "marker",
    "continuationtoken", "pagecursor", "nextcursor", "pageafter", "nextpagetoken",
}  # fmt: skip
_NEXT = {
    "nextcursor", "next", "cursor", "nextpagetoken", "continuation", "nexttoken", "nextpage", "endcursor", "after",
    "continuationtoken", "nextmarker", "marker",
}  # fmt: skip
_TOTALS = {"total", "totalcount", "totalitems", "totalresults", "totalelements", "totalrecords"}
_TOTAL_HEADERS = ("x-total-count", "x-total", "total-count")
_MORE = {"hasmore", "hasnext", "more", "hasnextpage"}
_ENVELOPES = ("meta", "pagination", "paging", "page", "pageinfo", "info", "metadata", "links", "cursors")

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """An operation that answers a list.

    items: property that holds it, empty where the answer is the array. thing: schema of one item. kind: whose things
    they are, None if that is unknown. size, offset, page, cursor: the parameters that choose a part. next, total,
    more: where an answer holds the next cursor, the number of all items and whether there are more, () where nowhere.
    total_header: the header with the number of all items.
    """

    operation: Operation
    items: str
    thing: JsonObject | None
    kind: Kind | None = None
    size: Parameter | None = None
    offset: Parameter | None = None
    page: Parameter | None = None
    cursor: Parameter | None = None
    next: Place = ()
    total: Place = ()
    more: Place = ()
    total_header: str = ""

    @property
    def has_pages(self) -> bool:
        """Tell whether parts of the list can be asked for one after the other."""
        return self.size is not None and any((self.offset, self.page, self.cursor))

    @property
    def controls(self) -> frozenset[str]:
        """Names of the parameters that choose a part."""
        some = (self.size, self.offset, self.page, self.cursor)
        return frozenset(parameter.name for parameter in some if parameter is not None)

    @property
    def first_page(self) -> int:
        """Number of the first page."""
        assert self.page is not None
        rules = self.page.schema
        first = rules.get("default", rules.get("minimum", 1))
        return first if isinstance(first, int) else 1

    def read_items(self, answer: Json) -> list[Json] | None:
        """Return the items of an answer, None if it has no list."""
        value = answer.get(self.items) if self.items and isinstance(answer, dict) else answer
        return value if isinstance(value, list) else None


def find_listing(api: Api, kinds: tuple[Kind, ...], operation: Operation) -> Listing | None:
    """Return how *operation* lists things; None if its answer is no list."""
    schema = answer_schema(operation)
    items = find_list(schema, api.document) if operation.method.upper() == "GET" else None
    if items is None:
        return None
    thing = items_schema(inside(schema, items, api.document), api.document)
    queries = {normalise(one.name): one for one in operation.parameters if one.location == "query"}
    places = _find_places(schema, api.document)
    response = next((one for one in operation.responses if one.status.startswith("2")), None)
    headers = {name.lower() for name in response.headers} if response else set()
    offset = _choose(queries, _OFFSETS, "integer", api)
    page = _choose(queries, _PAGES, "integer", api)
    cursor = None if offset or page else _choose(queries, _CURSORS, "string", api)
    return Listing(
        operation,
        items,
        thing,
        kind=_find_kind(kinds, operation, thing),
        size=_choose(queries, _SIZES, "integer", api),
        offset=offset,
        page=page,
        cursor=cursor,
        next=next((place for name, place in places.items() if name in _NEXT), ()) if cursor else (),
        total=next((place for name, place in places.items() if name in _TOTALS), ()),
        more=next((place for name, place in places.items() if name in _MORE), ()),
        total_header=next((name for name in _TOTAL_HEADERS if name in headers), ""),
    )


def look_up(answer: Json, place: Place) -> Json:
    """Return what stands at *place* in *answer*, None if nothing does."""
    for key in place:
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer


def read_cursor(listing: Listing, answer: Json, items: list[Json]) -> str | None:
    """Return the cursor of the page after the one that *answer* is; None after the last.

    Where answers hold no cursor it is the key of the last item.
    """
    if listing.cursor is None:
        return None
    value = look_up(answer, listing.next)
    if isinstance(value, str) and value.startswith(("http://", "https://", "/", "?")):
        found = parse_qs(urlsplit(value).query).get(listing.cursor.name)
        return found[0] if found else None
    if listing.next:
        return str(value) if value not in (None, "") else None
    return listing.kind.read_key(items[-1]) if items and listing.kind else None


def _choose(
    queries: Mapping[str, Parameter], names: set[str] | frozenset[str], wanted: str, api: Api
) -> Parameter | None:
    for name, parameter in queries.items():
        types = merge_rules(parameter.schema, api.document).get("type", [])
        if name in names and wanted in types:
            return parameter
    return None


def _find_places(schema: JsonObject | None, document: JsonObject) -> dict[str, Place]:
    """Return where an answer holds its scalars, those of its usual envelopes too: normalised name -> place."""
    found: dict[str, Place] = {}
    for name, rule in properties_of(schema, document).items():
        inner = properties_of(rule, document)
        if normalise(name) in _ENVELOPES and inner:
            found.update({normalise(key): (name, key) for key in inner})
        else:
            found.setdefault(normalise(name), (name,))
    return found


def _find_kind(kinds: tuple[Kind, ...], operation: Operation, thing: JsonObject | None) -> Kind | None:
    """Return the kind whose things *operation* lists: it is its lister, or its reader answers such a thing."""
    for kind in kinds:
        if kind.lister == operation:
            return kind
    alike = [kind for kind in kinds if kind.creator and answer_schema(kind.reader or kind.creator) == thing]
    return alike[0] if len(alike) == 1 else None
