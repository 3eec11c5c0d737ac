"""What is one user's stays his: another one neither reads, changes, deletes nor lists it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymacaron_testing.belongings import find_target
from pymacaron_testing.checks.error_bodies import suspect_refusal
from pymacaron_testing.checks.hierarchy import check_hierarchy
from pymacaron_testing.checks.others_lists import check_list
from pymacaron_testing.checks.own_account import check_own_account, is_own_account
from pymacaron_testing.checks.strangers import Probe, collect_evidence, observe, probe
from pymacaron_testing.confirm import Outcome, confirm, merge_outcomes
from pymacaron_testing.privacy import Evidence, find_contradiction, why_not_change, why_not_read
from pymacaron_testing.wire import READ_ONLY, name_of, requires_credentials

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.kinds import Kind
    from pymacaron_testing.suite import Suite

_SAFE = {"GET", "HEAD"}
_VERBS = {"DELETE": "deletes", "POST": "works on"}
_ONE_USER = "there is no second user: give --pymacaron-auth once for each of two"


def applies_access(_api: Api, operation: Operation) -> bool:
    """Tell whether *operation* may reach things of somebody else's."""
    return requires_credentials(operation) and ("{" in operation.path or operation.method.upper() == "GET")


def check_access(suite: Suite, operation: Operation) -> Outcome:
    """Let a second user do with the first one's things what *operation* does; look for things under a wrong parent."""
    if suite.profile == "live":
        return Outcome(not_run=READ_ONLY)
    kind = find_target(suite.kinds, operation)
    outcomes = [check_hierarchy(suite, kind, operation)] if kind is not None and kind.parent else []
    if len(suite.wire.users) < 2:  # noqa: PLR2004 - the owner and somebody else
        return merge_outcomes(*outcomes, Outcome(not_run=_ONE_USER))
    if "{" not in operation.path:
        check = check_own_account if is_own_account(operation) else check_list
        return check(suite, operation)
    if kind is None:
        return merge_outcomes(*outcomes, Outcome(not_run="nothing in the document makes what its path names"))
    if any(outcome.failures for outcome in outcomes):  # whoever names another parent of his own comes in there too
        return outcomes[0]
    return merge_outcomes(*outcomes, _check_thing(suite, kind, operation))


def _check_thing(suite: Suite, kind: Kind, operation: Operation) -> Outcome:
    seen = observe(suite, kind)
    if seen.thing is not None and operation.operation_id not in seen.probes:
        seen.probes[operation.operation_id] = probe(suite, kind, operation)
    tried = seen.probes.get(operation.operation_id)
    if tried is None:
        return Outcome(not_run=f"nothing of the first user's could be made: {seen.reason}")
    if tried.result == "unclear" and not tried.is_crash:
        return Outcome(not_run=f"whether another user is refused could not be found out: {tried.reason}")
    return _judge(suite, kind, tried)


def _judge(suite: Suite, kind: Kind, tried: Probe) -> Outcome:
    """Return a failure where *tried* is wrong, and is so a second time on a new thing."""
    evidence = collect_evidence(suite, kind)
    failure = judge_probe(suite, kind, tried, evidence)
    if failure is None and tried.result == "refused" and tried.exchange is not None:
        return confirm(list(suspect_refusal(suite, tried.exchange)), suite)
    if failure is None:
        unknown = find_contradiction(evidence) if tried.result == "let in" else ""
        return Outcome(gaps=(unknown,) if unknown else ())
    again = judge_probe(suite, kind, probe(suite, kind, tried.operation), evidence)
    if again is None or again.cause != failure.cause:
        return Outcome(flaky=(f"{failure.check} did not happen again: {failure.answer}",))
    return Outcome((failure.times(2),))


def judge_probe(suite: Suite, kind: Kind, tried: Probe, evidence: Evidence) -> Failure | None:
    """Return what is wrong with how a stranger was treated; None if nothing is."""
    operation, exchange = tried.operation, tried.exchange
    if exchange is None:
        return None
    name = name_of(operation)
    if tried.is_crash:
        promise = f"{name} refuses a user who did not make the {kind.name}; a server error is no answer"
        return suite.build_failure(exchange, "server_error", promise=promise, pointer=operation.pointer, cause=("5xx",))
    if tried.result == "refused" and tried.is_changed:
        promise = f"{name} leaves the {kind.name} alone when it refuses another user"
        return suite.build_failure(exchange, "refused_but_done", promise=promise, pointer=operation.pointer)
    if tried.result != "let in":
        return None
    if operation.method.upper() in _SAFE:
        why, does = why_not_read(evidence, operation), "shows"
    else:
        why, does = why_not_change(evidence, operation, kind.reader), _VERBS.get(operation.method.upper(), "changes")
    if not why:
        return None
    promise = f"{name} {does} the {kind.name} only for the user who made it: {why}"
    return suite.build_failure(exchange, "others_access", promise=promise, pointer=operation.pointer, cause=(does,))
