"""What was stored is answered as it was sent: values neither cut, rounded, wrapped around nor lost."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.checks.leaks import is_secret_name
from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.declared import branches_of, find_property
from pymacaron_testing.resources import normalise
from pymacaron_testing.sameness import is_lost
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Media, Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_CREATED = 201
_STORING = {"PUT", "PATCH"}
_MAX_DEPTH = 4
# What a service counts, orders or works out by itself, whatever was sent.
_OWN_NAMES = {
    "version",
    "revision",
    "rev",
    "etag",
    "position",
    "rank",
    "index",
    "order",
    "sequence",
    "token",
    "otp",
    "code",
}
_OWN_SUFFIXES = ("updatedat", "createdat", "modifiedat", "updated", "created", "modified", "timestamp")
_CASELESS_SUFFIXES = (
    "email", "username", "login", "slug", "tag", "tags", "handle", "domain", "host", "currency", "country", "language",
    "locale", "labels", "label", "sku",
)  # fmt: skip
# Money is often kept in cents: numbers of more digits may be rounded to these.
_ROUNDED_TO = 2
_FLOAT_PRECISION = 1e-6
_SECOND = 1.0


@dataclass(frozen=True, slots=True)
class Difference:
    """A property that came back as something else. path: ``("address", "city")``."""

    path: tuple[str, ...]
    sent: Json
    answered: Json


def check_echo(suite: Suite, operation: Operation) -> Outcome:
    """Compare every stored body of *operation* with the answer to it."""
    return confirm(suspect_echoes(suite, suite.exercise(operation)), suite)


def suspect_echoes(suite: Suite, exchanges: list[Exchange]) -> list[Suspicion]:
    """Return what came back as something else than it was sent; a mock's answers are drawn."""
    if not exchanges or suite.is_mock(exchanges[0].case.operation):
        return []
    return [
        Suspicion(exchange, _describe(suite, exchange, found), partial(_differs, suite, found.path))
        for exchange in exchanges
        for found in find_differences(suite, exchange)
    ]


def find_differences(suite: Suite, exchange: Exchange) -> list[Difference]:
    """Return the properties of a body that was stored which the answer has with another value.

    Only those are compared that the document declares for both in the same way.
    """
    operation = exchange.case.operation
    method = str(exchange.request.method).upper()
    is_stored = exchange.is_success and (method in _STORING or (method == "POST" and exchange.status == _CREATED))
    if not is_stored or exchange.case.is_probe or operation.body is None:
        return []
    sent, answered = _read_sent(exchange), exchange.read_json()
    response = operation.find_response(exchange.status)
    asked, told = _schema(operation.body.media), _schema(response.media if response else ())
    if asked is None or told is None or not isinstance(sent, dict) or not isinstance(answered, dict):
        return []
    schemas = _Schemas(asked, told, suite.api.document)
    found = _compare(sent, *_unwrap(sent, answered, schemas))
    # In place of nothing a service may give a new thing a value of its own, as to `stored` other things show.
    return [one for one in found if method != "POST" or is_lost(one.sent)]


@dataclass(frozen=True, slots=True)
class _Schemas:
    """What the document says of the object that was sent, and of the one that was answered."""

    asked: JsonObject
    told: JsonObject
    document: JsonObject

    def enter(self, name: str) -> _Schemas | None:
        """Return those of a property; None unless both sides have it, and mean the same."""
        asked, told = (find_property(schema, name, self.document) for schema in (self.asked, self.told))
        if asked is None or told is None:
            return None
        inner = _Schemas(asked, told, self.document)
        is_hidden = inner._says("asked", "readOnly") or inner._says("told", "writeOnly")
        formats = {inner.format_of(side) for side in ("asked", "told")}
        return None if is_hidden or "password" in formats or len(formats) > 1 else inner

    def format_of(self, side: str) -> str:
        """Return the format that one side declares; empty without one."""
        return next((str(branch["format"]) for branch in self._branches(side) if "format" in branch), "")

    def _says(self, side: str, keyword: str) -> bool:
        return any(branch.get(keyword) is True for branch in self._branches(side))

    def _branches(self, side: str) -> Iterator[JsonObject]:
        return branches_of(self.asked if side == "asked" else self.told, self.document)


def _unwrap(sent: JsonObject, answered: JsonObject, schemas: _Schemas) -> tuple[JsonObject, _Schemas]:
    """Return the object inside an answer that wraps it in one property, ``{"pet": {...}}``, and its schemas."""
    wrappers = [name for name, value in answered.items() if isinstance(value, dict) and name not in sent]
    told = find_property(schemas.told, wrappers[0], schemas.document) if len(wrappers) == 1 else None
    if told is None or any(name in answered for name in sent):
        return answered, schemas
    inner: JsonObject = answered[wrappers[0]]
    return inner, replace(schemas, told=told)


