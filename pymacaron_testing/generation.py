"""The one place that knows schemathesis: it generates the cases of an operation and judges answers to them.

With what it is built from, `engine_cases` and `drawing`, it uses undocumented parts of schemathesis 4.32;
pyproject.toml pins it below 4.33.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import requests
import schemathesis
from jsonschema_rs import ValidationError
from schemathesis.checks import CheckContext, load_all_checks, run_checks
from schemathesis.checks import not_a_server_error as server_error_check
from schemathesis.config import SchemathesisConfig
from schemathesis.core import NOT_SET
from schemathesis.core.errors import SchemathesisError
from schemathesis.core.failures import CustomFailure
from schemathesis.core.failures import Failure as EngineFailure
from schemathesis.core.jsonschema import make_validator
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.generation.meta import CoveragePhaseData, coverage_scenario
from schemathesis.openapi.checks import JsonSchemaError
from schemathesis.specs.openapi import checks as engine_checks

from pymacaron_testing.annotations import drop_annotations
from pymacaron_testing.declared import copy_json, keep_declared
from pymacaron_testing.engine_cases import draw_cases, generate_cases
from pymacaron_testing.exchange import Case, Exchange, find_subject
from pymacaron_testing.freshen import freshen, make_distinct
from pymacaron_testing.sendable import drop_unsendable, write_header

if TYPE_CHECKING:
    from schemathesis.generation.case import Case as EngineCase
    from schemathesis.schemas import APIOperation

    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Api, Operation

    Engine = APIOperation[Any, Any, Any, Any]
    GeneratedCase = EngineCase[Engine]

_CONFIG = {
    "generation": {"with-security-parameters": False, "allow-x00": False},
    "phases": {"coverage": {"unexpected-methods": []}},
}
_REFUSED = ["4xx", "5xx"]
_CONTAINERS = {"query": "query", "header": "headers", "cookie": "cookies", "body": "body"}
_CHECKS = {
    "status_code_conformance": "status_code",
    "content_type_conformance": "content_type",
    "response_headers_conformance": "headers",
    "response_schema_conformance": "schema",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with an answer. check: our name of the check. cause: what tells it from others. detail: a line.

    rule: pointer of the broken rule inside the answer's schema, for schema faults.
    """

    check: str
    cause: tuple[str, ...]
    detail: str
    rule: str = ""


def judge_silence(exchange: Exchange) -> Verdict:
    """Return what is wrong with an exchange in which no answer came."""
    return Verdict("answer", (exchange.error,), exchange.error)


