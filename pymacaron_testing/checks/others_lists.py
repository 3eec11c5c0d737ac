"""Lists and searches show a user nothing that is another one's alone, with whatever filter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pymacaron_testing.belongings import Traces, find_traces
from pymacaron_testing.checks.strangers import Probe, collect_evidence, observe, probe_list
from pymacaron_testing.confirm import Outcome, merge_outcomes
from pymacaron_testing.disclosure import telling_texts
from pymacaron_testing.kinds import answer_schema
from pymacaron_testing.privacy import why_not_list
from pymacaron_testing.resources import normalise
from pymacaron_testing.wire import TIME_RAN_OUT, name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Operation, Parameter
    from pymacaron_testing.kinds import Kind
    from pymacaron_testing.suite import Suite
    from pymacaron_testing.things import Thing

_SEARCHES = {"q", "query", "search", "text", "term", "s", "keyword", "find", "contains", "filter", "match", "prefix"}
_MOST_MEMBERS = 4
_MOST_TEXTS = 4
_MOST_QUERIES = 12


def check_list(suite: Suite, operation: Operation) -> Outcome:
    """Ask as a second user for a list, with each of its filters, in which the first one's things may stand."""
    if operation.method.upper() != "GET" or answer_schema(operation) is None:
        return Outcome()
    mine = [kind for kind in suite.kinds if kind.lister is operation]
    kinds = mine or [kind for kind in suite.kinds if kind.creator is not None and kind.item_path]
    return merge_outcomes(*(_check_kind(suite, operation, kind) for kind in kinds)) if kinds else Outcome()


def _check_kind(suite: Suite, operation: Operation, kind: Kind) -> Outcome:
    """Look for the owner's things of *kind* in what *operation* shows a stranger."""
    seen = observe(suite, kind)
    if seen.thing is None:
        return Outcome(not_run=f"nothing of the first user's could be made: {seen.reason}")
    why = why_not_list(collect_evidence(suite, kind), operation)
    if not why:
        return Outcome()
    traces = find_traces(suite, kind, seen.thing)
    is_seen = False
    for query in find_queries(operation, seen.thing, traces):
        if not suite.may_go_on(operation):
            return Outcome(gaps=(f"not all filters were tried as another user: {TIME_RAN_OUT}",))
        tried = probe_list(suite, operation, traces, query)
        is_seen |= tried.result != "unclear"
        if tried.result == "let in":
            return _confirm(suite, kind, tried, traces=traces, query=query, why=why)
    if is_seen or kind.lister is not operation:
        return Outcome()
    return Outcome(
        gaps=(f"whose {kind.name} the list shows could not be found out: it shows none of the first user's",)
    )


def _confirm(suite: Suite, kind: Kind, tried: Probe, *, traces: Traces, query: JsonObject, why: str) -> Outcome:
    assert tried.exchange is not None
    if probe_list(suite, tried.operation, traces, query).result != "let in":
        return Outcome(flaky=(f"another user's {kind.name} was shown once and not again",))
    failure = suite.build_failure(
        tried.exchange,
        "others_listed",
        promise=f"{name_of(tried.operation)} shows the {kind.name} only to the user who made it: {why}",
        pointer=tried.operation.pointer,
        cause=("shows",),
    )
    return Outcome((failure.times(2),))


def find_queries(operation: Operation, thing: Thing, traces: Traces) -> list[JsonObject]:
    """Return what to ask for so that *thing* may be found: nothing, and each filter by itself."""
    fields = {normalise(name): value for name, value in {**thing.answered, **thing.sent_fields}.items()}
    telling = list(telling_texts(thing.sent_fields, traces.known).values())
    query = [parameter for parameter in operation.parameters if parameter.location == "query"]
    values = {one.name: list(_values_for(one, fields, telling)) for one in query}
    required: JsonObject = {one.name: values[one.name][0] for one in query if one.is_required and values[one.name]}
    queries: list[JsonObject] = [required]
    for parameter in query:
        queries += [{**required, parameter.name: value} for value in values[parameter.name]]
    unique = {repr(sorted(one.items(), key=repr)): one for one in queries}
    return list(unique.values())[:_MOST_QUERIES]


def _values_for(parameter: Parameter, fields: JsonObject, telling: list[str]) -> Iterator[Json]:
    """Yield values with which a parameter lets a thing through that has *fields*."""
    plain = normalise(parameter.name)
    own = fields.get(plain)
    if isinstance(own, str | int | float) and own != "":
        yield own
    elif plain in _SEARCHES and telling:
        yield from telling[:_MOST_TEXTS]
    members = parameter.schema.get("enum")
    if isinstance(members, list) and not plain.startswith(("sort", "order")):
        yield from members[:_MOST_MEMBERS]
    elif parameter.schema.get("type") == "boolean":
        yield from (True, False)
