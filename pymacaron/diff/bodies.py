"""How request bodies and answers of an operation differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pymacaron.diff.change import Change
from pymacaron.diff.flat import Direction, Part
from pymacaron.diff.pair import OperationPair
from pymacaron.json_types import JsonObject
from pymacaron.spec import Media, Response
from pymacaron.spec.media_types import essence_of
from pymacaron.spec.pointers import join_pointer

_JSON = "application/json"


def compare_request_bodies(pair: OperationPair) -> Iterator[Change]:
    """Yield the changes of what clients send."""
    old, new = pair.old.body or pair.old.form, pair.new.body or pair.new.form
    where = "request body"
    if old is None and new is not None:
        rule = "required-body-added" if new.is_required else "body-added"
        what = "a required body is new" if new.is_required else "a body is new"
        yield pair.tell(rule, what, where=where, pointers=("", new.pointer))
    elif old is not None and new is None:
        yield pair.tell("body-removed", "the body is gone", where=where, pointers=(old.pointer, ""))
    elif old is not None and new is not None:
        pointers = (old.pointer, new.pointer)
        if new.is_required and not old.is_required:
            yield pair.tell("body-required", "the body is required now", where=where, pointers=pointers)
        elif old.is_required and not new.is_required:
            yield pair.tell("body-optional", "the body is optional now", where=where, pointers=pointers)
        yield from _compare_media(pair, "request", (old.media, new.media), where, pointers)


def compare_answers(pair: OperationPair) -> Iterator[Change]:
    """Yield the changes of what clients get, status by status."""
    mine = {response.status.upper(): response for response in pair.old.responses}
    theirs = {response.status.upper(): response for response in pair.new.responses}
    for status, response in mine.items():
        covering = _covering(status, theirs)
        if covering is None:
            yield _removed_status(pair, response, list(theirs))
        elif covering.status.upper() != status:
            yield from _compare_answer(pair, response, covering, response.status)
    for status, response in theirs.items():
        covering = _covering(status, mine)
        if covering is None:
            what = "this status is new"
            yield pair.tell(
                "status-added", what, where=f"answer {response.status}", pointers=(pair.old.pointer, response.pointer)
            )
        else:
            yield from _compare_answer(pair, covering, response, response.status)


def _covering(status: str, responses: dict[str, Response]) -> Response | None:
    """Return what is declared for *status*: itself, its class, or default."""
    for key in (status, f"{status[0]}XX", "DEFAULT"):
        if key in responses:
            return responses[key]
    return None


def _removed_status(pair: OperationPair, response: Response, statuses: Sequence[str]) -> Change:
    status, where = response.status, f"answer {response.status}"
    pointers = (response.pointer, pair.new.pointer)
    if not status.startswith("2"):
        return pair.tell("error-status-removed", "this status is gone", where=where, pointers=pointers)
    others = [other for other in statuses if other.startswith("2")]
    what = f"this status is gone, {' or '.join(others)} came" if others else "this status is gone"
    return pair.tell("status-removed", what, where=where, pointers=pointers)


def _compare_answer(pair: OperationPair, old: Response, new: Response, status: str) -> Iterator[Change]:
    where, pointers = f"answer {status}", (old.pointer, new.pointer)
    if old.media and not new.media:
        is_own = old.status.upper() == new.status.upper()
        rule = "answer-body-removed" if is_own else "answer-body-no-longer-declared"
        yield pair.tell(rule, "the body is gone", where=where, pointers=pointers)
    elif new.media and not old.media:
        yield pair.tell("answer-body-added", "a body is new", where=where, pointers=pointers)
    else:
        yield from _compare_media(pair, "answer", (old.media, new.media), where, pointers)
    yield from _compare_headers(pair, old, new, where)


# Media types


def _compare_media(
    pair: OperationPair,
    direction: Direction,
    media: tuple[Sequence[Media], Sequence[Media]],
    where: str,
    pointers: tuple[str, str],
) -> Iterator[Change]:
    mine = {essence_of(one.media_type): one for one in media[0]}
    theirs = {essence_of(one.media_type): one for one in media[1]}
    sub, sup = (mine, theirs) if direction == "request" else (theirs, mine)
    told: set[tuple[str, str, str, str]] = set()
    for name, one in sub.items():
        other = _find_media(name, sup)
        if other is None:
            yield pair.tell(
                f"{direction}-media-type-{'removed' if direction == 'request' else 'added'}",
                f"the media type {one.media_type} is {'gone' if direction == 'request' else 'new'}",
                where=where,
                pointers=pointers,
            )
            continue
        old, new = (one, other) if direction == "request" else (other, one)
        label = where if {*mine, *theirs} == {_JSON} else f"{where} {one.media_type}"
        for change in _compare_content(pair, direction, old, new, label):
            key = (change.rule, change.what, change.old_place, change.new_place)
            if key not in told:
                yield change
            told.add(key)
    for name, other in sup.items():
        if not any(_is_within(one, name) for one in sub):
            yield pair.tell(
                f"{direction}-media-type-{'added' if direction == 'request' else 'removed'}",
                f"the media type {other.media_type} is {'new' if direction == 'request' else 'gone'}",
                where=where,
                pointers=pointers,
            )


def _find_media(name: str, media: dict[str, Media]) -> Media | None:
    if name in media:
        return media[name]
    return next((one for pattern, one in media.items() if _is_within(name, pattern)), None)


def _is_within(name: str, pattern: str) -> bool:
    """Tell whether a media type is another, or in its range: ``text/plain`` in ``text/*``."""
    return pattern in (name, "*/*", f"{name.partition('/')[0]}/*")


def _compare_content(pair: OperationPair, direction: Direction, old: Media, new: Media, where: str) -> Iterator[Change]:
    yield from pair.compare_schemas(
        direction,
        Part(old.schema or {}, f"{old.pointer}/schema"),
        Part(new.schema or {}, f"{new.pointer}/schema"),
        where=where,
        is_text=new.is_form,
    )
    yield from pair.compare_schemas(
        direction,
        Part(_items(old), f"{old.pointer}/itemSchema"),
        Part(_items(new), f"{new.pointer}/itemSchema"),
        where=f"{where}, each item",
    )
    if direction == "request" and new.is_form:
        yield from _compare_encodings(pair, old, new, where)


def _items(media: Media) -> JsonObject:
    return media.item_schema or {}


def _compare_encodings(pair: OperationPair, old: Media, new: Media, where: str) -> Iterator[Change]:
    for name in old.encoding.keys() | new.encoding.keys():
        mine, theirs = (_encoding(media, name) for media in (old, new))
        if mine != theirs:
            yield pair.tell(
                "request-encoding-changed",
                f"its encoding went from {_describe(mine)} to {_describe(theirs)}",
                where=f"{where} {join_pointer('', name)}",
                pointers=(old.pointer, new.pointer),
            )


def _encoding(media: Media, name: str) -> JsonObject:
    encoding = media.encoding.get(name, {})
    return {key: encoding[key] for key in ("contentType", "style", "explode") if key in encoding}


def _describe(encoding: JsonObject) -> str:
    return ", ".join(f"{key} {value}" for key, value in encoding.items()) or "the usual one"


# Headers


def _compare_headers(pair: OperationPair, old: Response, new: Response, where: str) -> Iterator[Change]:
    mine = {name.lower(): (name, header) for name, header in old.headers.items()}
    theirs = {name.lower(): (name, header) for name, header in new.headers.items()}
    for key, (name, header) in mine.items():
        label, place = f"{where} header {name}", join_pointer(old.pointer, "headers", name)
        is_required = header.get("required") is True
        if key not in theirs:
            rule = "required-header-removed" if is_required else "header-removed"
            yield pair.tell(rule, "this header is gone", where=label, pointers=(place, new.pointer))
            continue
        other_name, other = theirs[key]
        pointers = (place, join_pointer(new.pointer, "headers", other_name))
        will_be_required = other.get("required") is True
        if is_required and not will_be_required:
            yield pair.tell("header-optional", "this header is no longer required", where=label, pointers=pointers)
        elif will_be_required and not is_required:
            yield pair.tell("header-required", "this header is always there now", where=label, pointers=pointers)
        yield from pair.compare_schemas(
            "answer",
            Part(header.get("schema", {}), f"{pointers[0]}/schema"),
            Part(other.get("schema", {}), f"{pointers[1]}/schema"),
            where=label,
            is_text=True,
        )
    for key, (name, _) in theirs.items():
        if key not in mine:
            pointers = (old.pointer, join_pointer(new.pointer, "headers", name))
            yield pair.tell("header-added", "this header is new", where=f"{where} header {name}", pointers=pointers)