class Generator:
    """Cases for the operations of one document, the same ones for the same seed."""

    def __init__(self, api: Api, base_url: str, *, seed: int, max_examples: int) -> None:
        """Read *api*. base_url: what its paths follow. max_examples: random cases an operation."""
        load_all_checks()
        self.api = api
        self.seed = seed
        self._max_examples = max_examples
        checks = {"negative_data_rejection": {"expected-statuses": _REFUSED}}
        config = SchemathesisConfig.from_dict({**_CONFIG, "base-url": base_url, "checks": checks})
        self.base_url = base_url
        schema = schemathesis.openapi.from_dict(copy.deepcopy(api.document), config=config)
        self._engine: dict[tuple[str, str], Engine] = {}
        for result in schema.get_all_operations():
            if isinstance(result, Ok):
                operation = result.ok()
                self._engine[operation.method.upper(), operation.path] = operation

    def generate(self, operation: Operation) -> Iterator[Case]:
        """Yield the examples of the document, one case for each of its rules, and random ones; valid ones first.

        An operation for which nothing can be generated gets none. Random ones are drawn when they are asked for.
        """
        engine = self._engine.get((operation.method.upper(), operation.path))
        seen: set[str] = set()
        if engine is None:
            return
        for generated in generate_cases(engine, seed=self.seed, max_examples=self._max_examples):
            case = self._describe(operation, generated)
            fingerprint = _fingerprint(case)
            if fingerprint not in seen:
                seen.add(fingerprint)
                yield case

    def draw(self, operation: Operation, count: int, *, salt: int) -> list[Case]:
        """Return up to *count* random valid cases; another *salt*, other cases."""
        engine = self._engine.get((operation.method.upper(), operation.path))
        if engine is None:
            return []
        found = draw_cases(engine, GenerationMode.POSITIVE, count, seed=self.seed, salt=salt)
        return [self._describe(operation, generated) for generated in found]

    def blank(self, operation: Operation) -> Case | None:
        """Return a case without any values, for answers to requests that others built; None for unknown operations."""
        engine = self._engine.get((operation.method.upper(), operation.path))
        return None if engine is None else Case(operation, engine.Case(), is_valid=False)

    def _describe(self, operation: Operation, generated: GeneratedCase) -> Case:
        """Wrap a generated case; its metadata is read once, before anybody changes values."""
        meta = generated.meta
        generated.freeze_metadata()
        if meta is None:
            return Case(operation, generated, is_valid=True)
        data = meta.phase.data
        is_valid = meta.generation.mode.is_positive
        is_sendable = True
        if is_valid:
            self._drop_undeclared(operation, generated)
            is_sendable = drop_unsendable(self.api, operation, generated)
        location = data.parameter_location.name.lower() if data.parameter_location is not None else ""
        return Case(
            operation,
            generated,
            is_valid=is_valid,
            location=location,
            subject=find_subject(data.parameter, location, f"{data.location or ''} {data.description or ''}"),
            description=" ".join((data.description or "").split()),
            rule=(data.location or "") if isinstance(data, CoveragePhaseData) else "",
            is_probe=not is_sendable or engine_checks.is_unexpected_http_status_case(generated),
            keeps_path=location == "path" or meta.is_negative_at(ParameterLocation.PATH),
        )

    def _drop_undeclared(self, operation: Operation, generated: GeneratedCase) -> None:
        """Leave out properties that the document neither names nor allows by name: it promises nothing about them."""
        body = generated.body
        if operation.body is None or not isinstance(body, dict | list):
            return
        for media in operation.body.media:
            if media.media_type == generated.media_type and media.schema is not None:
                generated.body = keep_declared(body, media.schema, self.api.document)

    def build_request(
        self, case: Case, headers: Mapping[str, str], path_values: Mapping[str, str] | None = None
    ) -> requests.PreparedRequest:
        """Return the request of *case* with *headers* added, *path_values* instead of its own where given.

        Names that begin with ``?`` are keys of the query. A header that the case leaves out or breaks on purpose is not
        put back.
        """
        generated: GeneratedCase = case.generated
        if path_values:
            generated = place(generated, path_values)
        arguments = generated.as_transport_kwargs(base_url=self.base_url)
        sent = arguments["headers"]
        sent.update({name: write_header(value) for name, value in sent.items() if isinstance(value, str)})
        for name in ("X-Schemathesis-TestCaseId", "User-Agent"):
            sent.pop(name, None)
        keeps = case.subject.lower() if case.location == "header" and not case.is_valid else None
        sent.update({name: value for name, value in headers.items() if name[0] != "?" and name.lower() != keeps})
        request = requests.Request(**arguments).prepare()
        query = {name[1:]: value for name, value in headers.items() if name[0] == "?"}
        if query:
            request.prepare_url(str(request.url), query)
        return request

    def judge(self, exchange: Exchange) -> list[Verdict]:
        """Return what is wrong with the answer: 5xx, status, media type, headers, body; empty when nothing is."""
        generated: GeneratedCase = exchange.case.generated
        assert exchange.response is not None
        response = Response.from_requests(exchange.response, verify=True)
        if exchange.status >= 500:  # noqa: PLR2004 - RFC 9110, section 15.6
            found = _run(generated, response, [server_error_check])
            return [Verdict("server_error", (str(exchange.status),), "the server failed") for _ in found[:1]]
        for name, ours in _CHECKS.items():
            if ours == "schema" and exchange.is_declared_text:
                continue
            failures = _run(generated, response, [getattr(engine_checks, name)])
            if failures:
                return [_read_failure(ours, failure, exchange) for failure in failures]
        return []

    def is_wrongly_accepted(self, exchange: Exchange) -> bool:
        """Tell whether an invalid request was not refused although the text that was sent is invalid too."""
        assert exchange.response is not None
        generated: GeneratedCase = exchange.case.generated
        if exchange.case.location == "body" and _breaks_annotations_only(generated):
            return False
        response = Response.from_requests(exchange.response, verify=True)
        return bool(_run(generated, response, [engine_checks.negative_data_rejection]))

    def values_of(self, case: Case) -> JsonObject:
        """Return what *case* sends: ``{query: {...}, header: {...}, cookie: {...}, body: …}``, parts that exist."""
        generated: GeneratedCase = case.generated
        parts: JsonObject = {
            "query": dict(generated.query),
            "header": dict(generated.headers),
            "cookie": dict(generated.cookies),
        }
        if generated.body is not NOT_SET:
            parts["body"] = generated.body
        return {name: part for name, part in parts.items() if part or name == "body"}

    def with_part(self, case: Case, location: str, part: Json) -> Case:
        """Return *case* with another query, header, cookie or body."""
        generated = _copy(case.generated)
        setattr(generated, _CONTAINERS[location], part)
        return replace(case, generated=generated)

    def with_value(self, case: Case, path: tuple[str, ...], value: Json) -> Case:
        """Return *case* with *value* at *path*, such as ``("body", "lines", "0", "name")``; NOT_SENT leaves it out."""
        generated = _copy(case.generated)
        container = _CONTAINERS[path[0]]
        part = getattr(generated, container)
        part = copy_json(part) if isinstance(part, dict | list) else copy.copy(part)
        node = part
        for key in path[1:-1]:
            node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
        if value is NOT_SENT:
            node.pop(path[-1], None)
        else:
            node[path[-1]] = value
        setattr(generated, container, part)
        return replace(case, generated=generated)

    def with_fresh_values(self, case: Case, fresh: Case, number: int) -> Case:
        """Return *case* with values of *fresh* wherever its body is not what it is about. number: makes texts unique.

        Returns *case* itself where that would make an invalid request valid.
        """
        source: GeneratedCase = fresh.generated
        if not isinstance(source.body, dict):
            return case
        values = make_distinct(source.body, number, lambda body: _fits(source, body))
        generated: GeneratedCase = case.generated
        keep = tuple(case.subject.split(".")) if case.subject and case.location == "body" else ()
        body = freshen(generated.body, values, keep)
        breaks_body = not case.is_valid and case.location in {"body", ""}
        if body == generated.body or (breaks_body and _fits(generated, body)):
            return case
        return self.with_part(case, "body", body)

    def fits_body(self, case: Case) -> bool:
        """Tell whether the body of *case* keeps its schema; yes where that cannot be found out."""
        return _fits(case.generated, case.generated.body)

    def path_values(self, case: Case) -> dict[str, str]:
        """Return the path parameters of *case*, decoded."""
        return {name: unquote(str(value)) for name, value in case.generated.path_parameters.items()}


