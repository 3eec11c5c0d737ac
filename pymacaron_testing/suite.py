"""One document against one target: sends the cases of its operations, once, for all checks to judge."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pymacaron.spec import describe_place
from pymacaron_testing.documents import choose_prefix
from pymacaron_testing.exchange import Case, Exchange, describe_answer, describe_request
from pymacaron_testing.exercise import Exercise, may_clash
from pymacaron_testing.failure import Failure
from pymacaron_testing.freshen import is_idempotency_key, renew_key
from pymacaron_testing.generation import Generator
from pymacaron_testing.hints import HintBook, load_hints
from pymacaron_testing.kinds import Kind, find_kinds
from pymacaron_testing.order import find_sources
from pymacaron_testing.rescue import humanise
from pymacaron_testing.resources import Resources
from pymacaron_testing.sendable import PathValues
from pymacaron_testing.wire import SAFE_METHODS, Wire

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.clock import Clock
    from pymacaron_testing.credentials import Credentials
    from pymacaron_testing.run import Document, Run
    from pymacaron_testing.settings import Profile
    from pymacaron_testing.signing import Signing

Value = TypeVar("Value")

_MAX_DELETES = 4
_MAX_RESCUES = 6
_MAX_SILENCES = 2
_GONE = {404, 410}
_MAX_CLASHES = 5
_MOCK = "pymacaron-mock"
_STOCK = 8
_SAMPLE = 3
_PARAMETER = re.compile(r"\{([^{}]+)\}")


@dataclass(slots=True)
class Suite:
    """What the checks of one document share.

    source: the document as failures name it. run_salt: differs between runs, for values that a target must not have
    seen in an earlier one. refused: credentials that the target must refuse. signing: what signs the target's tokens,
    None where it is unknown. max_latency_ms: within which every operation must answer, None for no limit. cut_short:
    ids of operations for which there was not time enough. recipes, plain_cases, parents, key_number: what `things`
    remembers: by operation id a case that made a thing, and the plainest valid one; by creator's path and user what
    new things belong to. apart: what `send_apart` sent and nobody has judged yet. facts: what checks found out about
    the whole service. strangers: what `checks.strangers` saw, by path. fully_tried: places of credentials of which all
    wrong forms were tried. created: what may have made something, and who asked.
    """

    api: Api
    generator: Generator
    wire: Wire
    resources: Resources
    source: str
    run_salt: int
    hints: HintBook = field(default_factory=HintBook)
    recipes: dict[str, Case] = field(default_factory=dict)
    plain_cases: dict[str, Case | None] = field(default_factory=dict)
    parents: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    key_number: int = 0
    strangers: dict[str, object] = field(default_factory=dict)
    fully_tried: set[tuple[str, ...]] = field(default_factory=set)
    apart: list[Exchange] = field(default_factory=list)
    created: list[tuple[Exchange, str]] = field(default_factory=list)
    profile: Profile = "full"
    refused: tuple[Credentials, ...] = ()
    signing: Signing | None = None
    max_latency_ms: float | None = None
    cut_short: set[str] = field(default_factory=set)
    path_values: PathValues = field(init=False)
    kinds: tuple[Kind, ...] = field(init=False)
    facts: dict[str, bool] = field(default_factory=dict)
    _exercises: dict[str, Exercise] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)
    _stock: dict[str, list[Case]] = field(default_factory=dict)
    _memory: dict[str, Any] = field(default_factory=dict)
    _draws: int = 0
    _freshness: int = 0

    def __post_init__(self) -> None:
        """Prepare to look at values of other things before they are sent."""
        self.path_values = PathValues(self.api)
        self.kinds = find_kinds(self.api, self.hints)

    @property
    def clock(self) -> Clock:
        """The time that the run has."""
        return self.wire.clock

    def is_mock(self, operation: Operation) -> bool:
        """Tell whether the target keeps nothing, as the answers of `pymacaron mock` say."""
        if not self.wire.session.server:
            self.sample(operation)
        return _MOCK in self.wire.session.server

    def may_send(self, operation: Operation) -> bool:
        """Tell whether requests of *operation* are allowed: all of them, or in a run that changes nothing safe ones."""
        return not self.wire.is_read_only or operation.method.upper() in SAFE_METHODS

    def may_go_on(self, operation: Operation) -> bool:
        """Tell whether the item has time left for more requests about *operation*."""
        if not self.clock.is_up():
            return True
        self.cut_short.add(operation.operation_id)
        return False

    def exercise(self, operation: Operation) -> list[Exchange]:
        """Send every case of *operation* and return the exchanges; the second call returns the same ones.

        Operations that create or list what its path names run first. Without time for all cases, `cut_short` has the
        operation's id; none is sent where the run may not.

        Raises: TargetLostError.
        """
        exercise = self._begin(operation)
        while not exercise.is_over and (not exercise.exchanges or self.may_go_on(operation)):
            self._go_on(operation, exercise)
        return exercise.exchanges

    def sample(self, operation: Operation) -> list[Exchange]:
        """Send cases of *operation* until a few have succeeded, if it takes all; return the exchanges so far.

        Raises: TargetLostError.
        """
        exercise = self._begin(operation)
        while not exercise.is_over and not self.clock.is_up():
            count = len(exercise.successes)
            if count >= _SAMPLE or (count and not exercise.exchanges[-1].case.is_valid):
                break
            self._go_on(operation, exercise)
        return exercise.exchanges

    def _begin(self, operation: Operation) -> Exercise:
        key = operation.operation_id
        if not self.may_send(operation):
            return Exercise(iter(()), is_over=True)
        if key not in self._exercises:
            self._running.add(key)
            self._ensure_resources(operation)
            self._running.discard(key)
            self._exercises[key] = Exercise(self._cases(operation))
        return self._exercises[key]

    def _go_on(self, operation: Operation, exercise: Exercise) -> None:
        """Send the next case; after the last one, where none succeeded, try for a first success."""
        sent = exercise.exchanges
        case = next(exercise.cases, None)
        if case is None:
            exercise.is_over = True
            sent += [] if any(exchange.is_success for exchange in sent) else self._rescue(operation)
            return
        sent += self.send_valid(self.freshen(case) if exercise.is_clashing else case)
        while not exercise.is_clashing and exercise.tries < _MAX_CLASHES and may_clash(sent[-1]):
            exercise.tries += 1
            # The first time the same values in each run; if the target knows those too, other ones.
            self._freshness += self.run_salt if exercise.tries > 1 else 0
            sent += self.send_valid(self.freshen(case))
            exercise.is_clashing = sent[-1].is_success
        exercise.is_over = sum(exchange.response is None for exchange in sent) >= _MAX_SILENCES

    def remember(self, key: str, find: Callable[[], Value]) -> Value:
        """Return what *find* returned when this was first asked for *key*."""
        if key not in self._memory:
            self._memory[key] = find()
        value: Value = self._memory[key]
        return value

    def make_distinct(self, case: Case) -> Case:
        """Return *case* with the texts of its body made unlike all others."""
        self._freshness += 1
        return self.generator.with_fresh_values(case, case, self._freshness)

    def freshen(self, case: Case) -> Case:
        """Return *case* with new values in those parts of its body that it is not about."""
        if case.is_probe or not isinstance(case.generated.body, dict):
            return case
        key = case.operation.operation_id
        if key not in self._stock:
            self._stock[key] = self.draw(case.operation, _STOCK)
        stock = self._stock[key]
        self._freshness += 1
        fresh = stock[self._freshness % len(stock)] if stock else case
        return self.generator.with_fresh_values(case, fresh, self._freshness) if stock else case

    def send_valid(self, case: Case, headers: Mapping[str, str] | None = None) -> Iterator[Exchange]:
        """Send *case* to an existing thing where its path names one; again to another one where that is gone.

        headers: instead of the user's credentials.
        """
        exchange = self.send(case, headers)
        yield exchange
        if exchange.status in _GONE and case.is_valid and not case.keeps_path and exchange.path_values:
            self.resources.forget(case.operation.path, exchange.path_values)
            self._ensure_fresh(case.operation)
            values = self.choose_path_values(case)
            if values and values != exchange.path_values:
                yield self.send(case, headers)

    def send(self, case: Case, headers: Mapping[str, str] | None = None) -> Exchange:
        """Send *case* and learn from the answer. headers: instead of the user's credentials."""
        case = self.renew_key(case)
        exchange = self.wire.send(case, self.choose_path_values(case), headers=headers)
        self._learn(exchange)
        return exchange

    def send_apart(self, case: Case, path_values: Mapping[str, str], *, user: int = 0) -> Exchange:
        """Send *case* as *user* with those *path_values* that its path has; nothing is learnt from the answer."""
        names = _PARAMETER.findall(case.operation.path)
        told = self.hints.of(case.operation).values
        values = {name: path_values[name] for name in names if name in path_values}
        values = {**{name: str(told[name]) for name in names if name in told}, **values}
        headers = self.wire.headers_for(case.operation, user) if user else None
        exchange = self.wire.send(case, values, headers=headers)
        self.apart.append(exchange)
        return exchange

    def prepare_apart(self, case: Case, path_values: Mapping[str, str]) -> Callable[[], Exchange]:
        """Build the request of `send_apart` now; return what sends it, in any thread, and only answers the exchange."""
        names = _PARAMETER.findall(case.operation.path)
        values = {name: path_values[name] for name in names if name in path_values}
        request = self.generator.build_request(case, self.wire.headers_for(case.operation), values)
        return partial(self.wire.repeat, Exchange(case, request, None, path_values=values))

    def find_successes(self, operation: Operation) -> list[Case]:
        """Return the cases of *operation* that have succeeded so far."""
        exercise = self._exercises.get(operation.operation_id)
        return exercise.successes if exercise is not None else []

    def find_path_values(self, operation: Operation) -> dict[str, str] | None:
        """Return values for the path of *operation* that belong to an existing thing; None if none is known."""
        values = self.resources.find(operation.path)
        return values if values and self.path_values.fit(operation, values) else None

    def renew_key(self, case: Case) -> Case:
        """Return *case* with an idempotency key of its own: with one key all requests but the first are replays."""
        for parameter in case.operation.parameters:
            if not case.is_valid or case.subject == parameter.name or not is_idempotency_key(parameter):
                continue
            key = case.generated.headers.get(parameter.name)
            self._freshness += 1
            fresh = renew_key(str(key), self._freshness + self.run_salt, partial(self.path_values.fits, parameter))
            return self.generator.with_value(case, ("header", parameter.name), fresh) if key and fresh else case
        return case

    def repeat(self, exchange: Exchange) -> Exchange:
        """Send the same bytes again."""
        return self.wire.repeat(exchange)

    def send_anew(self, case: Case, headers: Mapping[str, str] | None = None) -> Exchange:
        """Send *case* with new values and to a new thing, where it is not about those.

        headers: instead of the user's credentials.
        """
        if case.operation.method.upper() == "DELETE":
            self.create_for(case.operation)
        *_, last = self.send_valid(self.freshen(case), headers)
        return last

    def draw(self, operation: Operation, count: int) -> list[Case]:
        """Return random valid cases, other ones each time and in each run."""
        self._draws += 1
        return self.generator.draw(operation, count, salt=self.run_salt + self._draws)

    def choose_path_values(self, case: Case) -> dict[str, str] | None:
        """Return the path values of an existing thing; None where the case is about the path itself."""
        if case.keeps_path or case.is_probe:
            return None
        return self.find_path_values(case.operation)

    def create_for(self, operation: Operation) -> None:
        """Create a new thing of the kind that the path of *operation* names, if the document tells how."""
        for creator in find_sources(self.api, operation):
            is_usable = creator.method.upper() != "GET" and self.may_send(creator)
            if not is_usable or creator.operation_id in self._running:
                continue
            for case in self.draw(creator, 2):
                if self.send(case).is_success:
                    return

    def _cases(self, operation: Operation) -> Iterator[Case]:
        """Yield the cases of *operation*; of valid DELETEs a few, each with something left to delete."""
        deletes = 0
        for case in self.generator.generate(operation):
            if operation.method.upper() == "DELETE" and case.is_valid and not case.keeps_path:
                deletes += 1
                if deletes > _MAX_DELETES:
                    continue
                self._ensure_fresh(operation)
            yield case

    def _ensure_resources(self, operation: Operation) -> None:
        for source in find_sources(self.api, operation):
            if self.resources.find(operation.path) is not None:
                return
            if source.operation_id not in self._running:
                self.sample(source)

    def _ensure_fresh(self, operation: Operation) -> None:
        if "{" in operation.path and self.resources.find(operation.path) is None:
            self.create_for(operation)

    def _rescue(self, operation: Operation) -> list[Exchange]:
        """Try for a first success with values that no earlier run can have used."""
        exchanges: list[Exchange] = []
        for number, case in enumerate(self.generator.draw(operation, _MAX_RESCUES, salt=self.run_salt)):
            exchanges += self.send_valid(self.humanise(case, number))
            if exchanges[-1].is_success:
                break
        return exchanges

    def humanise(self, case: Case, number: int) -> Case:
        """Return *case* with values that a person might send; another *number*, other ones."""
        return humanise(case, self.generator, self.resources, 3 * self.run_salt + number)

    def _learn(self, exchange: Exchange) -> None:
        if exchange.response is None or not exchange.is_success:
            return
        operation, values = exchange.case.operation, exchange.path_values or {}
        sent = self.generator.values_of(exchange.case).get("body")
        method = operation.method.upper()
        self.resources.learn(method, operation.path, values, sent=sent, answered=exchange.read_json())
        location = exchange.response.headers.get("Location", "")
        if location and method in {"POST", "PUT"}:
            for other in self.api.operations:
                if other.path.count("{") == operation.path.count("{") + 1:
                    self.resources.learn_location(operation.path, location, other.path)

    def build_failure(
        self,
        exchange: Exchange,
        check: str,
        *,
        promise: str,
        pointer: str,
        cause: tuple[str, ...] = (),
        detail: str = "",
    ) -> Failure:
        """Return a failure of *exchange*, free of credentials. pointer: of the document. detail: ends the answer."""
        redaction = self.wire.redaction
        answer = describe_answer(exchange, redaction)
        return Failure(
            operation_id=exchange.case.operation.operation_id,
            check=check,
            promise=promise,
            answer=f"{answer}: {redaction.clean(detail)}" if detail else answer,
            place=describe_place(self.source, self.api.text, pointer),
            curl=describe_request(exchange.request, redaction),
            cause=(check, *cause),
            request_id=exchange.response.headers.get("X-Request-Id", "") if exchange.response is not None else "",
        )


