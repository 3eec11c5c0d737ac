"""What a stranger may do with a thing of somebody else's: tried with each operation, compared with its owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from pymacaron_testing.belongings import (
    OWNER,
    STRANGER,
    Traces,
    act,
    find_target,
    find_traces,
    make_private,
    read_fields,
)
from pymacaron_testing.disclosure import is_shown
from pymacaron_testing.privacy import Evidence
from pymacaron_testing.things import Thing, plain_case

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.kinds import Kind
    from pymacaron_testing.suite import Suite

Result = Literal["refused", "let in", "hidden", "unclear"]
_SAFE = {"GET", "HEAD"}
_REFUSALS = {401, 403, 404, 410}
_DENIALS = {403, 404, 410}
_SERVER_ERROR = 500
_MAX_TRIES = 3


@dataclass(frozen=True, slots=True)
class Probe:
    """How an operation treated a stranger.

    result: refused, while the owner is let in; let in: he saw or changed the thing; hidden: he got an answer without
    it; unclear: *reason* says why. is_changed: the thing is another one afterwards.
    """

    operation: Operation
    result: Result
    exchange: Exchange | None = None
    reason: str = ""
    is_changed: bool = False

    @property
    def is_crash(self) -> bool:
        """Tell whether the server failed."""
        return self.exchange is not None and self.exchange.status >= _SERVER_ERROR


@dataclass(slots=True)
class Strangers:
    """What is known of one kind. reason: why nothing is; empty where something is."""

    probes: dict[str, Probe] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    thing: Thing | None = None
    reason: str = ""


def observe(suite: Suite, kind: Kind) -> Strangers:
    """Return how the operations of *kind* treat a stranger; tried once."""
    key = kind.item_path or kind.collection_path
    if key not in suite.strangers:
        suite.strangers[key] = _observe(suite, kind)
    return cast("Strangers", suite.strangers[key])


def collect_evidence(suite: Suite, kind: Kind) -> Evidence:
    """Return what is known of who may see and change things of *kind*, and those that it belongs to."""
    evidence = observe(suite, kind).evidence
    parent = next((other for other in suite.kinds if other.item_path == kind.parent), None) if kind.parent else None
    return evidence | collect_evidence(suite, parent) if parent is not None else evidence


def probe(suite: Suite, kind: Kind, operation: Operation) -> Probe:
    """Try *operation* as a stranger on a new thing of *kind*."""
    thing = make_private(suite, kind)
    if isinstance(thing, str):
        return Probe(operation, "unclear", reason=thing)
    if operation.method.upper() in _SAFE:
        return _probe_reading(suite, thing, operation)
    return _probe_change(suite, thing, operation)


def _observe(suite: Suite, kind: Kind) -> Strangers:
    thing = make_private(suite, kind)
    if isinstance(thing, str):
        return Strangers(reason=thing)
    seen = Strangers(thing=thing)
    about = [one for one in suite.api.operations if find_target(suite.kinds, one) is kind and suite.may_send(one)]
    if kind.lister is not None and "{" not in kind.lister.path:
        seen.probes[kind.lister.operation_id] = probe_list(suite, kind.lister, find_traces(suite, kind, thing))
    for operation in sorted(about, key=lambda one: one.method.upper() not in _SAFE):
        if suite.clock.is_up():
            break  # what is missing is tried when its own time comes
        is_safe = operation.method.upper() in _SAFE
        tried = _probe_reading(suite, thing, operation) if is_safe else probe(suite, kind, operation)
        seen.probes[operation.operation_id] = tried
    seen.evidence = read_evidence(list(seen.probes.values()), told=_told(suite, kind))
    return seen


def read_evidence(probes: list[Probe], *, told: bool | None) -> Evidence:
    """Return what *probes* say of who may see and change a thing."""
    refused = {
        _id_of(one): (one.operation, one.exchange.status)
        for one in probes
        if one.result == "refused" and one.exchange is not None and one.exchange.status in _DENIALS
    }
    reading = [one for one in probes if one.operation.method.upper() in _SAFE]
    return Evidence(
        told,
        refused,
        frozenset(_id_of(one) for one in reading if one.result == "let in"),
        frozenset(_id_of(one) for one in probes if one.result == "let in" and one not in reading),
        {_id_of(one): one.operation for one in reading if one.result == "hidden"},
    )


def _id_of(tried: Probe) -> str:
    return tried.operation.operation_id


def _told(suite: Suite, kind: Kind) -> bool | None:
    hints = [suite.hints.of(operation).shared for operation in kind.operations]
    return next((shared for shared in hints if shared is not None), None)


def _probe_reading(suite: Suite, thing: Thing, operation: Operation) -> Probe:
    traces = find_traces(suite, thing.kind, thing)
    child = next((one for one in suite.kinds if one.lister is operation and one.creator is not None), None)
    if child is not None:
        made = make_private(suite, child, parents=dict(thing.path_values))
        if isinstance(made, str):
            return Probe(operation, "unclear", reason=made)
        traces = find_traces(suite, child, made)
    own = act(suite, thing, operation, OWNER)
    if own is None or not own.is_success:
        return Probe(operation, "unclear", own, _explain(own))
    asked = act(suite, thing, operation, STRANGER)
    if asked is None or not asked.is_success:
        is_refused = asked is not None and asked.status in _REFUSALS
        return Probe(operation, "refused" if is_refused else "unclear", asked, _explain(asked))
    if _is_like(own, asked) or _shows_any(traces, asked.read_json()):
        return Probe(operation, "let in", asked)
    return Probe(operation, "unclear", asked, "the second user got another answer than the first one")


def _probe_change(suite: Suite, thing: Thing, operation: Operation) -> Probe:
    before, control = read_fields(suite, thing), read_fields(suite, thing)
    asked = act(suite, thing, operation, STRANGER)
    if asked is None:
        return Probe(operation, "unclear", reason=_explain(None))
    is_changed = _has_changed(suite, thing, before, control)
    tries = 1
    while asked.is_success and not is_changed and before is not None and tries < _MAX_TRIES:
        other = act(suite, thing, operation, STRANGER, tries)
        if other is None:
            break
        asked, tries = other, tries + 1
        is_changed = _has_changed(suite, thing, before, control)
    if asked.status in _REFUSALS:
        own = act(suite, thing, operation, OWNER) if not is_changed else None
        if is_changed or (own is not None and own.is_success):
            return Probe(operation, "refused", asked, is_changed=is_changed)
        return Probe(operation, "unclear", asked, f"the first user was not let in either: {_explain(own)}")
    if not asked.is_success:
        return Probe(operation, "unclear", asked, _explain(asked))
    if before is None and operation.method.upper() == "DELETE":
        own = act(suite, thing, operation, OWNER)
        is_changed = own is not None and own.status in _DENIALS
    makes_something = operation.method.upper() == "POST" or (before is None and operation.method.upper() != "DELETE")
    if is_changed or makes_something:
        return Probe(operation, "let in", asked, is_changed=is_changed)
    return Probe(operation, "unclear", asked, "the second user got a success without an effect")


def _has_changed(suite: Suite, thing: Thing, before: Json, control: Json) -> bool:
    return before is not None and _differs(before, control, read_fields(suite, thing))


def probe_list(suite: Suite, operation: Operation, traces: Traces, query: dict[str, Json] | None = None) -> Probe:
    """Ask for a list as owner and right after as a stranger; query: optional parameters, none by default."""
    case = plain_case(suite, operation)
    if case is None:
        return Probe(operation, "unclear", reason=_explain(None))
    if query:
        case = suite.generator.with_part(case, "query", {**suite.generator.values_of(case).get("query", {}), **query})
    own = suite.send_apart(case, {}, user=OWNER)
    asked = suite.send_apart(case, {}, user=STRANGER)
    if asked.is_success and _shows_any(traces, asked.read_json()):
        return Probe(operation, "let in", asked)
    if not own.is_success or not _shows_any(traces, own.read_json()):
        return Probe(operation, "unclear", asked, "the list does not show the first user's things to himself")
    if asked.is_success:
        return Probe(operation, "hidden", asked)
    return Probe(operation, "refused" if asked.status in _REFUSALS else "unclear", asked, _explain(asked))


def _shows_any(traces: Traces, answer: Json) -> bool:
    return any(is_shown(trace, answer, traces.known) for trace in traces.items)


def _is_like(own: Exchange, asked: Exchange) -> bool:
    """Tell whether both got the same, and not just nothing."""
    assert own.response is not None
    assert asked.response is not None
    content = own.response.content.strip()
    if content != asked.response.content.strip() or not content:
        return False
    return "json" not in own.response.headers.get("Content-Type", "") or not _is_bare(own.read_json())


def _is_bare(answer: Json) -> bool:
    """Tell whether *answer* is an envelope with nothing in it: ``{"items": [], "total": 0}``."""
    if isinstance(answer, dict):
        return all(value in (None, False, 0, 1, "", [], {}) or isinstance(value, int) for value in answer.values())
    return not answer


def _differs(before: Json, control: Json, after: Json) -> bool:
    """Tell whether a thing is another one than *before*; what already differs in *control* does not count."""
    if not isinstance(before, dict) or not isinstance(after, dict) or not isinstance(control, dict):
        return bool(before != after)
    steady = [name for name, value in before.items() if control.get(name) == value]
    return any(after.get(name) != before[name] for name in steady)


def _explain(exchange: Exchange | None) -> str:
    if exchange is None:
        return "no valid request could be generated"
    return f"answer {exchange.status}" if exchange.response is not None else exchange.error
