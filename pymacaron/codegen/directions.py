"""Which way the values of a schema go: what goes one way only is optional in a class that is used the other way too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from pymacaron.json_types import Json, JsonObject
from pymacaron.judge import FOREIGN, REF

if TYPE_CHECKING:
    from pymacaron.spec import Api, Media


def find_marks(api: Api) -> dict[str, frozenset[str]]:
    """Return class name -> marks whose properties the class cannot demand; without those that can demand all.

    A class of requests has ``readOnly``, for clients do not send such properties, one of answers ``writeOnly``.
    """
    if not any(map(_has_mark, api.schemas.values())):
        return {}
    sent: list[Json] = []
    answered: list[Json] = []
    for operation in api.operations:
        sent += [{"$ref": f"{REF}{operation.parameters_model}"}]
        for body in (operation.body, operation.form):
            sent += _schemas_of(body.media) if body else ()
        for response in operation.responses:
            answered += _schemas_of(response.media)
    ways = {"readOnly": _reach(sent, api.schemas), "writeOnly": _reach(answered, api.schemas)}
    marks = {name: frozenset(mark for mark, names in ways.items() if name in names) for name in api.schemas}
    return {name: found for name, found in marks.items() if found}


def _schemas_of(media: Iterable[Media]) -> list[Json]:
    found: list[Json] = []
    for each in media:
        found += [each.schema, each.item_schema]
        found += [{"$ref": f"{REF}{name}"} for name in (each.model_name, each.item_model_name) if name]
    return found


def _has_mark(schema: Json) -> bool:
    if isinstance(schema, list):
        return any(map(_has_mark, schema))
    if not isinstance(schema, dict):
        return False
    return any(schema.get(mark) is True for mark in FOREIGN.values()) or any(map(_has_mark, schema.values()))


def _reach(start: list[Json], schemas: Mapping[str, JsonObject]) -> set[str]:
    """Return the names of all schemas that those of *start* refer to."""
    reached: set[str] = set()
    waiting = [name for schema in start for name in _references(schema)]
    while waiting:
        name = waiting.pop()
        if name in schemas and name not in reached:
            reached.add(name)
            waiting += _references(schemas[name])
    return reached


def _references(schema: Json) -> Iterator[str]:
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)
    elif isinstance(schema, dict):
        for value in schema.values():
            if isinstance(value, str) and value.startswith(REF):
                yield value.removeprefix(REF)
            else:
                yield from _references(value)
