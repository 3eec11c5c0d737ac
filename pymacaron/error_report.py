"""Makes the event that tells of an error, without the secrets of the service and of the request."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from flask import has_request_context

from pymacaron.config import get_config
from pymacaron.events import ErrorReported
from pymacaron.log import current_request_id, current_trace, current_user_id
from pymacaron.redaction import Redactor
from pymacaron.request_events import current_record
from pymacaron.request_facts import RequestDescriber, RequestFacts
from pymacaron.secret_parts import find_secret_names

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron.service import Service
    from pymacaron.spec import Operation

log = logging.getLogger(__name__)

_EXTENSION = "pymacaron.error_teller"
_LEAST_VARIABLE = 6  # characters: parsers have variables called token, too


class ReportPlace(NamedTuple):
    """Where an error is reported. trace: the way there, for people. callers: see `ErrorReported`."""

    trace: str | None = None
    callers: tuple[tuple[str, int, str], ...] = ()


class ErrorTeller:
    """Makes the events of one service: what is the same for all its errors is found once."""

    def __init__(self, service: Service) -> None:
        """Take the service, with all its documents loaded."""
        self._service = service
        self._allowed = frozenset(name.lower() for name in service.config.error_report_allow)
        self._names = find_secret_names(service.apis.values())
        self._describer = RequestDescriber(self._names, self._allowed)
        self._apis = {id(operation): api for api in service.apis.values() for operation in api.operations}

    def describe(self, operation: Operation | None) -> RequestFacts:
        """Return what is told of the request that is being handled; nothing outside of one."""
        if not has_request_context():
            return RequestFacts()
        try:
            return self._describer.describe(operation, self._apis.get(id(operation)))
        except Exception:  # the error must be told of, even if its request is beyond description
            log.exception("The request of an error could not be described")
            return RequestFacts()

    def make_redactor(self, secrets: set[str]) -> Redactor:
        """Return what removes the secrets of the service and *secrets*."""
        known = self._service.config.find_secrets() | secrets
        return Redactor(known, names=self._names, allowed=self._allowed)


def emit_error(
    service: Service | None,
    title: str,
    facts: Mapping[str, object],
    exception: BaseException | None,
    *,
    error_id: str | None = None,
    place: ReportPlace | None = None,
    is_fatal: bool = True,
) -> str:
    """Tell whoever listens of an error, or the log if nobody does; return its id.

    facts: go before what is known of the request. place: of the line that reports, if one of the service's own does.
    """
    error_id = error_id or uuid4().hex
    record = current_record()
    operation = record.operation if record else None
    data, redactor = _gather(service, operation, facts)
    redactor.add_secrets(_find_secret_variables(exception, redactor))
    place = place or ReportPlace()
    data["trace"] = place.trace if exception is None else _format(exception)
    data["is_fatal_error"] = is_fatal
    told: JsonObject = redactor.redact(data)
    title = redactor.redact_text(title)
    if service is not None and service.bus.is_heard(ErrorReported):
        event = ErrorReported(title, told, exception, error_id, is_fatal, redactor.redact, place.callers)
        service.bus.emit(event)
    else:
        level = logging.ERROR if is_fatal else logging.WARNING
        log.log(level, "%s (error_id %s)", title, error_id, extra={"error_id": error_id, "data": told})
    return error_id


def _gather(
    service: Service | None, operation: Operation | None, facts: Mapping[str, object]
) -> tuple[JsonObject, Redactor]:
    record, trace = current_record(), current_trace()
    data: JsonObject = {
        "request_id": current_request_id(),
        "user_id": current_user_id(),
        "operation_id": operation.operation_id if operation else None,
        "method": record.method if record else None,
        "route": operation.path if operation else None,
    }
    if trace is not None:
        data["trace_id"] = trace.trace_id
    if service is None:
        return data | dict(facts), _learn(Redactor(get_config().find_secrets()), facts)
    teller = service.app.extensions.get(_EXTENSION)
    if not isinstance(teller, ErrorTeller):
        teller = service.app.extensions[_EXTENSION] = ErrorTeller(service)
    request = teller.describe(operation)
    if request.data:
        data["request"] = request.data
    return data | dict(facts), _learn(teller.make_redactor(request.secrets), facts)


def _learn(redactor: Redactor, facts: Mapping[str, object]) -> Redactor:
    """Return *redactor*, which knows now what *facts* call a secret: it may stand in a text, too."""
    redactor.add_secrets(redactor.find_secrets(facts))
    return redactor


def _find_secret_variables(exception: BaseException | None, redactor: Redactor) -> set[str]:
    """Return the texts of variables, arguments included, whose names say that they are secrets, where it was raised.

    So of all that a trace shows: what led to it, and the members of groups.
    """
    found: set[str] = set()
    waiting = [exception]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += (one.__cause__, one.__context__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ()))
        for frame, _ in traceback.walk_tb(one.__traceback__):
            found |= {
                value
                for name, value in list(frame.f_locals.items())
                if isinstance(value, str) and len(value) >= _LEAST_VARIABLE and redactor.is_secret(name)
            }
    return found


def _format(exception: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(exception))
    except Exception:  # noqa: BLE001 - such as a RecursionError from a chain of causes
        return f"{type(exception).__name__}, whose trace cannot be written"
