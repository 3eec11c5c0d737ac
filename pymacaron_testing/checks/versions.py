"""A change that names an old version of a thing is refused, and of several at the same time only one is made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pymacaron_testing.bodies import complete, fields_of
from pymacaron_testing.kinds import Kind
from pymacaron_testing.scenario import Patience, Played, do_at_once
from pymacaron_testing.things import Thing, make_thing, plain_case, read_thing, renew
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_IF_MATCH = "if-match"
_AT_ONCE = 5


def takes_versions(operation: Operation) -> bool:
    """Tell whether the document lets a caller of *operation* say which version it means."""
    return any(one.location == "header" and one.name.lower() == _IF_MATCH for one in operation.parameters)


def play_versions(suite: Suite, kind: Kind, updater: Operation, patience: Patience) -> Played:
    """Change a thing with its version, with the old one, and several times at once with the new one."""
    del patience
    thing = make_thing(suite, kind)
    base = plain_case(suite, updater)
    if isinstance(thing, str) or base is None:
        return Played(gap=f"versions of a {kind.name}: {thing if isinstance(thing, str) else 'no change to send'}")
    base = complete(suite, kind, base, fields_of(suite, kind, updater))
    old = _read_tag(suite, thing)
    if old is None:
        return Played(gap=f"versions of a {kind.name}: the answer has no ETag")
    first = suite.send_apart(_with_tag(suite, renew(suite, base), old), thing.path_values)
    if not first.is_success:
        return Played(gap=f"versions of a {kind.name}: {name_of(updater)} answered {first.status} to the right version")
    failure = _judge(suite, thing, base, first, old)
    return Played((failure,) if failure else ())


def _judge(suite: Suite, thing: Thing, base: Case, first: Exchange, old: str) -> Failure | None:
    """Return what is wrong after *first*, which changed the version *old*."""
    updater = base.operation
    new = _read_tag(suite, thing)
    if new == old:
        words = "the ETag is another one after a change"
        return _build(suite, updater, read_thing(suite, thing) or first, "etag_kept", words)
    late = replace(_with_tag(suite, renew(suite, base), old), is_probe=True)
    stale = suite.send_apart(late, thing.path_values)
    if stale.is_success:
        return _build(suite, updater, stale, "stale_version", "a change of an old version is refused")
    if new is None:
        return None
    sends = [suite.prepare_apart(_with_tag(suite, renew(suite, base), new), thing.path_values) for _ in range(_AT_ONCE)]
    winners = [exchange for exchange in do_at_once(sends) if exchange.is_success]
    if len(winners) > 1:
        words = f"of changes of one version at the same time one is made; {len(winners)} were"
        return _build(suite, updater, winners[1], "lost_update", words)
    return None


def _read_tag(suite: Suite, thing: Thing) -> str | None:
    exchange = read_thing(suite, thing)
    return exchange.response.headers.get("ETag") if exchange is not None and exchange.response is not None else None


def _with_tag(suite: Suite, case: Case, tag: str) -> Case:
    name = next(one.name for one in case.operation.parameters if one.name.lower() == _IF_MATCH)
    headers = suite.generator.values_of(case).get("header", {})
    kept = {key: value for key, value in headers.items() if key.lower() != _IF_MATCH}
    return suite.generator.with_part(case, "header", {**kept, name: tag})


def _build(suite: Suite, updater: Operation, exchange: Exchange, check: str, words: str) -> Failure:
    promise = f"{name_of(updater)} takes If-Match: {words} (RFC 9110, section 13.1.1)"
    return suite.build_failure(exchange, check, promise=promise, pointer=updater.pointer)
