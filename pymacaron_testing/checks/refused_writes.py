"""A request that was refused has changed nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pymacaron_testing.bodies import complete, fields_of
from pymacaron_testing.kinds import Kind
from pymacaron_testing.pages import look_at, walk
from pymacaron_testing.paging import find_listing
from pymacaron_testing.sameness import find_changed, is_volatile
from pymacaron_testing.scenario import Patience, Played
from pymacaron_testing.things import make_thing, plain_case, renew
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.fields import Field
    from pymacaron_testing.suite import Suite

_MAX_REFUSED = 6


def play_refused_creation(suite: Suite, kind: Kind, patience: Patience) -> Played:
    """Send bodies with one wrong value each; none of those that are refused is in the list afterwards."""
    del patience
    creator, lister = kind.creator, kind.lister
    first = make_thing(suite, kind)
    listing = find_listing(suite.api, suite.kinds, lister) if lister else None
    recipe = suite.recipes.get(creator.operation_id) if creator else None
    if isinstance(first, str) or recipe is None or creator is None or listing is None or not kind.key_field:
        return Played()
    parents = {name: first.path_values[name] for name in kind.parent_keys if name != kind.key}
    before = walk(suite, listing, first.path_values)
    refused = [
        exchange
        for case in _spoil(suite, kind, renew(suite, recipe), fields_of(suite, kind, creator))
        if 400 <= (exchange := suite.send_apart(case, parents)).status < 500  # noqa: PLR2004 - RFC 9110, section 15.5
    ]
    after = walk(suite, listing, first.path_values)
    if not refused or not before.is_complete or not after.is_complete or after.last is None:
        return Played()
    known = {kind.read_key(item) for item in before.items}
    new = [item for item in after.items if kind.read_key(item) not in known]
    if not new:
        return Played()
    failure = suite.build_failure(
        refused[0],
        "refused_creation",
        promise=f"where {name_of(creator)} refuses a request it makes nothing",
        pointer=creator.pointer,
        detail=f"{len(refused)} requests were refused, and then {len(new)} more of {kind.name} were in the list",
    )
    return Played((failure,))


def play_refused_change(suite: Suite, kind: Kind, updater: Operation, patience: Patience) -> Played:
    """Send changes with new values and one wrong one; where they are refused the thing is as before."""
    del patience
    thing = make_thing(suite, kind)
    base = plain_case(suite, updater)
    if isinstance(thing, str) or base is None:
        return Played()
    fields = fields_of(suite, kind, updater)
    base = complete(suite, kind, base, fields)
    before = look_at(suite, thing).value
    failures: list[Failure] = []
    for case in _spoil(suite, kind, renew(suite, base), fields) if before is not None else ():
        answer = suite.send_apart(case, thing.path_values)
        if not 400 <= answer.status < 500:  # noqa: PLR2004 - RFC 9110, section 15.5
            return Played()
        after = look_at(suite, thing).value
        names = frozenset(one.name for one in fields if len(one.path) == 1 and not is_volatile(one.name))
        changed = find_changed(before or {}, after, names) if after is not None else {}
        if changed:
            failures.append(
                suite.build_failure(
                    answer,
                    "refused_change",
                    promise=f"where {name_of(updater)} refuses a request it changes nothing",
                    pointer=updater.pointer,
                    detail="; ".join(changed.values()),
                )
            )
            break
    return Played(tuple(failures))


def _spoil(suite: Suite, kind: Kind, case: Case, fields: list[Field]) -> Iterator[Case]:
    """Yield *case* with one wrong value each; the first and the last properties are spoilt first."""
    ordered = [field for pair in zip(fields, reversed(fields), strict=True) for field in pair]
    wrapper = (kind.body_wrapper,) if kind.body_wrapper else ()
    seen: set[tuple[str, ...]] = set()
    for field in ordered:
        if field.path in seen or len(field.path) > 1 or len(seen) >= _MAX_REFUSED:
            continue
        seen.add(field.path)
        wrong: Json = {"wrong": [1]} if "object" not in field.types else [[1]]
        spoilt = suite.generator.with_value(case, ("body", *wrapper, *field.path), wrong)
        if not suite.generator.fits_body(spoilt):
            yield replace(spoilt, is_valid=False)