NOT_SENT = object()


def place(generated: GeneratedCase, path_values: Mapping[str, str]) -> GeneratedCase:
    """Return the case with *path_values* in its path."""
    placed = _copy(generated)
    encoded = {name: quote(value, safe="") or value for name, value in path_values.items()}
    placed.path_parameters = {**placed.path_parameters, **encoded}
    return placed


def _breaks_annotations_only(generated: GeneratedCase) -> bool:
    """Tell whether nothing is wrong with the body but formats that are annotations, as JSON Schema says."""
    return not _fits(generated, generated.body) and _fits(generated, generated.body, adapt=drop_annotations)


def _fits(generated: GeneratedCase, body: Json, *, adapt: Callable[[Json], Json] = lambda schema: schema) -> bool:
    """Tell whether *body* keeps the schema of the case's media type; yes where that cannot be found out."""
    alternative = generated.operation.get_body_for_media_type(generated.media_type)
    if alternative is None:
        return True
    try:
        validator = make_validator(
            adapt(alternative.validation_schema), generated.operation.schema.adapter.jsonschema_validator_cls
        )
        return bool(validator.is_valid(body))
    except (ValidationError, ValueError, TypeError):
        return True


def _copy(generated: GeneratedCase) -> GeneratedCase:
    copied = generated.derive()
    copied.freeze_metadata()
    return copied


def _run(generated: GeneratedCase, response: Response, checks: list[Any]) -> list[EngineFailure]:
    """Run engine checks; one that cannot be run says nothing."""
    operation = generated.operation
    context = CheckContext(
        override=None,
        auth=None,
        headers=None,
        config=operation.schema.config.checks_config_for(operation=operation),
        transport_kwargs=None,
        response_checks=None,
    )
    failures: list[EngineFailure] = []
    try:
        run_checks(
            case=generated,
            response=response,
            ctx=context,
            checks=checks,
            on_failure=lambda _name, _seen, failure: failures.append(failure),
        )
    except (SchemathesisError, ValidationError, ValueError):
        return []
    # A custom failure is an assertion inside the engine: its own fault, not the target's.
    return [failure for failure in failures if not isinstance(failure, CustomFailure)]


def _read_failure(check: str, failure: EngineFailure, exchange: Exchange) -> Verdict:
    status = str(exchange.status)
    if isinstance(failure, JsonSchemaError):
        rule = "".join(f"/{part}" for part in failure.schema_path)
        where = "".join(f"/{part}" for part in failure.instance_path)
        pattern = "".join("/*" if isinstance(part, int) else f"/{part}" for part in failure.instance_path)
        message = failure.message.splitlines()[0] if failure.message else failure.title
        return Verdict(check, (status, pattern, rule), f"at {where or 'the top'}: {message}", rule)
    detail = " ".join(failure.message.split()) if failure.message else failure.title
    return Verdict(check, (status, failure._unique_key), detail)  # noqa: SLF001 - the engine's notion of one cause


def _fingerprint(case: Case) -> str:
    generated = case.generated
    scenario = coverage_scenario(generated) if case.is_probe else ""
    parts = (generated.path_parameters, generated.query, dict(generated.headers), generated.cookies, generated.body)
    return repr((generated.media_type, scenario, *parts))