def build_suite(run: Run, document: Document, url: str | None = None) -> Suite:
    """Return the suite of *document* against the target of *run*. url: against another service. Raises TargetError."""
    session = run.session(url)
    prefix = choose_prefix(document.api, session)
    settings = run.settings
    max_examples = settings.max_examples if settings.profile != "quick" else 0
    generator = Generator(document.api, session.base_url + prefix, seed=settings.seed, max_examples=max_examples)
    created: list[tuple[Exchange, str]] = []
    wire = Wire(generator, session, run.users(), run.hidden(), is_read_only=settings.profile == "live", clock=run.clock)
    if url is None:
        coverage = run.cover(document)

        def observe(exchange: Exchange, caller: str) -> None:
            coverage.observe(exchange, generator.values_of(exchange.case), caller)
            if exchange.is_success and str(exchange.request.method).upper() in {"POST", "PUT"}:
                created.append((exchange, caller))

        wire = replace(wire, observe=observe)
    return Suite(
        document.api,
        generator,
        wire,
        run.resources if url is None else Resources(),
        document.source,
        run.run_salt,
        profile=settings.profile,
        refused=settings.refused,
        signing=run.signing(),
        max_latency_ms=settings.max_latency_ms,
        hints=load_hints(document.api, document.source, settings.folder),
        created=created,
    )
