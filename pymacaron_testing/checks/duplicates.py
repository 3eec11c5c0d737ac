"""What must be unique is: a second thing of the same content is refused, also at the same time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pymacaron_testing.kinds import Kind
from pymacaron_testing.scenario import Patience, Played, do_at_once
from pymacaron_testing.things import make_thing, renew
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.spec import Operation
    from pymacaron_testing.suite import Suite

_CONFLICT = 409
_UNIQUE = re.compile(r"already exist|already taken|is taken|\bunique\b|\bduplicate|already (?:in )?use", re.IGNORECASE)
_AT_ONCE = 6


def declares_conflict(operation: Operation) -> bool:
    """Tell whether the document lets *operation* answer 409."""
    return str(_CONFLICT) in operation.statuses


def play_duplicates(suite: Suite, kind: Kind, patience: Patience) -> Played:
    """Make the same thing twice; where the second is refused, make another one several times at the same time."""
    del patience
    creator = kind.creator
    assert creator is not None
    first = make_thing(suite, kind)
    recipe = suite.recipes.get(creator.operation_id)
    if isinstance(first, str) or recipe is None:
        return Played(
            gap=f"a second {kind.name} of the same content: {first if isinstance(first, str) else 'no request'}"
        )
    second = suite.send_apart(first.exchange.case, first.path_values)
    if second.is_success and _says_unique(creator):
        failure = suite.build_failure(
            second,
            "duplicate",
            promise=f"{name_of(creator)} answers 409 where there is a {kind.name} of the same content already",
            pointer=creator.pointer,
        )
        return Played((failure,))
    if second.status != _CONFLICT:
        return Played()
    case = renew(suite, recipe)
    exchanges = do_at_once([suite.prepare_apart(case, first.path_values) for _ in range(_AT_ONCE)])
    winners = [exchange for exchange in exchanges if exchange.is_success]
    broken = [exchange for exchange in exchanges if exchange.status >= 500]  # noqa: PLR2004 - RFC 9110, section 15.6
    if len(winners) < 2 and not broken:  # noqa: PLR2004 - a second one
        return Played()
    failure = suite.build_failure(
        (broken or winners)[-1],
        "concurrent_duplicate",
        promise=f"{name_of(creator)} refuses a second {kind.name} of the same content, also at the same time",
        pointer=creator.pointer,
        detail=f"of {_AT_ONCE} equal requests at the same time {len(winners)} made one and {len(broken)} failed",
    )
    return Played((failure,))


def _says_unique(creator: Operation) -> bool:
    response = creator.find_response(_CONFLICT)
    return bool(_UNIQUE.search(f"{creator.summary} {creator.description} {response.description if response else ''}"))
