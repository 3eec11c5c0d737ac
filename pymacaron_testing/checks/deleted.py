"""What was deleted is gone: from its own path, from lists, with what belonged to it, and nothing else is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pymacaron_testing.kinds import Kind
from pymacaron_testing.pages import look_at, look_in_list
from pymacaron_testing.scenario import Patience, Played
from pymacaron_testing.things import Thing, act_on, delete_thing, make_thing, read_thing
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_SERVER_ERROR = 500
_KEEPS = re.compile(r"\barchiv|\bsoft|\bdeactivat|\bcancel|\bdisabl|\btrash|\bmark", re.IGNORECASE)


def play_deleted(suite: Suite, kind: Kind, patience: Patience) -> Played:
    """Make two things, delete one, and look at both."""
    doomed, other = make_thing(suite, kind), make_thing(suite, kind)
    if isinstance(doomed, str) or isinstance(other, str):
        return Played(gap=f"whether a deleted {kind.name} is gone: {doomed if isinstance(doomed, str) else other}")
    deleter = kind.deleter
    assert deleter is not None
    children = _make_children(suite, doomed)
    answer = delete_thing(suite, doomed)
    if answer is None or not answer.is_success:
        said = "no request could be generated" if answer is None else f"{name_of(deleter)} answered {answer.status}"
        return Played(gap=f"whether a deleted {kind.name} is gone: {said}")
    if _KEEPS.search(f"{deleter.summary} {deleter.description}"):
        return Played(gap=f"whether a deleted {kind.name} is gone: the document says that something is kept")
    found = [
        _find_readable(suite, doomed, patience),
        _find_listed(suite, doomed, patience),
        _find_collateral(suite, other, doomed),
        *(_find_child(suite, child) for child in children),
        *_act_again(suite, doomed),
    ]
    return Played(tuple(failure for failure in found if failure is not None))


def _make_children(suite: Suite, thing: Thing) -> list[Thing]:
    """Make something of each kind that belongs to *thing* and can be read below its path."""
    children: list[Thing] = []
    for kind in suite.kinds:
        is_below = thing.kind.item_path and kind.item_path.startswith(thing.kind.item_path.rstrip("/") + "/")
        if is_below and kind.parent == thing.kind.item_path and kind.reader:
            child = make_thing(suite, kind, parents=thing.path_values)
            children += [child] if isinstance(child, Thing) else []
    return children


def _find_readable(suite: Suite, thing: Thing, patience: Patience) -> Failure | None:
    if not thing.kind.reader:
        return None
    seen: list[Exchange] = []

    def is_gone() -> bool:
        exchange = read_thing(suite, thing)
        seen[:] = [exchange] if exchange is not None else []
        return not seen or not (seen[0].is_success or seen[0].status >= _SERVER_ERROR)

    if patience.wait_until(is_gone):
        return None
    return _build(suite, seen[0], thing, "deleted", "what it deleted is answered with 404 or 410 from then on")


def _find_listed(suite: Suite, thing: Thing, patience: Patience) -> Failure | None:
    if not thing.kind.lister or patience.wait_until(lambda: look_in_list(suite, thing).value is None):
        return None
    look = look_in_list(suite, thing)
    if look.exchange is None or look.value is None:
        return None
    promise = "what it deleted is in no list any more"
    return _build(suite, look.exchange, thing, "deleted_in_list", promise, f"{_name(thing)} is still in it")


def _find_collateral(suite: Suite, other: Thing, doomed: Thing) -> Failure | None:
    look = look_at(suite, other)
    if look.exchange is None or look.value is not None or look.exchange.status not in {0, 200, 404, 410}:
        return None
    detail = f"{_name(other)} is gone as well"
    return _build(suite, look.exchange, doomed, "deleted_others", "it deletes only what its path names", detail)


def _find_child(suite: Suite, child: Thing) -> Failure | None:
    exchange = read_thing(suite, child)
    if exchange is None or not (exchange.is_success or exchange.status >= _SERVER_ERROR):
        return None
    parent = next(kind for kind in suite.kinds if kind.item_path == child.kind.parent)
    assert parent.deleter is not None
    return suite.build_failure(
        exchange,
        "deleted_parent",
        promise=f"what lies below something that {name_of(parent.deleter)} deleted is answered with 404 or 410",
        pointer=parent.deleter.pointer,
        cause=(child.kind.name,),
    )


def _act_again(suite: Suite, thing: Thing) -> list[Failure | None]:
    """Delete and change what is gone: neither may fail inside, and nothing may be changed."""
    found: list[Failure | None] = []
    for operation in (thing.kind.deleter, *thing.kind.updaters):
        exchange = act_on(suite, thing, operation)
        if exchange is None or operation is None:
            continue
        is_patched = operation.method.upper() == "PATCH" and exchange.is_success
        if exchange.status >= _SERVER_ERROR or is_patched:
            words = f"{name_of(operation)} of what is gone is refused with 4xx"
            found.append(_build(suite, exchange, thing, "deleted_again", words, cause=operation.method))
    return found


def _build(
    suite: Suite, exchange: Exchange, thing: Thing, check: str, promise: str, detail: str = "", cause: str = ""
) -> Failure:
    deleter = thing.kind.deleter
    assert deleter is not None
    promise = f"{name_of(deleter)}: {promise}"
    causes = (cause,) if cause else ()
    return suite.build_failure(exchange, check, promise=promise, pointer=deleter.pointer, cause=causes, detail=detail)


def _name(thing: Thing) -> str:
    key = thing.path_values.get(thing.kind.key) or thing.kind.read_key(thing.answered)
    return f"{thing.kind.name} {key}"
