"""What is wrong with a value, in words for the caller: found by pydantic, or by jsonschema-rs where models say less."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from functools import cached_property
from itertools import islice
from math import isinf
from typing import Any

import jsonschema_rs
from pydantic import RootModel, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from pymacaron.exactness import exactness_of
from pymacaron.json_types import Json, JsonObject
from pymacaron.judge import Direction, judge_of
from pymacaron.model import make_whole
from pymacaron.spec.pointers import join_pointer

_NOT_INTEGER = frozenset({"int_type", "int_from_float"})
_MOST = 20
# Only a text with such a part can hold a number beyond what a double holds; each digit and plus read as 0.
_DIGITS = bytes.maketrans(b"123456789+E", b"0000000000e")
_EXPONENT, _LONG = b"e000", b"0" * 300
_BEFORE_NUMBERS = frozenset({b"", b"[", b":", b",", b" ", b"\t", b"\r", b"\n"})
_N, _I = b"NI"
_SIGHTS = 50
_NO_SCHEMAS = frozenset({"metadata", "serialization", "default", "cls"})


class SchemaCheck:
    """Holds JSON values to a schema of which models say too little or too much."""

    def __init__(
        self, schema: JsonObject, schemas: Mapping[str, JsonObject], *, direction: Direction = "request"
    ) -> None:
        """Take the *schema*; its references lead into *schemas*."""
        self._validator = judge_of(schemas).compile(schema, direction)

    @classmethod
    def build(
        cls, schema: JsonObject | None, schemas: Mapping[str, JsonObject], *, direction: Direction = "request"
    ) -> SchemaCheck | None:
        """Return the check of *schema*, None where its model accepts exactly what the schema does.

        direction: a request need not have the read-only properties that the schema requires, an answer not the
        write-only ones.
        """
        if not schema or exactness_of(schemas, direction).is_exact(schema):
            return None
        return cls(schema, schemas, direction=direction)

    def find_faults(self, value: Json) -> list[str]:
        """Return what is wrong with *value*, as ``/items: breaks uniqueItems``. Values never appear."""
        return list(dict.fromkeys(map(_describe_fault, islice(self._validator.iter_errors(value), _MOST))))


def _describe_fault(error: jsonschema_rs.ValidationError) -> str:
    pointer = join_pointer("", *error.instance_path)
    keyword = error.schema_path[-1]
    if keyword == "required":
        pointer = join_pointer(pointer, error.kind.as_dict()["property"])
    elif keyword == "format":
        keyword = f"format {error.kind.as_dict()['format']}"
    return f"{pointer or '/'}: breaks {keyword}"


class JsonReader:
    """Reads JSON texts of one schema.

    Where both are there, the check decides what is right, and the model gives the types. A value that is right and has
    no place in the model stays plain JSON data: no class was made for a number where only properties were described.
    """

    def __init__(self, model: type | None, check: SchemaCheck | None = None) -> None:
        """Take the generated *model*, None where anything goes, and the *check* beside it."""
        self._model = model
        self._check = check
        self._is_prepared = False
        self._validate_usual: Callable[..., Any] | None = None
        self._has_aliases = True

    def read(self, data: bytes, faults: list[str]) -> Json:
        """Return the value that *data* is; what is wrong with it is added to *faults*, and None returned.

        Objects are instances of their classes. Of several values under one name in an object the last one counts.
        """
        if not self._is_prepared:
            self._prepare()
        validate = self._validate_usual
        try:
            if validate is None or _has_number_word(data):
                value = self._validate(data)
            else:
                try:
                    if self._has_aliases:
                        return validate(data, strict=True, by_alias=True, by_name=False)
                    return validate(data, strict=True)
                except ValidationError as error:
                    return _read_whole_numbers(validate, data, error)
        except ValidationError as error:
            faults.append(describe(error, "body "))
        except InvalidValueError as error:
            faults += [f"body {fault}" for fault in error.faults]
        except ValueError as error:
            faults.append(f"body: {error}")
        else:
            return value.root if self._is_root and isinstance(value, RootModel) else value
        return None

    def _prepare(self) -> None:
        """Find pydantic-core's own function where it alone decides: all is typed in the model, which is an object."""
        if self._model is not None and self._check is None and not self._is_root and not self._holds_any:
            self._validate_usual = self._validate_json
            self._has_aliases = _has_aliases(getattr(self._model, "__pydantic_core_schema__", None))
        self._is_prepared = True

    @cached_property
    def _is_root(self) -> bool:
        return self._model is not None and issubclass(self._model, RootModel)

    @cached_property
    def _holds_any(self) -> bool:
        return _has_any(getattr(self._model, "__pydantic_core_schema__", None))

    @cached_property
    def _validate_json(self) -> Callable[..., Any]:
        """Return pydantic-core's own function that makes instances of the model."""
        return self._model.__pydantic_validator__.validate_json  # type: ignore[union-attr,no-any-return]

    def _validate(self, data: bytes) -> Json:
        if self._check is None and self._model is not None:
            if _has_number_word(data) or (self._holds_any and _may_be_huge(data)):
                read_plain(data)
            try:
                return self._validate_json(data, strict=True, by_alias=True, by_name=False)
            except ValidationError as error:
                return _read_whole_numbers(self._validate_json, data, error)
        value = read_plain(data)
        faults = self._check.find_faults(value) if self._check else []
        if self._model is None:
            if faults:
                raise InvalidValueError(faults)
            return value
        try:
            typed = validate_json(self._model, data)
        except ValidationError as error:
            if faults:
                raise InvalidValueError([describe(error, "")]) from error
            return value
        if faults:
            raise InvalidValueError(faults)
        return typed


