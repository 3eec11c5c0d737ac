"""What a service gives its things by itself: values that change with time, and those in place of what nobody sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pymacaron_testing.bodies import fields_of, with_changes
from pymacaron_testing.generation import NOT_SENT
from pymacaron_testing.pages import look_at
from pymacaron_testing.sameness import find_changed
from pymacaron_testing.things import Thing, make_thing, renew

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron_testing.suite import Suite

_PAUSE_S = 1.1  # some clocks are read in whole seconds


def find_moving(suite: Suite, thing: Thing) -> frozenset[str]:
    """Return the properties of *thing* that change while nobody changes it; found out once for all of its kind."""

    def find() -> frozenset[str]:
        first = look_at(suite, thing).value or {}
        time.sleep(_PAUSE_S)
        second = look_at(suite, thing).value or {}
        return frozenset(find_changed(first, second, frozenset(first.keys() & second.keys())))

    return suite.remember(f"moving {thing.kind.collection_path} {thing.kind.name}", find)


def find_assigned(suite: Suite, thing: Thing) -> frozenset[str]:
    """Return the optional properties that things of this kind have although nobody sent them.

    A null, or an empty list, in their place may ask for just that. Found out once for all of the kind.
    """

    def find() -> frozenset[str]:
        found = read_bare(suite, thing) if thing.kind.creator else None
        return frozenset(name for name, value in (found or {}).items() if value is not None)

    return suite.remember(f"assigned {thing.kind.collection_path} {thing.kind.name}", find)


def read_bare(suite: Suite, beside: Thing) -> JsonObject | None:
    """Return what a thing has that was made without optional properties; None if none could be made so.

    beside: another one of the kind, whose parents it gets.
    """
    kind = beside.kind
    assert kind.creator is not None
    recipe = suite.recipes.get(kind.creator.operation_id)
    optional = [one for one in fields_of(suite, kind, kind.creator) if not one.is_required and len(one.path) == 1]
    bare = with_changes(suite, kind, renew(suite, recipe), {one.path: NOT_SENT for one in optional}) if recipe else None
    if bare is None:
        return None
    made = make_thing(suite, kind, parents=beside.path_values, body=suite.generator.values_of(bare)["body"])
    return look_at(suite, made).value if isinstance(made, Thing) else None