def _compare(
    sent: JsonObject, answered: JsonObject, schemas: _Schemas, path: tuple[str, ...] = ()
) -> Iterator[Difference]:
    for name, value in sent.items():
        if name not in answered or len(path) > _MAX_DEPTH or _is_own(name):
            continue
        inner = schemas.enter(name)
        if inner is None:
            continue
        if isinstance(value, dict) and isinstance(answered[name], dict):
            yield from _compare(value, answered[name], inner, (*path, name))
        elif not are_alike(value, answered[name], _notation_of(name, inner)):
            yield Difference((*path, name), value, answered[name])


def _notation_of(name: str, schemas: _Schemas) -> str:
    """Return the format of a property; of one that services often keep in one case, such as a user's name, email."""
    return schemas.format_of("asked") or ("email" if normalise(name).endswith(_CASELESS_SUFFIXES) else "")


def _is_own(name: str) -> bool:
    plain = normalise(name)
    return plain in _OWN_NAMES or plain.endswith(_OWN_SUFFIXES) or is_secret_name(name)


def are_alike(sent: Json, answered: Json, value_format: str = "") -> bool:  # noqa: PLR0911 - one for each type
    """Tell whether *answered* is *sent*, perhaps in another notation: such as equal instants."""
    if sent is None:
        return not answered
    if isinstance(sent, bool) or isinstance(answered, bool):
        return sent is answered
    if isinstance(sent, int | float) and isinstance(answered, int | float):
        return _are_numbers_alike(sent, answered, value_format)
    if isinstance(sent, str) and isinstance(answered, str):
        return _are_texts_alike(sent, answered, value_format)
    if isinstance(sent, list) and isinstance(answered, list):
        return _are_lists_alike(sent, answered, value_format)
    if isinstance(sent, dict) and isinstance(answered, dict):
        return all(are_alike(value, answered[key]) for key, value in sent.items() if key in answered)
    return False


def _are_numbers_alike(sent: float, answered: float, value_format: str) -> bool:
    if sent == answered:
        return True
    if isinstance(sent, int) and abs(sent) >= 2**53:
        return abs(sent - answered) <= abs(sent) * 2**-52  # beyond what JSON keeps. Source: RFC 8259, section 6
    if value_format == "float":
        return abs(sent - answered) <= abs(sent) * _FLOAT_PRECISION
    is_exact = isinstance(sent, int) or round(sent, _ROUNDED_TO) == sent
    return not is_exact and abs(sent - answered) <= 10**-_ROUNDED_TO + abs(sent) * 2**-40


def _are_texts_alike(sent: str, answered: str, value_format: str) -> bool:
    ours, theirs = (" ".join(unicodedata.normalize("NFC", text).split()) for text in (sent, answered))
    if ours == theirs:
        return True
    if value_format in {"date-time", "date"}:
        return _are_instants_alike(ours, theirs)
    if value_format in {"email", "idn-email", "uuid", "hostname"}:
        return ours.lower() == theirs.lower()
    if value_format in {"uri", "url", "iri"}:
        return ours.lower().rstrip("/") == theirs.lower().rstrip("/")
    return value_format in {"decimal", "time", "duration"}


def _are_instants_alike(sent: str, answered: str) -> bool:
    try:
        moments = [datetime.fromisoformat(text.upper()) for text in (sent, answered)]
    except ValueError:
        return True  # the format is judged elsewhere
    ours, theirs = (moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments)
    return abs((ours - theirs).total_seconds()) < _SECOND


def _are_lists_alike(sent: list[Json], answered: list[Json], value_format: str) -> bool:
    """Tell whether the lists hold the same: plain values may be sorted and told once."""
    if len(sent) == len(answered) and all(
        are_alike(ours, theirs, value_format) for ours, theirs in zip(sent, answered, strict=True)
    ):
        return True
    if any(isinstance(item, dict | list) for item in [*sent, *answered]):
        return False
    return all(any(are_alike(ours, theirs) for theirs in answered) for ours in sent) and len(answered) <= len(sent)


def _schema(media: tuple[Media, ...]) -> JsonObject | None:
    return next((one.schema for one in media if one.is_json and one.schema), None)


def _read_sent(exchange: Exchange) -> Json:
    if "json" not in str(exchange.request.headers.get("Content-Type", "")):
        return None
    try:
        return json.loads(exchange.request.body or b"")
    except (TypeError, ValueError):
        return None


def _differs(suite: Suite, path: tuple[str, ...], exchange: Exchange) -> bool:
    return any(found.path == path for found in find_differences(suite, exchange))


def _describe(suite: Suite, exchange: Exchange, found: Difference) -> Failure:
    operation = exchange.case.operation
    name = ".".join(found.path)
    return suite.build_failure(
        exchange,
        "echo",
        promise=f"{name_of(operation)} answers what it stored: {name} as it was sent, {_show(found.sent)}",
        pointer=operation.body.pointer if operation.body else operation.pointer,
        cause=found.path,
        detail=f"{name} is {_show(found.answered)}",
    )


def _show(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:99]}… ({len(text)} characters)"  # noqa: PLR2004 - a line
