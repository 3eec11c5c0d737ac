"""Requests that build on each other: sent in order, and sent anew with things of their own."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pymacaron_testing.things import Thing, read_made

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.kinds import Kind
    from pymacaron_testing.suite import Suite

Place = tuple[str, ...]
_RECENT = 12


@dataclass(frozen=True, slots=True)
class Link:
    """Where a value of a step comes from.

    step: number of an earlier one. field: property of the body that it sent, or empty: the key of the thing it made.
    """

    step: int
    field: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a chain, without what only the target can tell.

    number: its place in the walk. path_values: those that are no thing's of the chain. owner: the step that made the
    thing in its path, None without one. makes: the kind of what it makes. links: values of its body that come from
    earlier steps. ended_by: the step that deleted the owner, None while it lives. case: new texts are put into it
    unless it says otherwise.
    """

    number: int
    case: Case
    path_values: Mapping[str, str] = field(default_factory=dict)
    owner: int | None = None
    makes: Kind | None = None
    links: Mapping[Place, Link] = field(default_factory=dict)
    ended_by: int | None = None

    @property
    def operation(self) -> Operation:
        """The operation that is asked."""
        return self.case.operation

    @property
    def needs(self) -> frozenset[int]:
        """Numbers of the steps without which this one makes no sense."""
        linked = {link.step for link in self.links.values()}
        return frozenset(linked | {number for number in (self.owner, self.ended_by) if number is not None})


@dataclass(slots=True)
class Playback:
    """What steps did when they were sent: their exchanges and the things that they made, by number."""

    exchanges: dict[int, Exchange] = field(default_factory=dict)
    things: dict[int, Thing] = field(default_factory=dict)


def send_step(suite: Suite, step: Step, playback: Playback) -> Exchange | None:
    """Send *step* and note what came of it; None where it cannot be sent, since what it needs was not made.

    Raises: TargetLostError.
    """
    values = dict(step.path_values)
    if step.owner is not None:
        if step.owner not in playback.things:
            return None
        values.update(playback.things[step.owner].path_values)
    case = _fill_in(suite, step, playback)
    if case is None:
        return None
    exchange = playback.exchanges[step.number] = suite.send_apart(case, values)
    if step.makes is not None and exchange.is_success:
        made = read_made(suite, step.makes, exchange, values)
        if isinstance(made, Thing):
            playback.things[step.number] = made
    return exchange


def _fill_in(suite: Suite, step: Step, playback: Playback) -> Case | None:
    case = suite.make_distinct(step.case) if isinstance(step.case.generated.body, dict) else step.case
    if not step.links:
        return case
    body = copy.deepcopy(suite.generator.values_of(case).get("body"))
    for place, link in step.links.items():
        value = _find_value(link, playback)
        node = body
        for key in place[:-1]:
            node = node.get(key) if isinstance(node, dict) else None
        if value is None or not isinstance(node, dict):
            return None
        node[place[-1]] = value
    linked = suite.generator.with_part(case, "body", body)
    return linked if suite.generator.fits_body(linked) else None


def _find_value(link: Link, playback: Playback) -> Json:
    thing = playback.things.get(link.step)
    if thing is None:
        return None
    if link.field:
        return thing.sent_fields.get(link.field)
    return thing.answered.get(thing.kind.key_field)


def replay(suite: Suite, steps: Iterable[Step]) -> Playback:
    """Send *steps* again, with new things instead of those of the first time. Raises: TargetLostError."""
    playback = Playback()
    for step in steps:
        send_step(suite, step, playback)
    return playback


def find_chains(steps: Sequence[Step], last: Step) -> Iterator[list[Step]]:
    """Yield what may have led to *last*, shortest first: what it needs; all about the same things; all shortly before.

    steps: all that were sent, in order.
    """
    by_number = {step.number: step for step in steps}
    needed = _close(by_number, {last.number})
    yield [by_number[number] for number in sorted(needed)]
    roots = {number for number in needed if by_number[number].makes is not None}
    related = {step.number for step in steps if step.number < last.number and step.needs & roots}
    wider = _close(by_number, needed | related)
    if wider != needed:
        yield [by_number[number] for number in sorted(wider)]
    recent = {step.number for step in steps if last.number - _RECENT <= step.number < last.number}
    widest = _close(by_number, wider | recent)
    if widest != wider:
        yield [by_number[number] for number in sorted(widest)]


def _close(steps: Mapping[int, Step], numbers: Iterable[int]) -> frozenset[int]:
    """Return *numbers* and all that they need."""
    found: set[int] = set()
    open_numbers = list(numbers)
    while open_numbers:
        number = open_numbers.pop()
        if number not in found and number in steps:
            found.add(number)
            open_numbers += steps[number].needs
    return frozenset(found)


def drop_step(steps: Sequence[Step], place: int) -> list[Step]:
    """Return *steps* without the one at *place*, and without those that need it; all of them if the last one does."""
    dropped = {steps[place].number}
    for step in steps[place + 1 :]:
        if step.needs & dropped:
            dropped.add(step.number)
    return list(steps) if steps[-1].number in dropped else [step for step in steps if step.number not in dropped]
