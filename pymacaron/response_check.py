"""When answers are held to the document, and what happens to those that break it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_core import from_json

from pymacaron.events import ContractViolated, Place
from pymacaron.exceptions import BadResponseException
from pymacaron.validation import validate_json

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.service import Service
    from pymacaron.spec import Operation
    from pymacaron.validation import SchemaCheck

_MOST = 20


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which an answer breaks the document. pointer: JSON pointer into the body, ``""`` elsewhere."""

    place: Place
    reason: str
    pointer: str = ""

    def __str__(self) -> str:
        """Return pointer and reason."""
        return f"{self.pointer}: {self.reason}" if self.pointer else self.reason


class ResponseCheck:
    """When answers are checked, and what happens to a wrong one.

    mode: ``enforce`` (the caller gets a 500 with the reason), ``observe`` (a ContractViolated event, the answer is sent
    as it is), ``sample:0.01`` (observe that share of the answers), ``off``.
    """

    def __init__(self, mode: str) -> None:
        """Take a valid *mode*; see `is_mode`."""
        self.is_enforced = mode == "enforce"
        share = mode.partition(":")[2]
        self._share = 0.0 if mode == "off" else float(share) if share else 1.0

    @staticmethod
    def is_mode(mode: object) -> bool:
        """Tell whether *mode* is one of the four."""
        if mode in {"enforce", "observe", "off"}:
            return True
        word, _, share = str(mode).partition(":")
        try:
            return word == "sample" and 0 <= float(share) <= 1
        except ValueError:
            return False

    def is_due(self) -> bool:
        """Tell whether the next answer is checked; asked once for each answer."""
        return self._share >= 1 or (self._share > 0 and random.random() < self._share)  # noqa: S311 - no secret


class ViolationReporter:
    """Tells of the violations of one operation."""

    def __init__(self, service: Service, operation: Operation, check: ResponseCheck) -> None:
        """Take the mode of the operation."""
        self._bus = service.bus
        self._operation_id = operation.operation_id
        self._check = check

    def settle(self, status: int, violations: list[Violation]) -> None:
        """Emit an event for each of the *violations*. Raises BadResponseException in mode enforce."""
        if not violations:
            return
        where = f"response {status}"
        for violation in violations:
            self._emit(where, violation)
        if self._check.is_enforced:
            reasons = "; ".join(dict.fromkeys(map(str, violations)))
            raise BadResponseException(f"{self._operation_id}, {where}: {reasons}")

    def note_undeclared_error(self, status: int) -> None:
        """Tell of an error with an undeclared *status*; it is answered in any mode."""
        reason = f"the handler raised status {status}, which the document does not declare"
        self._emit(f"response {status}", Violation("status", reason))

    def _emit(self, where: str, violation: Violation) -> None:
        place = f"{where} {violation.pointer}".removesuffix(" /").rstrip()
        self._bus.emit(
            ContractViolated(
                self._operation_id, place, violation.reason, pointer=violation.pointer, place=violation.place
            )
        )


def find_json_violations(data: bytes, model: type | None, check: SchemaCheck | None, place: Place) -> list[Violation]:
    """Return what is wrong with the JSON text *data*; the *check* decides where there is one, else the *model*."""
    try:
        if check is not None:
            return list(_find_faults(from_json(data, allow_inf_nan=False), check, place))
        if model is not None:
            validate_json(model, data)
    except ValidationError as error:
        return list(_split_error(error, place))
    except ValueError as error:
        return [Violation(place, f"it is no JSON: {error}")]
    return []


def find_value_violations(value: Json, check: SchemaCheck, place: Place) -> list[Violation]:
    """Return what is wrong with *value*, which has no model."""
    return list(_find_faults(value, check, place))


def _find_faults(value: Json, check: SchemaCheck, place: Place) -> Iterator[Violation]:
    for fault in check.find_faults(value):
        pointer, _, reason = fault.partition(": ")
        yield Violation(place, reason, pointer)


def _split_error(error: ValidationError, place: Place) -> Iterator[Violation]:
    """Yield one violation for each finding. Values never appear: they may be secrets."""
    for finding in error.errors(include_url=False, include_context=False, include_input=False)[:_MOST]:
        pointer = "".join(f"/{part}" for part in finding["loc"]) or "/"
        yield Violation(place, finding["msg"], pointer)
