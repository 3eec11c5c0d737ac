"""Callers without credentials, or with wrong ones, are refused where the document asks for credentials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pymacaron_testing.checks.doors import Door, find_doors
from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.impostors import Impostor, Knowledge, choose_tellers, find_impostors, implies
from pymacaron_testing.public_keys import fetch_public_keys
from pymacaron_testing.signing import read_token
from pymacaron_testing.wire import TIME_RAN_OUT, name_of, requires_credentials, takes_credentials

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_UNAUTHORISED = 401
_REFUSALS = {401, 403}
_SERVER_ERROR = 500
_CRASH = "server error"
_SCHEMES_WITH_WORD = {"http", "oauth2", "openIdConnect"}


def applies_auth(_api: Api, operation: Operation) -> bool:
    """Tell whether the document speaks of credentials for *operation*."""
    return takes_credentials(operation)


def check_auth(suite: Suite, operation: Operation) -> Outcome:
    """Ask anonymously and with all kinds of wrong credentials; where they are optional, ask anonymously only.

    The first operation that asks for some credentials gets all forms of wrong ones, the others one for each fault.
    """
    doors = find_doors(suite, operation)
    if not doors:
        return Outcome(not_run="no valid request could be generated")
    if not requires_credentials(operation):
        return confirm(_ask_optional(suite, doors[0]), suite)
    known = gather_knowledge(suite, operation)
    impostors = find_impostors(known)
    asked = tuple(one.name for one in known.asked)
    if asked in suite.fully_tried:  # the other operations most likely use the same code
        impostors = choose_tellers(impostors)
    for door in doors:
        trial = _try_all(suite, door, impostors)
        if trial.admitted or trial.is_proved:
            break
    if trial.is_proved and not trial.is_cut:
        suite.fully_tried.add(asked)
    failures = tuple(
        _describe(suite, found[0][1], found[0][0].words, cause).times(max(2, len(found)))
        for cause, found in _group(trial).items()
    )
    not_run = "" if failures else _explain_nothing(trial)
    return Outcome(failures, tuple(trial.flaky), not_run, () if not_run else tuple(_find_gaps(known, trial)))


def gather_knowledge(suite: Suite, operation: Operation) -> Knowledge:
    """Return what wrong credentials for *operation* can be made from."""
    schemes = suite.api.security_schemes
    named = [(schemes[name], scopes) for need in operation.security for name, scopes in need.items() if name in schemes]
    asked = suite.wire.credentials_for(operation)
    users = range(len(suite.wire.users))
    tokens = [read for one in asked if (read := read_token(one.secret))]
    has_key_pair = any(not str(header["alg"]).startswith("HS") for header, _ in tokens)
    return Knowledge(
        asked=asked,
        scopes=tuple(dict.fromkeys(scope for _, scopes in named for scope in scopes)),
        refused=suite.refused,
        signing=suite.signing,
        public_keys=fetch_public_keys(suite.wire.session.base_url) if has_key_pair else (),
        is_scheme_declared=any(scheme.type in _SCHEMES_WITH_WORD for scheme, _ in named),
        has_query_key=any(scheme.location == "query" for scheme, _ in named),
        taken=frozenset(one.value for user in users for one in suite.wire.credentials_for(operation, user)),
    )


@dataclass(slots=True)
class _Trial:
    """What became of the impostors at one door. control: answer to the good credentials there."""

    admitted: list[tuple[Impostor, Exchange]] = field(default_factory=list)
    refused: list[Exchange] = field(default_factory=list)
    flaky: list[str] = field(default_factory=list)
    control: int = 0
    is_cut: bool = False

    @property
    def is_proved(self) -> bool:
        """Tell whether good credentials get further than the wrong ones."""
        is_success = 200 <= self.control < 300  # noqa: PLR2004 - RFC 9110, section 15.3
        return is_success or (self.control not in {0, *_REFUSALS} and self.is_refused_plainly)

    @property
    def is_refused_plainly(self) -> bool:
        """Tell whether all impostors were told that their credentials are the reason."""
        return bool(self.refused) and all(exchange.status in _REFUSALS for exchange in self.refused)


def _try_all(suite: Suite, door: Door, impostors: list[Impostor]) -> _Trial:
    """Send what each impostor sends; who is let in has to come in a second time, on new data."""
    trial = _Trial()
    faults: list[str] = []
    door.open()
    if door.example.operation.method.upper() == "GET":
        door.knock(None)  # an answer that is kept for all callers is kept now
    for impostor in impostors:
        if any(implies(fault, impostor.fault) and fault != impostor.fault for fault in faults):
            continue
        if not suite.may_go_on(door.example.operation):
            trial.is_cut = True
            break
        asked = door.knock(impostor.headers)
        if not _is_let_in(asked):
            trial.refused.append(asked)
            continue
        door.open()
        again = door.knock(impostor.headers)
        door.open()
        if not _is_let_in(again):
            trial.flaky.append(f"a caller with {impostor.words} was let in once and not again")
            continue
        trial.admitted.append((impostor, asked))
        if asked.is_success:
            faults.append(impostor.fault)
    trial.control = door.knock(None).status
    return trial


def _group(trial: _Trial) -> dict[str, list[tuple[Impostor, Exchange]]]:
    """Return who was let in by cause: each fault that opens the door, and failures of the server.

    A server that fails for everybody is no matter of credentials.
    """
    by_cause: dict[str, list[tuple[Impostor, Exchange]]] = {}
    for impostor, exchange in trial.admitted:
        if exchange.is_success or trial.control < _SERVER_ERROR:
            cause = impostor.fault if exchange.is_success else _CRASH
            by_cause.setdefault(cause, []).append((impostor, exchange))
    return by_cause


def _describe(suite: Suite, exchange: Exchange, words: str, cause: str) -> Failure:
    operation = exchange.case.operation
    schemes = " or ".join(dict.fromkeys(name for need in operation.security for name in need)) or "a token"
    return suite.build_failure(
        exchange,
        "server_error" if cause == _CRASH else "ignored_auth",
        promise=f"{name_of(operation)} asks for {schemes}: a caller with {words} is refused with 401",
        pointer=f"{operation.pointer}/security",
        cause=(cause,),
    )


def _explain_nothing(trial: _Trial) -> str:
    """Return why the refusals prove nothing; empty where they prove something."""
    if trial.is_proved or trial.is_refused_plainly or trial.flaky:
        return ""
    answer = trial.control or "no answer"
    return f"neither right nor wrong credentials were let in; the right ones got {answer}"


def _find_gaps(known: Knowledge, trial: _Trial) -> Iterator[str]:
    if trial.is_cut:
        yield f"some wrong credentials were not tried: {TIME_RAN_OUT}"
    if not known.asked:
        yield "forged credentials were not tried: no good ones are known to make them from"
    elif trial.control in _REFUSALS:
        yield f"that forged credentials were refused tells nothing: the right ones got {trial.control} too"
    elif known.signing is None and not known.refused and any(read_token(one.secret) for one in known.asked):
        yield (
            "expired tokens and tokens for others were not tried: what signs them is unknown, "
            "see --pymacaron-jwt-secret-env and --pymacaron-refused"
        )


def _is_let_in(exchange: Exchange) -> bool:
    """Tell whether the operation went about its work: it succeeded, or failed inside without the document's leave."""
    is_failing = exchange.status >= _SERVER_ERROR and str(exchange.status) not in exchange.case.operation.statuses
    return exchange.is_success or is_failing


def _ask_optional(suite: Suite, door: Door) -> Iterator[Suspicion]:
    door.open()
    exchange = door.knock({})
    if exchange.status == _UNAUTHORISED:
        operation = door.example.operation
        failure = suite.build_failure(
            exchange,
            "optional_auth",
            promise=f"{name_of(operation)} may be called without credentials",
            pointer=f"{operation.pointer}/security",
        )
        yield Suspicion(exchange, failure, lambda again: again.status == _UNAUTHORISED)
