"""What was created stands in the list of its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymacaron_testing.kinds import Kind
from pymacaron_testing.pages import Look, look_in_list
from pymacaron_testing.scenario import Patience, Played
from pymacaron_testing.things import make_thing
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron_testing.suite import Suite


def play_listed(suite: Suite, kind: Kind, patience: Patience) -> Played:
    """Make a thing and look for it on all pages of the list."""
    assert kind.lister is not None
    assert kind.creator is not None
    thing = make_thing(suite, kind)
    if isinstance(thing, str):
        return Played(gap=f"whether a new {kind.name} is listed: {thing}")
    seen: list[Look] = []

    def is_fine() -> bool:
        seen.append(look_in_list(suite, thing))
        return seen[-1].exchange is None or seen[-1].value is not None

    patience.wait_until(is_fine)
    look = seen[-1]
    if look.exchange is None:
        return Played(gap=f"whether a new {kind.name} is listed: the list could not be read to its end")
    if look.value is not None:
        return Played()
    required = [one.name for one in kind.lister.parameters if one.is_required and one.location == "query"]
    if required:
        return Played(gap=f"whether a new {kind.name} is listed: the list depends on {', '.join(required)}")
    key = thing.path_values.get(kind.key) or kind.read_key(thing.answered) or ""
    failure = suite.build_failure(
        look.exchange,
        "listed",
        promise=f"what {name_of(kind.creator)} makes is in the answer of {name_of(kind.lister)}",
        pointer=kind.lister.pointer,
        detail=f"{kind.name} {key} is not there",
    )
    return Played((failure,))
