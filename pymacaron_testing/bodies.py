"""Bodies for things with all properties, and with values that careless code changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pymacaron_testing.fields import Field, find_fields, ordinary_value, telling_values
from pymacaron_testing.kinds import Kind, body_schema, inside

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case
    from pymacaron_testing.suite import Suite

_MAX_VARIANTS = 9
_DRAWS = 4

Changes = dict[tuple[str, ...], object]


def fields_of(suite: Suite, kind: Kind, operation: Operation) -> list[Field]:
    """Return the properties that a caller of *operation* sets."""
    document = suite.api.document
    return find_fields(inside(body_schema(operation), kind.body_wrapper, document), document)


def with_changes(suite: Suite, kind: Kind, case: Case, changes: Changes) -> Case | None:
    """Return *case* with other values in its body, ``{path: value}``; None where it would break the document.

    A value NOT_SENT leaves the property out.
    """
    wrapper = (kind.body_wrapper,) if kind.body_wrapper else ()
    for path, value in changes.items():
        try:
            case = suite.generator.with_value(case, ("body", *wrapper, *path), value)
        except (AttributeError, KeyError, TypeError):
            return None
    return case if suite.generator.fits_body(case) else None


def read_value(kind: Kind, body: Json, path: tuple[str, ...]) -> Json:
    """Return what stands at *path* in *body*, wrapper and all; None if nothing does."""
    for key in ((kind.body_wrapper,) if kind.body_wrapper else ()) + path:
        body = body.get(key) if isinstance(body, dict) else None
    return body


def complete(suite: Suite, kind: Kind, case: Case, fields: list[Field]) -> Case:
    """Return *case* with its optional properties filled in, where ordinary or random values do."""
    drawn = [suite.generator.values_of(other).get("body") for other in suite.draw(case.operation, _DRAWS)]
    for field in fields:
        body = suite.generator.values_of(case).get("body")
        if field.is_reference or read_value(kind, body, field.path) is not None:
            continue
        suite.key_number += 1
        candidates = [
            ordinary_value(field, suite.key_number),
            *(read_value(kind, other, field.path) for other in drawn),
        ]
        for value in candidates:
            filled = with_changes(suite, kind, case, {field.path: value}) if value is not None else None
            if filled is not None:
                case = filled
                break
    return case


def find_variants(suite: Suite, kind: Kind, case: Case, fields: list[Field]) -> Iterator[Changes]:
    """Yield sets of telling values, each with at most one for a property, that *case* may have all at once."""
    suite.key_number += 1
    number = suite.run_salt % 100_000 + suite.key_number
    allowed = {
        field.path: [
            value for value in telling_values(field, number) if with_changes(suite, kind, case, {field.path: value})
        ]
        for field in fields
        if not field.is_reference
    }
    for turn in range(min(max(map(len, allowed.values()), default=0), _MAX_VARIANTS)):
        changes: Changes = {path: values[turn] for path, values in allowed.items() if turn < len(values)}
        # What stands in an object that is replaced as a whole cannot be changed too.
        yield {
            path: value
            for path, value in changes.items()
            if not any(path[:size] in changes for size in range(1, len(path)))
        }
