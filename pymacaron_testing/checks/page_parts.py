"""Parts of a list: as large as asked for, next to each other, together the whole list, with right numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pymacaron_testing.paging import look_up
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron.spec import Parameter
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.pages import Page
    from pymacaron_testing.stage import Stage

_FEW = 2
_PARTS = 5


def check_sizes(stage: Stage) -> Iterator[Failure]:
    """Ask for pages of one and of two items, and without a size: none may have more."""
    size = stage.listing.size
    if size is None:
        return
    least = int(size.schema.get("minimum", 1))
    for number in dict.fromkeys((max(least, 1), max(least, _FEW))):
        page = stage.ask({size.name: number})
        if page is not None and page.items is not None:
            yield from _judge_size(stage, page, size, number)
    default = size.schema.get("default")
    if not isinstance(default, int) or len(stage.whole) <= default:
        return
    plain = stage.ask({})
    if plain is not None and plain.items is not None and len(plain.items) > default:
        promise = (
            f"{name_of(stage.listing.operation)} answers {default} items at most unless {size.name} says otherwise"
        )
        yield stage.fail(plain.exchange, "page_size", promise, f"{len(plain.items)} came", size.name)


def _judge_size(stage: Stage, page: Page, size: Parameter, number: int) -> Iterator[Failure]:
    assert page.items is not None
    name = name_of(stage.listing.operation)
    if len(page.items) > number:
        promise = f"{name} with {size.name}={number} answers {number} items at most"
        yield stage.fail(page.exchange, "page_size", promise, f"{len(page.items)} came", size.name)
    elif stage.listing.cursor is None and len(page.items) < min(number, len(stage.whole)):
        promise = f"{name} with {size.name}={number} answers {number} items where there are as many"
        detail = f"{len(page.items)} of {len(stage.whole)} came"
        yield stage.fail(page.exchange, "page_size", promise, detail, size.name)


def check_walk(stage: Stage) -> Iterator[Failure]:
    """Take the whole list in small pages: nothing comes twice and nothing is lost."""
    listing = stage.listing
    if not listing.has_pages or listing.size is None:
        return
    least = max(int(listing.size.schema.get("minimum", 1)), _FEW, -(-len(stage.whole) // _PARTS))
    sizes = range(least, len(stage.whole))
    uneven = next((size for size in sizes if len(stage.whole) % size), least)
    even = next((size for size in sizes if len(stage.whole) % size == 0), least)
    for size in dict.fromkeys((uneven, even)):
        found = list(_judge_walk(stage, size))
        yield from found
        if found:
            return


def _judge_walk(stage: Stage, size: int) -> Iterator[Failure]:
    """Take the whole list in pages of one size."""
    listing = stage.listing
    assert listing.size is not None
    name = name_of(listing.operation)
    walked = stage.walk({}, size=size)
    if walked.last is None or any(page.items is None for page in walked.pages):
        return
    keys = [stage.key_of(item) for item in walked.items]
    if not walked.is_complete and len(keys) > len(stage.whole):
        yield stage.fail(walked.last, "pages_end", f"the pages of {name} come to an end", f"{len(keys)} items came")
        return
    double = [key for key, count in Counter(keys).items() if count > Counter(stage.keys)[key]]
    if double:
        page = next(page for page in walked.pages[1:] if any(stage.key_of(item) in double for item in page.items or ()))
        detail = f"{double[0]} came on the page before as well, {listing.size.name} being {size}"
        yield stage.fail(page.exchange, "pages_overlap", f"each item is on one page of {name}", detail)
    lost = [key for key in stage.keys if key not in keys]
    if lost:
        detail = f"{lost[0]} of {len(stage.whole)} items is on none of {len(walked.pages)} pages of {size}"
        yield stage.fail(walked.last, "pages_lose", f"the pages of {name} have all items together", detail)
    yield from _check_more(stage, walked.pages)


def _check_more(stage: Stage, pages: list[Page]) -> Iterator[Failure]:
    """Look at what says whether there are more pages."""
    if not stage.listing.more:
        return
    taken = 0
    for page in pages:
        taken += len(page.items or ())
        said = look_up(page.answer, stage.listing.more)
        is_more = taken < len(stage.whole)
        if isinstance(said, bool) and said != is_more and page.items:
            field = ".".join(stage.listing.more)
            promise = f"{field} of {name_of(stage.listing.operation)} says whether there are more items"
            yield stage.fail(page.exchange, "more", promise, f"{taken} of {len(stage.whole)} were taken", field)
            return


def check_totals(stage: Stage) -> Iterator[Failure]:
    """Look at the number of all items, of whole and of small pages."""
    yield from judge_total(stage, {}, len(stage.whole))


def judge_total(stage: Stage, query: JsonObject, expected: int) -> Iterator[Failure]:
    """Yield a failure if the answer to *query*, in pages of the smallest size, says another number than *expected*."""
    listing = stage.listing
    if not listing.total and not listing.total_header:
        return
    small: JsonObject = {listing.size.name: max(int(listing.size.schema.get("minimum", 1)), 1)} if listing.size else {}
    for sizes in (small, {}) if small else ({},):
        page = stage.ask({**query, **sizes})
        if page is None or page.exchange.response is None:
            continue
        said = look_up(page.answer, listing.total)
        header = page.exchange.response.headers.get(listing.total_header, "") if listing.total_header else ""
        said = int(header) if header.isdigit() else said
        if isinstance(said, int) and said != expected:
            what = ".".join(listing.total) or listing.total_header
            promise = f"{what} of {name_of(listing.operation)} is the number of items on all pages"
            yield stage.fail(page.exchange, "total", promise, f"{expected} items came on all pages", what)
            return


def check_position(stage: Stage) -> Iterator[Failure]:
    """Ask for what comes after the end: nothing does."""
    listing = stage.listing
    if listing.size is None or (listing.offset is None and listing.page is None):
        return
    size = max(int(listing.size.schema.get("minimum", 1)), _FEW)
    chosen = listing.offset or listing.page
    assert chosen is not None
    far = len(stage.whole) + 1 if listing.offset else listing.first_page + len(stage.whole)
    page = stage.ask({listing.size.name: size, chosen.name: far})
    if page is not None and page.items:
        promise = f"{name_of(listing.operation)} answers nothing behind the last of {len(stage.whole)} items"
        yield stage.fail(page.exchange, "behind_end", promise, f"{len(page.items)} came", chosen.name)
    near = stage.ask({listing.size.name: size})
    answer = near.answer if near is not None else None
    said = answer.get(listing.size.name) if isinstance(answer, dict) else None
    if near is not None and isinstance(said, int) and said != size:
        promise = f"{listing.size.name} of the answer is the one that was asked for"
        yield stage.fail(near.exchange, "page_size_told", promise, f"{size} was asked for", listing.size.name)