class InvalidValueError(ValueError):
    """A value breaks its schema; carries every fault."""

    def __init__(self, faults: list[str]) -> None:
        """Take the *faults*, each with its pointer."""
        super().__init__("; ".join(faults))
        self.faults = faults


def read_plain(data: bytes) -> Json:
    """Return the plain data that the JSON text *data* is. Raises ValueError: it is none, or a number is too large."""
    value = from_json(data, allow_inf_nan=False)
    if _may_be_huge(data) and _has_infinity(value):
        raise ValueError("a number is too large")
    return value


def _has_aliases(core_schema: Any) -> bool:
    """Tell whether a property in *core_schema* has another name in JSON: each argument of the validator takes time."""
    return any(node.get("validation_alias") is not None for node in walk_core_schema(core_schema))


def _has_any(core_schema: Any) -> bool:
    """Tell whether a part of *core_schema* takes values of which it does not know the type."""
    for node in walk_core_schema(core_schema):
        is_open = node.get("extra_fields_behavior") == "allow" or node.get("extra_behavior") == "allow"
        bare = {"list": "items_schema", "dict": "values_schema"}.get(str(node.get("type")))
        if node.get("type") == "any" or is_open or (bare and bare not in node):
            return True
    return False


def walk_core_schema(core_schema: Any, without: Container[str] = _NO_SCHEMAS) -> Iterator[dict[str, Any]]:
    """Yield all schemas in *core_schema*, but what stands under the keys *without*: by default those that validate."""
    steps = [core_schema]
    while steps:
        node = steps.pop()
        if isinstance(node, dict):
            yield node
            steps += [value for key, value in node.items() if key not in without]
        elif isinstance(node, (list, tuple)):
            steps += node


def _has_number_word(data: bytes) -> bool:
    """Tell whether *data* may hold a word that pydantic takes for JSON where anything goes.

    To look for a letter, given as a number, takes a fortieth of the time that a word takes.
    """
    return (_N in data and b"NaN" in data) or (_I in data and b"Infinity" in data)


def _may_be_huge(data: bytes) -> bool:
    """Tell whether *data* may hold a number that is too large; UUIDs and the like look so only at first sight."""
    digits = data.translate(_DIGITS)
    place = -1
    for _ in range(_SIGHTS):
        place = digits.find(_EXPONENT, place + 1)
        if place < 0:
            return _LONG in digits
        before = digits[max(0, place - len(_LONG)) : place].rstrip(b"0.-")
        if before[-1:] in _BEFORE_NUMBERS:
            return True
    return True


def _has_infinity(value: Json) -> bool:
    if isinstance(value, dict):
        return any(map(_has_infinity, value.values()))
    if isinstance(value, list):
        return any(map(_has_infinity, value))
    return isinstance(value, float) and isinf(value)


def validate_json(model: type, data: bytes | str) -> Any:
    """Return the instance of *model* that the JSON text *data* is, by JSON Schema's rules: "1" is no integer, 1.0 is.

    Raises: ValidationError: with every reason.
    """
    validate = model.__pydantic_validator__.validate_json  # type: ignore[attr-defined]  # models and root models have it
    try:
        return validate(data, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        return _read_whole_numbers(validate, data, error)


def _read_whole_numbers(validate: Callable[..., Any], data: bytes | str, error: ValidationError) -> Any:
    """Return what *data* is if the *error* is that numbers are written with a fraction of zero. Raises ValidationError.

    Source: JSON Schema 2020-12, validation, section 6.1.1: a number without a fraction is an integer.
    """
    if not any(finding["type"] in _NOT_INTEGER and _is_whole(finding["input"]) for finding in error.errors()):
        raise error
    return validate(to_json(make_whole(from_json(data))), strict=True, by_alias=True, by_name=False)


def _is_whole(value: Json) -> bool:
    return isinstance(value, float) and value.is_integer()


def describe(error: ValidationError, prefix: str = "") -> str:
    """Return one clause per finding, as ``/items/0/id: Input should be a valid integer``.

    prefix: what the JSON pointer is relative to, ``"body "``. Values never appear: they may be secrets.
    """
    findings = error.errors(include_url=False, include_input=False)
    clauses = [
        f"{prefix}{join_pointer('', *finding['loc']) or '/'}: {message_of(finding)}" for finding in findings[:_MOST]
    ]
    if len(findings) > _MOST:
        clauses.append(f"and {len(findings) - _MOST} more")
    return "; ".join(clauses)


def message_of(finding: ErrorDetails) -> str:
    """Return what is wrong, in words that do not show the value."""
    if finding["type"] == "union_tag_invalid":  # pydantic's own words do
        return "{discriminator} should be one of {expected_tags}".format(**finding["ctx"])
    return finding["msg"]
